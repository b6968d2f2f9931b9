"""Reading: many runs, one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from payonce import budget
from payonce.journal.protocol import RunSummary
from payonce.model import Run, RunState, WakesOn
from payonce.report import text
from payonce.report.budgets import title
from payonce.report.causes import by_cause
from payonce.report.commands import command
from payonce.report.tables import table

if TYPE_CHECKING:
    from payonce.looks import Look

_SHOWN = 20
_SAID_AGAIN = {" is missing": " is still missing", " does not exist": " still does not exist"}


def runs_table(summaries: Sequence[RunSummary]) -> RenderableType:
    """Runs with what was delivered, paid, what it cost, wasted, and what is in doubt."""
    return table(
        "state,key,job,tenant,#attempts,#deliveries,#paid,#cost,#in doubt,#wasted,updated,reason",
        (_row(summary) for summary in summaries),
        spare=("reason", "updated", "tenant", "attempts", "job", "wasted", "deliveries"),
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
        text.costs(summary.money, summary.unpriced),
        in_doubt,
        str(summary.rejected),
        text.clock(run.updated_at),
        "" if run.state is RunState.RUNNING else text.short(run.reason, 60),
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
        "money": {money.currency: money.amount for money in summary.money},
        "unknown_price": summary.unpriced,
        "in_doubt": summary.in_doubt,
        "wasted": summary.rejected,
        "reason": run.reason,
        "retry_at": text.moment(run.retry_at),
        "updated": text.moment(run.updated_at),
    }


def parked_tables(
    summaries: Sequence[RunSummary], look: Callable[[Run], Look | None], now: float
) -> Iterator[RenderableType]:
    """Parked runs, those of one cause together, the most frequent cause first.

    Args:
        summaries: what is parked.
        look: what is seen of the world that a run waits for, now or by the last look.
        now: the moment, in seconds since the epoch.
    """
    for cause in by_cause(summaries):
        yield Text(_cause(cause), style="bold yellow")
        if budget.of_fingerprint(cause[0].run.fingerprint):
            yield from _by_a_budget(cause[0].run, len(cause))
        elif cause[0].run.wakes_on:
            yield Text(_seen(cause[0].run, look(cause[0].run), now, len(cause)))
        yield table(
            "key,job,tenant,#attempts,since,reason",
            (_parked_row(summary) for summary in cause[:_SHOWN]),
            spare=("tenant", "attempts", "since", "job"),
        )
        if len(cause) > _SHOWN:
            yield f"and {len(cause) - _SHOWN} more: {command('payonce parked')} --json"
        yield ""


def _by_a_budget(run: Run, count: int) -> Iterator[Text]:
    """What lets runs go on that a limit has parked."""
    rule = budget.of_fingerprint(run.fingerprint)
    if rule is None:
        return
    per = "" if rule.per == "total" else f" per {rule.per}, or when the {rule.per} is over"
    go = "it goes on" if count == 1 else "they go on"
    raising = command(rule.command)
    yield Text(f"{go} when more is allowed for {title(rule)}{per}: {raising}")


def _seen(run: Run, seen: Look | None, now: float, count: int) -> str:
    if seen is None:
        return "not checked since: no process with this job has looked"
    checked = f"checked {text.ago(now - seen.at)}"
    if seen.moved:
        whom = "it" if count == 1 else "them"
        return f"the world has changed, {checked}: payonce wake lets {whom} go on"
    parts = [_still(run, seen)]
    if seen.unread:
        parts.append(f"can't be read: {', '.join(seen.unread)}")
    return f"{'; '.join(each for each in parts if each)}, {checked}"


def _still(run: Run, seen: Look) -> str:
    """What is as it was: a defect by the job's own `needs=`, else what is watched."""
    if seen.lacks:
        return ", ".join(_of_now(defect) for defect in seen.lacks)
    if not seen.watched:
        return "" if seen.unread else "nothing that is watched has changed"
    unchanged = "what is watched has not changed"
    if seen.unread or WakesOn.SCHEMA not in run.wakes_on or not run.reason:
        return "" if seen.unread else unchanged
    return f"{_of_now(run.reason)} ({unchanged})"


def _of_now(defect: str) -> str:
    """A sentence on what is missing, said again."""
    for plain, again in _SAID_AGAIN.items():
        if plain in defect:
            return defect.replace(plain, again, 1)
    return f"still: {defect}"


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
        f"cause {_shown(run.fingerprint)}" if run.fingerprint and waits else "",
    ]
    return " · ".join(part for part in parts if part)


def _shown(fingerprint: str) -> str:
    return fingerprint if budget.of_fingerprint(fingerprint) else fingerprint[:12]


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
        "checked": None if seen is None else text.moment(seen.at),
        "world_moved": seen and seen.moved,
        "lacks": None if seen is None else list(seen.lacks),
        "unread": None if seen is None else list(seen.unread),
    }
