"""Reading: the calls in doubt that a person is asked about, as a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType

from payonce.model import Call
from payonce.money import Money
from payonce.report import text
from payonce.report.tables import table
from payonce.resolving import Doubtful, Resolved

_SHOWN = 60


def doubtful_view(found: Sequence[Doubtful]) -> Iterator[RenderableType]:
    """One line for each, the oldest first, and what they may have cost."""
    yield table(
        "#call,run,job,step,since,#at most,why",
        (
            [
                str(each.call.id),
                each.key,
                each.job,
                each.call.name,
                text.clock(each.call.ended_at),
                "" if (most := _at_most(each.call)) is None else str(most),
                text.short(each.call.reason),
            ]
            for each in found[:_SHOWN]
        ),
        spare=("since", "job"),
    )
    if len(found) > _SHOWN:
        yield f"and {len(found) - _SHOWN} more: payonce resolve --all --json lists them"
    yield _sum(found)


def _sum(found: Sequence[Doubtful]) -> str:
    sums: dict[str, Money] = {}
    for each in found:
        if (most := _at_most(each.call)) is not None:
            sums[most.currency] = sums.get(most.currency, Money(0, most.currency)) + most
    known = " + ".join(str(sums[currency]) for currency in sorted(sums)) or text.UNKNOWN
    unknown = sum(_at_most(each.call) is None for each in found)
    more = f", and {unknown} of unknown price" if unknown and sums else ""
    return f"{text.plural(len(found), 'call')} in doubt, at most: {known}{more}"


def doubtful_row(each: Doubtful, done: Resolved | None) -> dict[str, Any]:
    """The same for programs, with what was said of it, if anything was."""
    most = _at_most(each.call)
    return {
        "call": each.call.id,
        "step": each.call.name,
        "run": each.key,
        "job": each.job,
        "tenant": each.tenant,
        "since": text.moment(each.call.ended_at),
        "reason": each.call.reason,
        "at_most": None if most is None else most.amount,
        "currency": each.call.hold_currency,
        "resolution": None if done is None else done.resolution,
        "may_go_on": None if done is None else done.woken,
    }


def _at_most(call: Call) -> Money | None:
    return None if call.ceiling_nanos is None else Money(call.ceiling_nanos, call.hold_currency)
