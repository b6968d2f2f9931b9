"""Reading: many runs, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from payonce.journal.protocol import RunSummary
from payonce.report import text
from payonce.report.tables import table


def runs_table(summaries: Sequence[RunSummary]) -> RenderableType:
    """Runs with what was delivered, paid, wasted, and what is in doubt."""
    return table(
        "state,key,job,tenant,#attempts,#deliveries,#paid,#in doubt,#wasted,updated,reason",
        (_row(summary) for summary in summaries),
        spare=("reason", "updated", "tenant", "attempts", "job"),
    )


def _row(summary: RunSummary) -> list[str | Text]:
    run = summary.run
    in_doubt = Text(str(summary.in_doubt), style="red" if summary.in_doubt else "")
    return [
        Text(run.state.value, style=text.STYLES[run.state]),
        run.key,
        run.job,
        run.tenant or "",
        str(run.attempt),
        str(summary.deliveries),
        str(summary.paid),
        in_doubt,
        str(summary.rejected),
        text.clock(run.updated_at),
        text.short(run.reason, 60),
    ]


def run_row(summary: RunSummary) -> dict[str, Any]:
    """The same for programs."""
    run = summary.run
    return {
        "state": run.state.value,
        "key": run.key,
        "job": run.job,
        "tenant": run.tenant,
        "attempts": run.attempt,
        "deliveries": summary.deliveries,
        "paid_calls": summary.paid,
        "in_doubt": summary.in_doubt,
        "wasted": summary.rejected,
        "reason": run.reason,
        "retry_at": text.moment(run.retry_at),
        "updated": text.moment(run.updated_at),
    }


def parked_tables(summaries: Sequence[RunSummary]) -> Iterator[RenderableType]:
    """Parked runs, those of one cause together, the most frequent cause first."""
    for cause in _by_cause(summaries):
        yield Text(_cause(cause), style="bold yellow")
        yield table(
            "key,job,tenant,#attempts,since,reason",
            (_parked_row(summary) for summary in cause),
            spare=("tenant", "attempts", "since", "job"),
        )
        yield ""


def _by_cause(summaries: Sequence[RunSummary]) -> list[list[RunSummary]]:
    causes: dict[str, list[RunSummary]] = {}
    for summary in summaries:
        causes.setdefault(summary.run.fingerprint or "", []).append(summary)
    return sorted(causes.values(), key=len, reverse=True)


def _cause(summaries: Sequence[RunSummary]) -> str:
    run = summaries[0].run
    waits = ", ".join(run.wakes_on)
    parts = [
        text.plural(len(summaries), "run"),
        run.kind.value if run.kind else "",
        run.evidence or "",
        f"waits for: {waits}" if waits else "waits for: a person",
    ]
    return " · ".join(part for part in parts if part)


def _parked_row(summary: RunSummary) -> list[str]:
    run = summary.run
    since = text.clock(run.updated_at)
    reason = text.short(run.reason, 96)
    return [run.key, run.job, run.tenant or "", str(run.attempt), since, reason]


def parked_row(summary: RunSummary) -> dict[str, Any]:
    """One parked run for programs."""
    run = summary.run
    return {
        "key": run.key,
        "job": run.job,
        "tenant": run.tenant,
        "reason": run.reason,
        "kind": run.kind.value if run.kind else None,
        "evidence": run.evidence,
        "fingerprint": run.fingerprint,
        "wakes_on": [word.value for word in run.wakes_on],
        "since": text.moment(run.updated_at),
        "attempts": run.attempt,
        "paid_calls": summary.paid,
        "in_doubt": summary.in_doubt,
    }
