"""On the path, around an attempt: its lease is renewed while it works, and lost when it can't be.

A holder is named by host, the kernel's boot, process namespace, process id and that process's
start, so that a duplicate on the same machine can tell a dead holder from a slow one without
waiting, and takes nobody on another machine of the same name for dead.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Protocol

from payonce.journal.protocol import Journal

_log = logging.getLogger("payonce")


class Held(Protocol):
    """What the keeper of leases needs of a run scope."""

    journal: Journal
    run_id: int
    attempt: int
    lease: float

    def lose(self) -> None:
        """The lease is lost: no further call may be made."""


class _Keeper:
    """Renews all leases of this process, from one thread, three times within each."""

    def __init__(self) -> None:
        self._due: dict[Held, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, held: Held) -> None:
        with self._changed:
            self._due[held] = time.monotonic() + held.lease / 3
            if self._thread is None:
                thread = threading.Thread(target=self._keep, name="payonce-lease", daemon=True)
                thread.start()  # may fail: then the next lease tries again
                self._thread = thread
            self._changed.notify()

    def remove(self, held: Held) -> None:
        with self._changed:
            self._due.pop(held, None)

    def _keep(self) -> None:
        while True:
            for held in self._next():
                _renew(held)

    def _next(self) -> list[Held]:
        """Wait for the leases that are due, and put them off to their next time."""
        with self._changed:
            while not self._due:
                self._changed.wait()
            now = time.monotonic()
            due = [held for held, at in self._due.items() if at <= now]
            if not due:
                self._changed.wait(min(self._due.values()) - now)
            for held in due:
                self._due[held] = now + held.lease / 3
            return due


def _renew(held: Held) -> None:
    try:
        kept = held.journal.renew(held.run_id, held.attempt, held.lease).now()
    except Exception as exc:
        _log.warning("the lease on run %d could not be renewed: %s", held.run_id, exc)
        return
    if not kept:
        held.lose()


_keeper = _Keeper()


def _after_fork() -> None:
    global _keeper
    _keeper = _Keeper()


os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def renewed(held: Held) -> Iterator[None]:
    """Keep a lease for as long as the block runs, which may end in a child forked in it, too."""
    _keeper.add(held)
    try:
        yield
    finally:
        _keeper.remove(held)


def owner() -> str:
    """This process's name as a holder of leases."""
    return _owner(os.getpid())


@cache
def _owner(pid: int) -> str:
    return f"{_machine()}/{pid}/{_started(pid)}"


@cache
def _machine() -> str:
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = "-"
    return f"{socket.gethostname()}/{_boot()}/{namespace}"


def _boot() -> str:
    """This boot of the kernel, random for each (proc(5), sys/kernel/random/boot_id)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:13]
    except OSError:
        return "-"


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot (proc(5), field 22 of stat), or "-"."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "-"
    fields = stat.rpartition(")")[2].split()
    return "-" if fields[0] in ("Z", "X") else fields[19]


def is_dead(holder: str | None) -> bool:
    """Whether a holder is known to be gone; False where that can't be told from here."""
    if holder is None:
        return False
    machine, _, rest = holder.rpartition("/")
    machine, _, pid = machine.rpartition("/")
    if machine != _machine() or not pid.isdigit() or rest == "-":
        return False
    return _started(int(pid)) != rest
