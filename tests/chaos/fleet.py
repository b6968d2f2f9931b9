"""Several workers behind one address, a queue that delivers too often, and harm from a seed.

Everything that chance decides comes from the seed: which courses by which jobs, how often each
is delivered, where and when each worker dies. What the machine's scheduler does with that is its
own affair, so a seed repeats the attack, and nearly always its outcome.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.chaos.site import APPS

from payonce.testing import AtLeastOnceQueue, BilledCall, read_bill

FILES = ("workers.py", "courses.py", "client.py", "crash.py", "guard.py")
_TOO_LONG = 100
"""Seconds, and one for each run, after which an attack has failed: some run never ended."""


@dataclass(frozen=True)
class Attack:
    """What is done to a fleet.

    `crashes` come at `points`, else at moments of chance; with a `script` the n-th worker dies
    at the n-th point of it, after so many passes within the n-th course.
    """

    seed: int
    runs: int
    jobs: tuple[str, ...]
    points: tuple[str, ...] = ()
    crashes: int = 0
    stops: int = 0
    outages: int = 0
    workers: int = 3
    lanes: int = 6
    lease: float = 3.0
    latency: float = 0.04
    script: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.runs} runs, {self.workers} workers"


@dataclass
class Worker:
    """One worker process, from its fork to its end."""

    pid: int
    plan: dict[str, Any]
    code: int | None = None
    stopped: int = 0


@dataclass
class Outcome:
    """What happened, as far as the outside can tell."""

    attack: Attack
    bill: list[BilledCall]
    workers: list[Worker]
    answers: dict[str, list[str]] = field(default_factory=dict)
    deliveries: int = 0

    @property
    def crashes(self) -> int:
        """How many workers were killed by SIGKILL while it lasted."""
        return sum(worker.code == -signal.SIGKILL for worker in self.workers)


class Fleet:
    """The workers of one attack, and who watches over their number."""

    def __init__(self, folder: Path, store: str, url: str, attack: Attack) -> None:
        self.attack, self._folder = attack, folder
        self._chance = random.Random(f"workers {attack.seed}")
        self._harm_left = attack.crashes if attack.points else 0
        self.workers: dict[int, Worker] = {}
        self.ended: list[Worker] = []
        self._changed = threading.Condition()
        for name in FILES:
            shutil.copy(APPS / name, folder)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        settings = {
            "PAYONCE_STORE": store,
            "OPENAI_BASE_URL": f"{url}/v1",
            "LEASE": str(attack.lease),
            "PARENT_PID": str(os.getpid()),
            "PYTHONWARNINGS": "ignore",
        }
        if attack.seed % 2:
            settings["OPENED_BEFORE_FORK"] = "1"
        self._log = (folder / "workers.log").open("wb")
        self._parent = subprocess.Popen(
            [sys.executable, "workers.py", str(self._listening.fileno())],
            cwd=folder,
            env=os.environ | settings,
            pass_fds=[self._listening.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._orders = threading.Lock()
        assert self._parent.stdout is not None
        if not self._parent.stdout.readline():
            raise RuntimeError((folder / "workers.log").read_text())
        self._watch = threading.Thread(target=self._watched, args=(self._parent.stdout,))
        self._watch.start()
        for _ in range(attack.workers):
            self._order(plan=self._plan())

    def _plan(self) -> dict[str, Any]:
        """Where the next worker dies, and on which host it believes to be."""
        number = len(self.workers) + len(self.ended)
        if self.attack.script:
            point, passes = (*self.attack.script, (None, 0))[min(number, len(self.attack.script))]
            return {"point": point, "passes": passes, "course": f"course-{number}"}
        chance = self._chance
        host = chance.choice([None, None, "another-pod", "a-third-pod"])
        plan: dict[str, Any] = {"host": host}
        if self._harm_left > 0:
            self._harm_left -= 1
            plan |= {"point": chance.choice(self.attack.points), "passes": chance.randrange(6)}
        return plan

    def _order(self, **order: Any) -> None:
        assert self._parent.stdin is not None
        with self._orders:
            if not self._parent.stdin.closed:
                self._parent.stdin.write(json.dumps(order).encode() + b"\n")
                self._parent.stdin.flush()

    def _watched(self, lines: IO[bytes]) -> None:
        """Take down who came and went, and put another one in the place of who died."""
        for line in lines:
            told = json.loads(line)
            with self._changed:
                if (pid := told.pop("ended", None)) is not None:
                    worker = self.workers.pop(pid)
                    worker.code = told["code"]
                    self.ended.append(worker)
                    self._order(plan=self._plan())
                else:
                    pid = told.pop("pid")
                    self.workers[pid] = Worker(pid, told)
                self._changed.notify_all()

    def signal(self, how: signal.Signals, chance: random.Random) -> Worker | None:
        """Send a signal to one of the workers; who that was."""
        with self._changed:
            if not self.workers:
                return None
            worker = chance.choice(list(self.workers.values()))
            worker.stopped += how is signal.SIGSTOP
        self._order(pid=worker.pid, signal=how)
        return worker

    def go_on(self, worker: Worker) -> None:
        """Let a stopped worker go on."""
        self._order(pid=worker.pid, signal=signal.SIGCONT)

    def all(self) -> list[Worker]:
        """All workers that there ever were."""
        with self._changed:
            return [*self.ended, *self.workers.values()]

    def stop(self) -> None:
        """End them all."""
        assert self._parent.stdin is not None
        with self._orders:
            self._parent.stdin.close()
        self._parent.wait(60)
        self._watch.join(60)
        self._listening.close()
        self._log.close()
        assert self._parent.stdout is not None
        self._parent.stdout.close()


@contextmanager
def provider_of(folder: Path, latency: float) -> Iterator[tuple[str, Path]]:
    """A provider in a process of its own: its address, and the file of its bill."""
    bill = folder / "bill.jsonl"
    command = [sys.executable, "-m", "tests.chaos.killing_provider", str(bill), str(latency)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip(), bill
        process.stdin.close()
        process.wait(60)


def attacked(
    folder: Path, store: str, attack: Attack, outage: Callable[[random.Random], None] | None = None
) -> Outcome:
    """Let a queue deliver courses to a fleet that is harmed meanwhile, until all are taken.

    `outage` takes the journal away and gives it back; it is called by this very thread.
    """
    with provider_of(folder, attack.latency) as (url, bill):
        fleet = Fleet(folder, store, url, attack)
        over = threading.Event()
        harms = [
            threading.Thread(target=harm, args=(fleet, attack, over))
            for harm in (_kill_some, _stop_some)
        ]
        for harm in harms:
            harm.start()
        try:
            queues = _deliver_all(fleet.address, attack, outage)
        finally:
            over.set()
            for harm in harms:
                harm.join(60)
            workers = fleet.all()
            fleet.stop()
    outcome = Outcome(attack, read_bill(bill), workers)
    for queue in queues:
        for delivery in queue.deliveries:
            outcome.deliveries += 1
            if delivery.status == 200:
                key = json.loads(delivery.task.body)["course"]
                outcome.answers.setdefault(key, []).append(delivery.body)
    return outcome


def _kill_some(fleet: Fleet, attack: Attack, over: threading.Event) -> None:
    """Kill workers at moments of chance."""
    chance = random.Random(f"kills {attack.seed}")
    for _ in range(0 if attack.points else attack.crashes):
        if over.wait(chance.uniform(0.0, 0.2)):
            return
        fleet.signal(signal.SIGKILL, chance)


def _stop_some(fleet: Fleet, attack: Attack, over: threading.Event) -> None:
    """Stop workers at moments of chance, about as long as a lease lasts, and let them go on."""
    chance = random.Random(f"stops {attack.seed}")
    for _ in range(attack.stops):
        if over.wait(chance.uniform(0.0, 0.2)):
            return
        if worker := fleet.signal(signal.SIGSTOP, chance):
            over.wait(chance.uniform(0.3, 1.8) * attack.lease)
            fleet.go_on(worker)


def _deliver_all(
    address: str, attack: Attack, outage: Callable[[random.Random], None] | None
) -> list[AtLeastOnceQueue]:
    """Deliver each course until the queue may forget it: by several lanes, some of them twice."""
    chance = random.Random(f"queue {attack.seed}")
    queues = [
        AtLeastOnceQueue(
            clock="real",
            dispatch_deadline=30,
            min_backoff=0.02,
            max_backoff=0.5,
            max_attempts=-1,
        )
        for _ in range(attack.lanes)
    ]
    for n in range(attack.runs):
        payload = {"job": attack.jobs[n % len(attack.jobs)], "course": f"course-{n}"}
        for queue in chance.sample(queues, min(attack.lanes, chance.choice([1, 1, 2, 3]))):
            queue.push(address, payload)
    give_up = time.monotonic() + _TOO_LONG + attack.runs

    def emptied(queue: AtLeastOnceQueue, again: random.Random) -> None:
        queue.run(until=lambda _: not queue.tasks or time.monotonic() > give_up)
        assert not queue.tasks, f"{attack}: {queue.tasks} were never answered for good"
        done = [made.task for made in queue.deliveries if made.succeeded]
        for task in again.sample(done, min(2, len(done))):
            queue.deliver(task, anyway=True)

    with ThreadPoolExecutor(attack.lanes) as threads:
        working = [
            threads.submit(emptied, queue, random.Random(f"again {n} {attack.seed}"))
            for n, queue in enumerate(queues)
        ]
        for _ in range(attack.outages):
            if outage is not None and wait(working, chance.uniform(0.1, 1.0)).not_done:
                outage(chance)
    for each in working:
        each.result()
    return queues
