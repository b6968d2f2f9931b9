"""Reading: commands that a person can run next, for the store that was looked at."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from payonce.redact import redact

_named: ContextVar[str | None] = ContextVar("payonce_named_store", default=None)


@contextmanager
def of_store(store: str | None) -> Iterator[None]:
    """Commands name this store, its secrets masked; None where they find it by themselves."""
    token = _named.set(store)
    try:
        yield
    finally:
        _named.reset(token)


def command(written: str) -> str:
    """A command, with its store where a person had to name it."""
    store = _named.get()
    return written if store is None else f"{written} --store {shlex.quote(redact(store))}"
