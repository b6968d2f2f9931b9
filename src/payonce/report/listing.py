"""Reading: many runs, one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from payonce.journal.protocol import RunSummary
from payonce.model import Run
from payonce.report import text
from payonce.report.tables import table
from payonce.waking import Look

_SHOWN = 20


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


def parked_tables(
    summaries: Sequence[RunSummary], look: Callable[[Run], Look | None] | None = None
) -> Iterator[RenderableType]:
    """Parked runs, those of one cause together, the most frequent cause first.

    With `look`, what is seen now of the world that they wait for.
    """
    for cause in by_cause(summaries):
        yield Text(_cause(cause), style="bold yellow")
        if look is not None:
            yield Text(_seen(look(cause[0].run)))
        yield table(
            "key,job,tenant,#attempts,since,reason",
            (_parked_row(summary) for summary in cause[:_SHOWN]),
            spare=("tenant", "attempts", "since", "job"),
        )
        if len(cause) > _SHOWN:
            yield f"and {len(cause) - _SHOWN} more: payonce parked --json"
        yield ""


def _seen(seen: Look | None) -> str:
    if seen is None:
        return "looked just now: this app doesn't have the job"
    if seen.moved:
        return "looked just now: the world has changed, payonce wake lets them go on"
    parts = []
    if seen.lacks:
        parts.append(f"still: {', '.join(seen.lacks)}")
    if seen.unread:
        parts.append(f"can't be read: {', '.join(seen.unread)}")
    return f"looked just now: {'; '.join(parts) or 'the world is the same'}"


def by_cause(summaries: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """Parked runs, those of one cause together; the runs that failed by it before those held."""
    causes: dict[tuple[str, str], list[RunSummary]] = {}
    for summary in sorted(summaries, key=lambda summary: summary.run.held):
        run = summary.run
        causes.setdefault((run.job, run.fingerprint or ""), []).append(summary)
    return sorted(causes.values(), key=len, reverse=True)


def _cause(summaries: Sequence[RunSummary]) -> str:
    run = summaries[0].run
    waits = ", ".join(run.wakes_on)
    held = sum(summary.run.held for summary in summaries)
    tenants = len({summary.run.tenant for summary in summaries if summary.run.tenant})
    probes = [summary.run.retry_at for summary in summaries if summary.run.retry_at is not None]
    parts = [
        text.plural(len(summaries), "run"),
        f"{held} held at the door" if held else "",
        text.plural(tenants, "tenant") if tenants else "",
        run.kind.value if run.kind else "",
        run.evidence or "",
        f"since {text.clock(min(summary.run.updated_at for summary in summaries))}",
        f"waits for: {waits or 'a person'}" if waits or not probes else "",
        f"tried again from {text.clock(min(probes))} on" if probes else "",
        f"cause {run.fingerprint[:12]}" if run.fingerprint and waits else "",
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
        "held": run.held,
        "retry_at": text.moment(run.retry_at),
        "paid_calls": summary.paid,
        "in_doubt": summary.in_doubt,
    }


def look_row(seen: Look | None) -> dict[str, Any]:
    """What is seen of a run's world, for programs; None where nothing can be told."""
    return {
        "world_moved": seen and seen.moved,
        "lacks": None if seen is None else list(seen.lacks),
        "unread": None if seen is None else list(seen.unread),
    }
