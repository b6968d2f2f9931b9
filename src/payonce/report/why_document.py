"""Reading: `payonce why --json`; `docs/morning-after.md` has each field."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from payonce.journal.ledger import Again, Doubt, Replayed, Share, Sum
from payonce.ledger import Account, Day, Story, add_up
from payonce.model import Attempt
from payonce.money import Money
from payonce.report.causes import by_cause
from payonce.report.why_next import to_do
from payonce.report.why_sentence import besides, sentence
from payonce.report.why_words import trigger


def why_document(account: Account) -> dict[str, Any]:
    """A period for programs: amounts are decimal texts, times ISO 8601 in UTC."""
    wanted = account.wanted
    return {
        "since": moment(wanted.since),
        "until": moment(wanted.until),
        "now": moment(account.now),
        "job": wanted.job,
        "tenant": wanted.tenant,
        "key": account.key,
        "sentence": sentence(account),
        "besides": besides(account),
        "totals": [sum_row(one) for one in account.sums],
        "models": None
        if account.models is None
        else [{"model": each.model} | sum_row(each.sum) for each in account.models],
        "days": [_day_row(day) for day in account.days],
        "runs": [_story_row(story) for story in account.stories],
        "in_doubt": [_doubt_row(doubt) for doubt in account.doubts],
        "saved": [_saved_row(one) for one in account.replayed],
        "delivered_again": [_again_row(one) for one in account.again],
        "parked": [_cause_row(cause) for cause in by_cause(account.parked)],
        "next": to_do(account),
    }


def moment(at: float | None) -> str | None:
    """Seconds since the epoch in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def sum_row(one: Sum) -> dict[str, Any]:
    """What a sum says, without its period."""
    return {
        "currency": one.currency,
        "paid": Money(one.paid, one.currency).amount,
        "wasted": Money(one.waste, one.currency).amount,
        "in_doubt_at_most": Money(one.doubt, one.currency).amount,
        "calls": one.calls,
        "unknown_price": one.unpriced,
        "wasted_calls": one.wasted,
    }


def _day_row(day: Day) -> dict[str, Any]:
    return {
        "day": _date(day.since),
        "totals": [sum_row(one) for one in day.sums],
        "shares": [_share_row(share) for share in day.shares],
    }


def _share_row(share: Share) -> dict[str, Any]:
    return {
        "job": share.job,
        "tenant": share.tenant,
        "key": share.key,
        "state": share.state.value if share.state else None,
        "runs": share.runs,
        **sum_row(share.sum),
    }


def _story_row(story: Story) -> dict[str, Any]:
    run = story.run
    triggers: dict[str, int] = {}
    for arrival in story.arrivals:
        name = trigger(arrival.delivery.queue, arrival.delivery.user_agent)
        triggers[name] = triggers.get(name, 0) + 1
    return {
        "key": story.key,
        "job": story.job,
        "tenant": story.tenant,
        "state": run.state.value if run else None,
        "reason": run.reason if run else None,
        "pruned": run is None,
        "deliveries": len(story.arrivals),
        "deliveries_while_parked": len(story.turned_away),
        "first_delivery": moment(story.arrivals[0].at) if story.arrivals else None,
        "last_delivery": moment(story.arrivals[-1].at) if story.arrivals else None,
        "triggers": triggers,
        "attempts": _attempt_rows(story),
    }


def _attempt_rows(story: Story) -> Iterable[dict[str, Any]]:
    known = {attempt.number: attempt for attempt in story.attempts}
    return [
        _attempt_row(number, known.get(number), story)
        for number in sorted({one.attempt for one in story.outlays} | set(known))
    ]


def _attempt_row(number: int, attempt: Attempt | None, story: Story) -> dict[str, Any]:
    own = [one for one in story.outlays if one.attempt == number]
    steps = {one.step: [each for each in own if each.step == one.step] for one in own}
    return {
        "number": number,
        "started": moment(attempt.started_at) if attempt else None,
        "ended": moment(attempt.ended_at) if attempt else None,
        "outcome": attempt.outcome if attempt else None,
        "at_step": attempt.at_step if attempt else None,
        "reason": attempt.reason if attempt else None,
        "fingerprint": attempt.fingerprint if attempt else None,
        "totals": [sum_row(one) for one in add_up(own, 0, 0)],
        "steps": [
            {"step": step, "totals": [sum_row(one) for one in add_up(same, 0, 0)]}
            for step, same in steps.items()
        ],
    }


def _doubt_row(doubt: Doubt) -> dict[str, Any]:
    entry = doubt.entry
    return {
        "call": entry.call_id,
        "job": entry.job,
        "key": entry.key,
        "tenant": entry.tenant,
        "attempt": entry.attempt,
        "step": entry.step,
        "since": moment(entry.at),
        "currency": entry.currency,
        "at_most": _amount(entry.nanos, entry.currency),
        "repeat_cost": _amount(doubt.repeat_nanos, entry.currency),
        "reason": doubt.reason,
        "resolution": doubt.resolution,
    }


def _amount(nanos: int | None, currency: str) -> str | None:
    return None if nanos is None else Money(nanos, currency).amount


def _saved_row(one: Replayed) -> dict[str, Any]:
    return {
        "job": one.job,
        "key": one.key,
        "tenant": one.tenant,
        "deliveries": one.deliveries,
        "currency": one.currency,
        "saved": _amount(one.saved, one.currency or "USD"),
        "receipts": one.calls,
        "unknown_price": one.unpriced,
    }


def _again_row(one: Again) -> dict[str, Any]:
    return {
        "day": _date(one.day),
        "job": one.job,
        "tenant": one.tenant,
        "queue": one.queue,
        "trigger": trigger(one.queue, one.user_agent),
        "deliveries": one.deliveries,
    }


def _date(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _cause_row(cause: list[Any]) -> dict[str, Any]:
    run = cause[0].run
    return {
        "job": run.job,
        "runs": len(cause),
        "held": sum(one.run.held for one in cause),
        "tenants": len({one.run.tenant for one in cause if one.run.tenant}),
        "reason": run.reason,
        "fingerprint": run.fingerprint,
        "wakes_on": [word.value for word in run.wakes_on],
        "since": moment(min(one.run.updated_at for one in cause)),
    }
