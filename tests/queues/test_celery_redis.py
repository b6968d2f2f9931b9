"""Celery over a real Redis: a message comes again after its visibility time-out, paid once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from tests.databases.redis_server import NoRedis, RedisServer

from payonce.journal import journal_at
from payonce.journal.protocol import RunFilter
from payonce.model import CallState, RunState
from payonce.testing import MeteredProvider

HERE = Path(__file__).parent
GUARD = HERE.parent / "chaos" / "apps" / "guard.py"
SECONDS = 90


class Fleet:
    """Celery's workers on one broker, and what they have told."""

    def __init__(self, folder: Path, server: RedisServer, provider: MeteredProvider) -> None:
        self.folder, self.server, self.provider = folder, server, provider
        self.url = f"sqlite:///{folder}/payonce.db"
        self._workers: list[subprocess.Popen[bytes]] = []
        shutil.copy(HERE / "apps" / "celery_app.py", folder)
        shutil.copy(GUARD, folder)

    def send(self, course_id: int) -> None:
        """Put a message into the queue."""
        with Celery(broker=self.server.url) as queue:
            queue.send_task("generate", [course_id])

    def worker(self) -> subprocess.Popen[bytes]:
        """Another worker, with one task at a time."""
        named = {"BROKER": self.server.url, "PAYONCE_STORE": self.url}
        with (self.folder / f"worker-{len(self._workers)}.log").open("wb") as log:
            self._workers.append(
                subprocess.Popen(
                    [
                        *(sys.executable, "-m", "celery", "-A", "celery_app:queue", "worker"),
                        *("--pool", "solo", "--without-gossip", "--without-mingle"),
                        "--without-heartbeat",
                    ],
                    cwd=self.folder,
                    env=os.environ | self.provider.environ() | named | {"PARENT_PID": _me()},
                    stdout=log,
                    stderr=log,
                )
            )
        return self._workers[-1]

    def told(self, word: str) -> bool:
        """Whether a delivery has ended with this word."""
        file = self.folder / "told"
        return file.exists() and any(n.split()[1] == word for n in file.read_text().splitlines())

    def until(self, true: Callable[[], object]) -> None:
        """Wait for an event."""
        end = time.monotonic() + SECONDS
        while not true():
            if time.monotonic() > end:
                logs = sorted(self.folder.glob("*.log"))
                raise AssertionError("\n".join(log.read_text()[-4_000:] for log in logs))
            time.sleep(0.05)

    def stop(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.kill()
            worker.wait(SECONDS)


def _me() -> str:
    return str(os.getpid())


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A broker, and no worker yet; skipped at home where there is no Redis."""
    try:
        server = RedisServer.start()
    except NoRedis as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    with MeteredProvider() as provider:
        fleet = Fleet(tmp_path, server, provider)
        yield fleet
        fleet.stop()
    server.stop()


@pytest.mark.slow
def test_a_message_that_comes_again_while_it_is_worked_on_pays_once(fleet: Fleet) -> None:
    """Given a task that takes longer than the visibility time-out, so that Redis gives its message
    to a second worker, then that one is told that the run is at work, and all is paid once."""
    fleet.send(1)
    with fleet.provider.hold("two") as held:
        fleet.worker()
        assert held.arrived.wait(SECONDS)
        fleet.worker()
        fleet.until(lambda: fleet.told("Busy"))
    fleet.until(lambda: fleet.told("done"))
    assert [fleet.provider.billed(part) for part in ("one", "two", "three")] == [1, 1, 1]
    journal = journal_at(fleet.url)
    [summary] = journal.runs(RunFilter())
    assert (summary.run.state, summary.run.attempt) == (RunState.DONE, 1)
    journal.stop()


@pytest.mark.slow
def test_a_worker_that_is_killed_is_followed_by_another(fleet: Fleet) -> None:
    """Given a worker that is killed after a call was billed, then Redis gives the message to
    another, which replays what has a receipt, repeats that call once, and shows it in doubt."""
    fleet.send(1)
    with fleet.provider.hold("two") as held:
        killed = fleet.worker()
        assert held.arrived.wait(SECONDS)
        killed.kill()
        killed.wait(SECONDS)
    fleet.worker()
    fleet.until(lambda: fleet.told("done"))
    assert [fleet.provider.billed(part) for part in ("one", "two", "three")] == [1, 2, 1]
    journal = journal_at(fleet.url)
    [summary] = journal.runs(RunFilter())
    calls = journal.calls(summary.run.id)
    assert [call.name for call in calls if call.state is CallState.IN_DOUBT] == ["celery_app.write"]
    journal.stop()
    with redis.Redis(port=fleet.server.port) as client:
        fleet.until(lambda: not client.zcard("unacked_index") and not client.llen("celery"))
