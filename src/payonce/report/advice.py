"""Reading: what a person can do next about a run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from payonce import budget
from payonce.model import Call, Run, RunState
from payonce.report import text
from payonce.report.commands import command
from payonce.resolving import doubts, is_described, questions


def advice(run: Run, calls: Sequence[Call], now: float, *, lost: bool = False) -> list[str]:
    """Sentences, the most pressing first; `lost` says that the run's worker is known to be gone."""
    if run.state is RunState.DONE:
        words = [_to_compare(call) for call in doubts(calls) if call.resolution is None]
        return words or ["Nothing: further deliveries get the recorded result, and pay nothing."]
    words = [_to_resolve(call) for call in questions(run, calls)]
    match run.state:
        case RunState.PARKED:
            return [*words, *_parked(run, bool(words))]
        case RunState.WAITING:
            return [*words, _waiting(run, now)]
        case _:
            return [_running(run, now, lost=lost)]


def _to_compare(call: Call) -> str:
    resolve = command(f"payonce resolve {call.id}")
    return (
        f"Call {call.id} ({call.name}) may be on the bill besides, and budgets count it. "
        f"Where the bill doesn't have it: {resolve} --did-not-happen"
    )


def _to_resolve(call: Call) -> str:
    resolve = command(f"payonce resolve {call.id}")
    if is_described(call):
        return (
            f"The answer of call {call.id} ({call.name}) was paid for but can't be rebuilt. "
            f"To pay for it again: {resolve} --pay-again"
        )
    happened = "" if call.source == "capture" else "--happened | "
    return (
        f"Find out whether call {call.id} ({call.name}) happened, then: "
        f"{resolve} {happened}--did-not-happen | --pay-again"
    )


def _parked(run: Run, asks: bool) -> list[str]:
    wake = _wake(run)
    rule = budget.of_fingerprint(run.fingerprint)
    if rule is not None:
        over = "" if rule.per == "total" else f", or when the {rule.per} is over"
        more = command(rule.command)
        return [f"It goes on by itself, under the same key, when more is allowed{over}: {more}"]
    if run.wakes_on:
        waits = " or ".join(run.wakes_on)
        parked = command("payonce parked")
        held = [f"Other runs of its job have failed by this cause: {parked}."]
        return [
            *(held if run.held else []),
            f"It goes on by itself, under the same key, once the {waits} changes. "
            f"To go ahead of the app's own look: {wake}",
        ]
    return [] if asks else [f"Mend what failed, then: {wake} --force"]


def _wake(run: Run) -> str:
    return command(f"payonce wake MODULE:APP {shlex.quote(run.key)}")


def _waiting(run: Run, now: float) -> str:
    wake = _wake(run)
    if run.retry_at is None or run.retry_at <= now:
        return f"It goes on at its next delivery. Where its message is gone: {wake}"
    return f"It goes on when it is delivered after {text.clock(run.retry_at)}."


def _running(run: Run, now: float, *, lost: bool) -> str:
    if lost:
        return (
            f"Its worker {run.lease_owner} is gone: the next delivery takes it over. "
            f"Where its message is gone: {_wake(run)}"
        )
    if run.lease_until is not None and run.lease_until <= now:
        return (
            f"Its worker {run.lease_owner} has not renewed its lease since "
            f"{text.clock(run.lease_until)}: the next delivery takes it over."
        )
    return f"Nothing: {run.lease_owner} is working on it."
