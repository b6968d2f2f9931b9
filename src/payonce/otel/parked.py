"""Edge, inside `otel`: the runs that are parked now, read when metrics are exported.

That is the exporter's thread, and no delivery's. A read lists so many runs at most, and what it has
found is told for a while, however often it is asked for.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from payonce.errors import InDoubt
from payonce.journal.protocol import Journal, RunFilter
from payonce.model import Run, RunState

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

MOST = 1_000
"""Runs that a read lists; those that were parked first are not counted beyond it."""
_FRESH = 15.0

By = tuple[tuple[str, str], ...]


class Parked:
    """Counts the parked runs of a journal, by job, failure kind, and what would wake them."""

    def __init__(
        self, meter: Meter, journal: Journal, complain: Callable[[Exception, str], object]
    ) -> None:
        self._journal, self._complain = journal, complain
        self._found: Counter[By] = Counter()
        self._known: set[By] = set()
        self._until = 0.0
        self._reading = threading.Lock()
        meter.create_observable_gauge(
            "payonce.parked.runs", [self._observe], "{run}", "Runs that are parked now."
        )

    def _observe(self, options: CallbackOptions) -> Iterable[Observation]:
        """One number for each kind; a kind that is gone is told as 0."""
        from opentelemetry.metrics import Observation

        with self._reading:
            if time.monotonic() >= self._until:
                try:
                    self._read()
                except Exception as exc:
                    self._complain(exc, "the parked runs could not be counted")
                    return []
            return [Observation(self._found[by], dict(by)) for by in self._known]

    def _read(self) -> None:
        listed = self._journal.runs(RunFilter(state=RunState.PARKED, limit=MOST))
        self._found = Counter(_kind(summary.run) for summary in listed)
        self._known |= self._found.keys()
        self._until = time.monotonic() + _FRESH


def _kind(run: Run) -> By:
    waits = ",".join(run.wakes_on) or ("person" if run.evidence == InDoubt.__name__ else "none")
    told: dict[str, Any] = {
        "payonce.job": run.job,
        "payonce.failure.kind": run.kind or "unknown",
        "payonce.wakes_on": waits,
    }
    return tuple(told.items())
