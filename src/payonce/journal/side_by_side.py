"""Memory: reads that don't wait for each other, done at the same time.

Databases work outside of the interpreter's lock: a server does, and SQLite lets go of it. The
threads are daemons, so that whoever interrupts a long look need not wait for its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Lock, Thread
from typing import TypeVar

T = TypeVar("T")
AT_ONCE = 4
"""How many reads are under way at most: as many connections are opened."""


def aside(read: Callable[[], T]) -> Callable[[], T]:
    """Begin a read, and return what waits for its end: it returns or raises what the read did."""
    ended: list[Callable[[], T]] = []
    thread = Thread(target=lambda: ended.append(_done(read)), name="payonce-read", daemon=True)
    thread.start()

    def wait() -> T:
        thread.join()
        return ended[0]()

    return wait


def together(reads: Iterable[Callable[[], T]]) -> list[T]:
    """Do reads, some at once, and return what they return, in their order."""
    asked = list(reads)
    left, lock = iter(enumerate(asked)), Lock()

    def next_one() -> tuple[int, Callable[[], T]] | None:
        with lock:
            return next(left, None)

    def work() -> list[tuple[int, T]]:
        return [(n, read()) for n, read in iter(next_one, None)]

    others = [aside(work) for _ in range(min(AT_ONCE, len(asked)) - 1)]
    found = dict(pair for part in _all_of(work, others) for pair in part)
    return [found[n] for n in range(len(asked))]


def _all_of(own: Callable[[], T], others: Iterable[Callable[[], T]]) -> Iterator[T]:
    yield own()
    for wait in others:
        yield wait()


def _done(read: Callable[[], T]) -> Callable[[], T]:
    try:
        found = read()
    except BaseException as exc:
        failed = exc
    else:
        return lambda: found

    def fail() -> T:
        raise failed

    return fail
