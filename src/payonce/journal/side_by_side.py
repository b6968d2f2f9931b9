"""Memory: reads that don't wait for each other, done at the same time.

Databases work outside of the interpreter's lock: a server does, and SQLite lets go of it. The
threads are daemons, so that whoever interrupts a long look need not wait for its end. What fails
beside others is asked once more, alone: a server may have no more than one connection to spare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Lock, Thread
from typing import TypeVar

T = TypeVar("T")
AT_ONCE = 2
"""How many reads are under way at most: each takes a connection, and two take half of the time."""


def aside(read: Callable[[], T]) -> Callable[[], T]:
    """Begin a read, and return what waits for its end and returns what it read."""
    found: list[T] = []
    thread = _started(lambda: found.append(read()))

    def wait() -> T:
        thread.join()
        return found[0] if found else read()

    return wait


def together(reads: Iterable[Callable[[], T]]) -> list[T]:
    """Do reads, some at once, and return what they read, in their order."""
    asked = list(reads)
    left, lock = iter(enumerate(asked)), Lock()
    found: dict[int, T] = {}

    def next_one() -> tuple[int, Callable[[], T]] | None:
        with lock:
            return next(left, None)

    def work() -> None:
        for n, read in iter(next_one, None):
            with suppress(Exception):
                found[n] = read()

    others = [_started(work) for _ in range(min(AT_ONCE, len(asked)) - 1)]
    work()
    for other in others:
        other.join()
    return [found[n] if n in found else read() for n, read in enumerate(asked)]


def _started(work: Callable[[], None]) -> Thread:
    def quietly() -> None:
        with suppress(Exception):
            work()

    thread = Thread(target=quietly, name="payonce-read", daemon=True)
    thread.start()
    return thread
