"""Edge: a question to a database whose network has fallen silent comes to an end.

No driver bounds a read that it has begun (libpq has no such setting), and a delivery must not
hang on it. So after a while the connection's socket is shut down, and the driver finds it closed.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

LONGEST = 10.0
"""Seconds that one question may take."""


@contextmanager
def bounded(raw: Any) -> Iterator[None]:
    """Cut a connection off if the block takes longer; one without a socket is left alone."""
    number = _socket(raw)
    if number is None:
        yield
        return
    timer = threading.Timer(LONGEST, _shut, [number])
    timer.daemon = True
    timer.name = "payonce-guard"
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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
