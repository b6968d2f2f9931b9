"""One contender in a process of its own: it reads commands, a line of JSON each, and answers so.

`python bench/contenders.py NAME STORE`, where NAME is `floor` (a bare durable commit), `payonce`
or `dbos`. Each has the verbs that it can do:

round      one run of so many paid steps, then the same run again: ms of each step and replay
fanout     one asynchronous run of so many steps at once: ms
threads    so many threads, each with a run of so many steps: the first start and the last end
receipts   a run of very many receipts, opened and replayed: seconds (payonce)
parked     deliveries of a parked run: how many a second (payonce)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

ANSWER = "a chapter of two hundred bytes " * 7


class Floor:
    """One INSERT of an answer, committed to the disk: what no journal can be quicker than."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.commit = self._committing()
        self._bare("CREATE TABLE IF NOT EXISTS answers (answer text)")

    def _bare(self, sql: str) -> None:
        if self.store.startswith("sqlite"):
            self._sqlite().execute(sql)
        else:
            self._postgres().execute(sql)

    def _sqlite(self) -> Any:
        import sqlite3

        connection = sqlite3.connect(self.store.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _postgres(self) -> Any:
        import psycopg

        return psycopg.connect(self.store, autocommit=True, prepare_threshold=0)

    def _committing(self) -> Callable[[], Any]:
        """A connection of its own, and one commit on it."""
        if self.store.startswith("sqlite"):
            sqlite = self._sqlite()
            return lambda: sqlite.execute("INSERT INTO answers VALUES (?)", (ANSWER,))
        postgres = self._postgres()
        return lambda: postgres.execute("INSERT INTO answers VALUES (%s)", (ANSWER,))

    def round(self, key: str, steps: int) -> dict[str, list[float]]:
        return {"step": [_timed(self.commit) for _ in range(steps)]}

    def threads(self, key: str, threads: int, steps: int) -> dict[str, float]:
        def work(n: int) -> None:
            for _ in range(steps):
                commits[n]()

        commits = [self._committing() for _ in range(threads)]
        return _at_once(work, threads)


class PayonceSteps:
    """A job of paid steps, as a user writes it."""

    def __init__(self, store: str) -> None:
        from payonce import Payonce

        self.app = Payonce(store, version="bench")
        self.step = self.app.step(name="chapter")(lambda n: ANSWER)
        self.times: list[float] = []
        self.fails = True
        self.job = self.app.job(key="{key}", name="bench", attempts=1000)(self._work)
        self.quiet = self.app.job(key="{key}", name="quiet")(self._quiet)
        self.astep = self.app.step(name="achapter")(_awrite)
        self.ajob = self.app.job(key="{key}", name="async")(self._awork)

    def _work(self, key: str, steps: int) -> None:
        self.times = [_timed(lambda n=n: self.step(n)) for n in range(steps)]
        if self.fails:
            raise KeyError("parks the run")

    def _quiet(self, key: str, steps: int) -> None:
        for n in range(steps):
            self.step(n)

    async def _awork(self, key: str, steps: int) -> None:
        await asyncio.gather(*(self.astep(n) for n in range(steps)))

    def round(self, key: str, steps: int) -> dict[str, list[float]]:
        self._park(key, steps)
        paid = self.times
        self._wake(key)
        with self._mended():
            self.job(key, steps)
        return {"step": paid, "replay": self.times}

    def fanout(self, key: str, steps: int) -> float:
        return _timed(lambda: asyncio.run(self.ajob(key, steps)))

    def threads(self, key: str, threads: int, steps: int) -> dict[str, float]:
        return _at_once(lambda n: self.quiet(f"{key}:{n}", steps), threads)

    def receipts(self, key: str, receipts: int) -> float:
        self._park(key, receipts)
        took = []
        for _ in range(3):
            self._wake(key)
            took.append(_timed(lambda: self._park(key, receipts)) / 1000)
            assert len(self.times) == receipts
        self._wake(key)
        with self._mended():
            self.job(key, receipts)
        return statistics.median(took)

    def parked(self, key: str, deliveries: int) -> float:
        self._park(key, 1)
        since = time.perf_counter()
        for _ in range(deliveries):
            self._park(key, 1)
        self.app.journal.stop()  # each delivery's line of history is written, too
        rate = deliveries / (time.perf_counter() - since)
        self._wake(key)
        with self._mended():
            self.job(key, 1)
        return rate

    def _park(self, key: str, steps: int) -> None:
        from payonce import Parked

        with contextlib.suppress(Parked):
            self.job(key, steps)

    def _wake(self, key: str) -> None:
        run = self.app.journal.find("bench", key)
        assert run is not None
        assert self.app.journal.wake(run).now()

    @contextlib.contextmanager
    def _mended(self) -> Iterator[None]:
        self.fails = False
        yield
        self.fails = True


class DbosSteps:
    """A workflow of steps, with a workflow id of one's own; replayed by a fork behind its end."""

    def __init__(self, store: str) -> None:
        from dbos import DBOS, SetWorkflowID

        os.environ["DBOS__APPVERSION"] = "bench"
        DBOS(
            config={
                "name": "bench",
                "system_database_url": store,
                "application_version": "bench",
                "executor_id": f"bench-{os.getpid()}",
                "log_level": "ERROR",
                "console_log_level": "ERROR",
            }
        )
        self.dbos, self.named = DBOS, SetWorkflowID
        self.step = DBOS.step(name="chapter")(_write)
        self.astep = DBOS.step(name="achapter")(_awrite)
        self.times: list[float] = []
        self.work = DBOS.workflow(name="bench")(self._work())
        self.quiet = DBOS.workflow(name="quiet")(self._quiet())
        self.awork = DBOS.workflow(name="async")(self._awork())
        DBOS.launch()

    def _work(self) -> Callable[[int], None]:
        def work(steps: int) -> None:
            self.times = [_timed(lambda n=n: self.step(n)) for n in range(steps)]

        return work

    def _quiet(self) -> Callable[[int], None]:
        def quiet(steps: int) -> None:
            for n in range(steps):
                self.step(n)

        return quiet

    def _awork(self) -> Callable[[int], Any]:
        async def awork(steps: int) -> None:
            await asyncio.gather(*(self.astep(n) for n in range(steps)))

        return awork

    def round(self, key: str, steps: int) -> dict[str, list[float]]:
        with self.named(key):
            self.work(steps)
        paid = self.times
        self.dbos.fork_workflow(key, steps + 1).get_result()
        assert len(self.times) == steps
        assert self.times is not paid
        return {"step": paid, "replay": self.times}

    def fanout(self, key: str, steps: int) -> float:
        async def work() -> None:
            with self.named(key):
                await self.awork(steps)

        return _timed(lambda: asyncio.run(work()))

    def threads(self, key: str, threads: int, steps: int) -> dict[str, float]:
        def work(n: int) -> None:
            with self.named(f"{key}:{n}"):
                self.quiet(steps)

        return _at_once(work, threads)


def _write(n: int) -> str:
    return ANSWER


async def _awrite(n: int) -> str:
    return ANSWER


def _timed(call: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    since = time.perf_counter()
    call()
    return (time.perf_counter() - since) * 1000


def _at_once(work: Callable[[int], None], threads: int) -> dict[str, float]:
    """Do it in so many threads; when the first began and the last ended, by the system's clock."""
    failed: list[BaseException] = []
    ready = threading.Barrier(threads + 1)

    def one(n: int) -> None:
        ready.wait()
        try:
            work(n)
        except BaseException as exc:
            failed.append(exc)

    started = [threading.Thread(target=one, args=(n,)) for n in range(threads)]
    for thread in started:
        thread.start()
    ready.wait()
    since = time.monotonic()
    for thread in started:
        thread.join()
    if failed:
        raise failed[0]
    return {"since": since, "until": time.monotonic()}


def peak_mb() -> float:
    """The most memory that this process has had resident, in MB (proc(5), VmHWM)."""
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return round(int(line.split()[1]) / 1024, 1)
    except OSError:
        import resource

        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)


CONTENDERS = {"floor": Floor, "payonce": PayonceSteps, "dbos": DbosSteps}


def main() -> None:
    """Answer commands until there are no more; what libraries print goes to the error stream."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    name, store = sys.argv[1:]
    contender = CONTENDERS[name](store)
    answers.write(json.dumps({"peak_mb": peak_mb()}) + "\n")
    for line in sys.stdin:
        verb, *given = json.loads(line)
        found = peak_mb() if verb == "peak" else getattr(contender, verb)(*given)
        answers.write(json.dumps(found) + "\n")
    answers.flush()
    os._exit(0)  # whatever threads a library has left


if __name__ == "__main__":
    main()
