"""Short ways to take a delivery and to tell how it went."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from payonce import Payonce, PayonceError
from payonce.journal.protocol import RunFilter
from payonce.model import Run


def outcome(job: Callable[..., Any], *args: Any) -> Any:
    """One delivery: the job's value, or what it raised in the place of one."""
    try:
        return job(*args)
    except PayonceError as told:
        return told


def word(job: Callable[..., Any], *args: Any) -> str:
    """One delivery: `done`, or the name of what was raised."""
    told = outcome(job, *args)
    return type(told).__name__ if isinstance(told, PayonceError) else "done"


def until(true: Callable[[], object], seconds: float = 60) -> None:
    """Wait for an event.

    Raises:
        AssertionError: it has not come in time.
    """
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.02)


def runs(app: Payonce) -> dict[str, Run]:
    """All runs of the journal, by run key."""
    return {s.run.key: s.run for s in app.journal.runs(RunFilter(limit=10_000))}
