"""Reading: parked runs, told apart by what parked them."""

from __future__ import annotations

from collections.abc import Sequence

from payonce import budget
from payonce.journal.protocol import RunSummary


def by_cause(summaries: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """Parked runs, those of one cause together; the runs that failed by it before those held."""
    causes: dict[tuple[str, str], list[RunSummary]] = {}
    for summary in sorted(summaries, key=lambda summary: summary.run.held):
        run = summary.run
        job = run.job if budget.of_fingerprint(run.fingerprint) is None else ""
        causes.setdefault((job, run.fingerprint or ""), []).append(summary)
    return sorted(causes.values(), key=len, reverse=True)
