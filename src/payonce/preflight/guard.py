"""Edge: a question to a database whose network has fallen silent comes to an end.

No driver bounds a read that it has begun (libpq has no such setting), and a delivery must not
hang on it. So after a while the connection's socket is shut down, and the driver finds it closed.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

LONGEST = 10.0
"""Seconds that one question may take."""


class _Guard:
    """One thread for all questions of a process that are under way; it ends when there are none."""

    def __init__(self) -> None:
        self._ends: dict[object, tuple[float, int]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, question: object, number: int) -> None:
        with self._changed:
            self._ends[question] = (time.monotonic() + LONGEST, number)
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="payonce-guard", daemon=True)
                with suppress(RuntimeError):  # no thread to be had: the question is not bounded
                    thread.start()
                    self._thread = thread
            self._changed.notify()

    def remove(self, question: object) -> None:
        with self._changed:
            self._ends.pop(question, None)

    def _watch(self) -> None:
        with self._changed:
            while self._ends or self._changed.wait(LONGEST):
                now = time.monotonic()
                for question, (end, number) in list(self._ends.items()):
                    if end <= now:
                        _shut(number)
                        del self._ends[question]
                if self._ends:
                    self._changed.wait(min(end for end, _ in self._ends.values()) - now)
            self._thread = None


_guard = _Guard()


def _start_anew() -> None:
    global _guard
    _guard = _Guard()


os.register_at_fork(after_in_child=_start_anew)


@contextmanager
def bounded(raw: Any) -> Iterator[None]:
    """Cut a connection off if the block takes longer; one without a socket is left alone."""
    number = _socket(raw)
    if number is None:
        yield
        return
    guard, question = _guard, object()
    guard.add(question, number)
    try:
        yield
    finally:
        guard.remove(question)


def _socket(raw: Any) -> int | None:
    """The socket of psycopg's, psycopg2's, PyMySQL's and asyncpg's connections."""
    inner = getattr(raw, "driver_connection", raw)
    with suppress(Exception):
        if hasattr(inner, "pgconn"):
            return int(inner.pgconn.socket)
        if callable(getattr(inner, "fileno", None)):
            return int(inner.fileno())
        if (held := getattr(inner, "_sock", None)) is not None:
            return int(held.fileno())
        if (transport := getattr(inner, "_transport", None)) is not None:
            return int(transport.get_extra_info("socket").fileno())
    return None


def _shut(number: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(number)) as held:
        held.shutdown(socket.SHUT_RDWR)
