"""Around an attempt: its lease is renewed while it works; a dead holder is known as dead."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.journal.making import found, opened
from tests.journal.stores import Clock

from payonce import Payonce
from payonce.journal import journal_at
from payonce.journal.protocol import Journal
from payonce.lease import is_dead, owner, renewed


@dataclass(eq=False)
class Held:
    """One lease, and whether it was lost."""

    journal: Journal
    run_id: int
    attempt: int
    lease: float = 0.03
    lost: threading.Event = field(default_factory=threading.Event)

    def lose(self) -> None:
        """Take it down."""
        self.lost.set()


class Seen:
    """A journal whose renewals can be waited for."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self.renewals = journal, threading.Semaphore(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def renew(self, run_id: int, attempt: int, lease: float) -> Any:
        """Count it."""
        self.renewals.release()
        return self._journal.renew(run_id, attempt, lease)


def test_a_lease_is_renewed_while_the_work_goes_on(app: Payonce, clock: Clock) -> None:
    """Again and again, each time for its whole length."""
    run = opened(app.journal)
    seen = Seen(app.journal)
    clock.move(10)
    with renewed(Held(seen, run.id, run.attempt)):  # type: ignore[arg-type]
        for _ in range(4):
            assert seen.renewals.acquire(timeout=10)
    assert found(app.journal).lease_until == clock.now + 0.03


def test_a_lost_lease_is_told(app: Payonce, clock: Clock) -> None:
    """The attempt that was taken over from hears of it, though it makes no call."""
    run = opened(app.journal)
    clock.move(31)
    opened(app.journal, owner="two")
    held = Held(app.journal, run.id, run.attempt)
    with renewed(held):
        assert held.lost.wait(10)


def test_a_renewal_that_fails_loses_nothing(
    app: Payonce, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """While the journal can't be written the lease may still hold; the log tells of it."""
    broken = journal_at("sqlite:////proc/none/journal.db", clock=clock, patience=0.05)
    run = opened(app.journal)
    seen = Seen(broken)
    held = Held(seen, run.id, run.attempt)  # type: ignore[arg-type]
    with renewed(held):
        for _ in range(3):
            assert seen.renewals.acquire(timeout=10)
    assert not held.lost.is_set()
    assert "could not be renewed" in caplog.text


def test_one_process_renews_many_leases(app: Payonce) -> None:
    """All leases of a process are kept at once, until their blocks end."""
    runs = [opened(app.journal, f"course:{n}") for n in range(3)]
    helds = [Held(Seen(app.journal), run.id, run.attempt) for run in runs]  # type: ignore[arg-type]
    with renewed(helds[0]), renewed(helds[1]), renewed(helds[2]):
        for held in helds:
            assert held.journal.renewals.acquire(timeout=10)  # type: ignore[attr-defined]
    assert not any(held.lost.is_set() for held in helds)


def test_this_process_lives() -> None:
    """Its own name stays the same, and is that of no dead process."""
    assert owner() == owner()
    assert not is_dead(owner())
    assert str(os.getpid()) in owner().split("/")


def test_a_process_that_ended_is_dead() -> None:
    """Its name tells so, on its own machine."""
    program = "from payonce.lease import owner; print(owner())"
    name = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=15
    ).stdout.strip()
    assert is_dead(name)


def test_a_zombie_is_dead() -> None:
    """A process that was killed and not yet waited for works no more."""
    program = "from payonce.lease import owner; print(owner(), flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert not is_dead(name)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(name)
    process.communicate()


def test_a_process_id_that_was_used_again_is_another_process() -> None:
    """The same number with another start is not the holder."""
    machine, _, _ = owner().rpartition("/")
    assert is_dead(f"{machine}/1")


@pytest.mark.parametrize("name", [None, "one", "elsewhere/pid:[1]/1/1", "a/b/c/d/e", "///", "/x/-"])
def test_what_cannot_be_told_is_alive(name: str | None) -> None:
    """A holder on another machine, or with a name that isn't ours, is not known to be dead."""
    assert not is_dead(name)


def test_a_child_has_a_name_of_its_own() -> None:
    """After a fork parent and child are different holders."""
    mine = owner()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, owner().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    theirs = os.read(read, 1000).decode()
    os.close(read)
    os.close(write)
    assert theirs != mine
    assert is_dead(theirs)
