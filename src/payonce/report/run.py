"""Reading: one run, with all that the journal knows of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from payonce import drift
from payonce.journal.protocol import Journal
from payonce.lease import is_dead
from payonce.model import Arrival, Attempt, Call, Run, RunState, World
from payonce.report import text
from payonce.report.advice import advice
from payonce.report.answer import as_text
from payonce.report.tables import facts, table
from payonce.report.totals import Totals
from payonce.waking import billed

_MOST, _FIRST, _LAST = 12, 6, 5


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run's history; `now` is the journal's time at which it was read.

    `lost` says that its worker is known to be gone: it was one of this machine.
    """

    run: Run
    arrivals: list[Arrival]
    attempts: list[Attempt]
    calls: list[Call]
    now: float
    lost: bool = False

    @classmethod
    def read(cls, journal: Journal, run: Run) -> RunReport:
        """Read all of a run, calls in the order in which they were made."""
        history = journal.history(run.id)
        run = journal.find(run.job, run.key) or run
        return cls(
            run=run,
            arrivals=history.arrivals,
            attempts=history.attempts,
            calls=sorted(journal.calls(run.id), key=lambda call: call.id),
            now=journal.now(),
            lost=run.state is RunState.RUNNING and is_dead(run.lease_owner),
        )

    @property
    def totals(self) -> Totals:
        """What its calls add up to."""
        return Totals.of(self.calls)

    def cost(self, call: Call) -> str | None:
        """What a call cost; None where it was not billed, or only through calls of its own."""
        return text.cost(call) if call in billed(self.calls) else None

    @property
    def next(self) -> list[str]:
        """What a person can do about it."""
        return advice(self.run, self.calls, self.now, lost=self.lost)


def run_view(
    report: RunReport, *, answers: bool = False, error: bool = False
) -> Iterator[RenderableType]:
    """A run for people; with the texts of its answers, or the last failure's traceback."""
    yield _head(report)
    yield ""
    yield table(
        "at,queue,message,#retry,#previous,#attempt,answer",
        _arrival_rows(report.arrivals),
        spare=("previous", "message"),
        title=text.plural(len(report.arrivals), "delivery", "deliveries"),
    )
    yield ""
    worlds = list(dict.fromkeys(attempt.world for attempt in report.attempts))
    yield table(
        "#attempt,started,outcome,at step,world,reason",
        (_attempt_row(attempt, worlds) for attempt in report.attempts),
        spare=("world",),
        title=text.plural(len(report.attempts), "attempt"),
    )
    yield facts((f"world {_letter(n)}", _world(world)) for n, world in enumerate(worlds))
    yield ""
    if report.calls:
        yield table(
            "#call,step,#occurrence,#send,#attempt,state,model,tokens,#cost,reason",
            (_call_row(call, report.cost(call)) for call in report.calls),
            spare=("attempt", "send", "tokens", "occurrence", "model"),
            title=text.plural(len(report.calls), "call"),
        )
        yield ""
    yield from _drifts(report.calls)
    if answers:
        yield from _answers(report)
    if error:
        yield from _error(report.attempts)
    yield Text("What to do next", style="bold")
    yield from report.next


def _head(report: RunReport) -> RenderableType:
    run = report.run
    rows: list[tuple[str, str | Text | None]] = [
        ("run", Text(run.key, style="bold")),
        ("job", run.job),
        ("tenant", run.tenant),
        ("state", Text(run.state.value, style=text.STYLES[run.state])),
        ("reason", run.reason),
        ("evidence", _evidence(run)),
        ("waits for", ", ".join(run.wakes_on) if run.state is RunState.PARKED else None),
        ("in the world", _world(run.world) if run.state is RunState.PARKED else None),
        ("retry at", text.clock(run.retry_at)),
        ("worker", f"{run.lease_owner} (gone)" if report.lost else run.lease_owner),
        ("arguments", _arguments(run)),
        ("result", as_text(run.result, 400) if run.result else None),
        ("created", text.clock(run.created_at)),
        ("updated", text.clock(run.updated_at)),
        ("money", report.totals.sentence()),
    ]
    return facts(rows)


def _arguments(run: Run) -> str:
    given = text.arguments(run.arguments).items()
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given)


def _evidence(run: Run) -> str | None:
    return f"{run.kind.value}: {run.evidence}" if run.kind and run.evidence else run.evidence


def _world(world: World | None) -> str | None:
    return None if world is None else f"code {world.code}, schema {world.schema or 'none watched'}"


def _arrival_rows(arrivals: Sequence[Arrival]) -> list[list[str]]:
    if len(arrivals) <= _MOST:
        return [_arrival_row(arrival) for arrival in arrivals]
    hidden = arrivals[_FIRST:-_LAST]
    answers = sorted(arrival.answer for arrival in hidden)
    counts = ", ".join(f"{len(list(same))} × {answer}" for answer, same in groupby(answers))
    return [
        *(_arrival_row(arrival) for arrival in arrivals[:_FIRST]),
        [f"… {len(hidden)} more", "", "", "", "", "", counts],
        *(_arrival_row(arrival) for arrival in arrivals[-_LAST:]),
    ]


def _arrival_row(arrival: Arrival) -> list[str]:
    delivery = arrival.delivery
    return [
        text.clock(arrival.at),
        delivery.queue,
        delivery.message or "",
        "" if delivery.retry_count is None else str(delivery.retry_count),
        delivery.previous_response or "",
        "" if arrival.attempt is None else str(arrival.attempt),
        arrival.answer,
    ]


def _attempt_row(attempt: Attempt, worlds: Sequence[World]) -> list[str]:
    return [
        str(attempt.number),
        text.clock(attempt.started_at),
        attempt.outcome or "at work",
        attempt.at_step or "",
        _letter(worlds.index(attempt.world)),
        text.short(attempt.reason, 96),
    ]


def _letter(number: int) -> str:
    """A, B, … Z, then numbers."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def _call_row(call: Call, cost: str | None) -> list[str | Text | None]:
    return [
        str(call.id),
        call.name,
        str(call.occurrence + 1),
        str(call.send),
        str(call.attempt),
        Text(text.state_of(call), style=text.style_of(call)),
        call.model,
        text.tokens(call.usage),
        cost or text.NOTHING,
        text.short(call.reason),
    ]


def _drifts(calls: Sequence[Call]) -> Iterator[RenderableType]:
    found = [(call, told) for call in calls if (told := drift.read(call.drift)) is not None]
    if found:
        yield table(
            "#call,#unused,path,was,is",
            (
                [str(call.id), str(told.unused), change.path, change.old or "", change.new or ""]
                for call, told in found
                for change in told.changes
            ),
            title=f"drift: {text.plural(len(found), 'call')} made while a receipt lay unused",
        )
        yield ""


def _answers(report: RunReport) -> Iterator[RenderableType]:
    for call in report.calls:
        if call.answer is not None:
            yield Text(f"Answer of call {call.id} ({call.name})", style="bold")
            yield Text(as_text(call.answer))
            yield ""


def _error(attempts: Sequence[Attempt]) -> Iterator[RenderableType]:
    failed = next((attempt for attempt in reversed(attempts) if attempt.error), None)
    if failed is not None:
        yield Text(f"Error of attempt {failed.number}", style="bold")
        yield Text(failed.error or "")
