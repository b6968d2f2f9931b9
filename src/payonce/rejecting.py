"""On the path, beside the steps: a paid answer is unusable, by the job's word or by its failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from payonce import unusable
from payonce.effects import Way, drive
from payonce.errors import OutsideRun
from payonce.failure.libraries import NOTHING_GIVEN
from payonce.model import Call, CallState, Diagnosis, Kind, WakesOn
from payonce.redact import redact
from payonce.scope import RunScope, current
from payonce.step import reject as reject_call


def reject(value: Any, why: str = "rejected by the job") -> None:
    """Say that a paid answer is unusable: the next equal call asks again.

    The receipt stays in the journal, as waste. A step may be asked again at most `resamples`
    times (2 for captured calls); after that it raises `Rejected`.

    Args:
        value: what a step returned (the same object), the answer object of an SDK (known by its
            `id`), or a text of 16 characters or more that is part of a captured answer.
        why: a short reason, kept with the receipt.

    Raises:
        OutsideRun: no run is being worked on.
        LookupError: the value is no paid answer of this attempt.
    """
    scope = current()
    if scope is None:
        raise OutsideRun("payonce.reject()")
    call = scope.call_of(lambda answer, call: _is(value, answer))
    if call is None:
        raise LookupError(
            f"no paid answer of this attempt is, or holds, this {type(value).__name__}: "
            "give reject() a step's value, an SDK's answer object, or its text"
        )
    drive(reject_call(scope, call, redact(why[:500])))


def blame(
    scope: RunScope, arguments: Mapping[str, Any], found: Diagnosis, failure: BaseException
) -> Way[tuple[Diagnosis, bool]]:
    """Reject the answer that a failure was raised over, if it was raised over one.

    The next attempt asks for another, as often as the step allows; `True` says that it will. What
    was raised over the job's own arguments is deterministic.
    """
    if found.kind not in (Kind.UNKNOWN, Kind.STOCHASTIC) and found.evidence != NOTHING_GIVEN:
        return found, False
    over = unusable.refused(failure)
    if not over:
        return found, False
    if unusable.was_given(over, list(arguments.values())):
        given = replace(found, kind=Kind.DETERMINISTIC, wakes_on=(WakesOn.INPUT,), after=None)
        return given, False
    call = scope.call_of(lambda answer, _: unusable.came_from(over, answer))
    if call is None:
        return found, False
    why = redact(f"unusable: {found.reason}"[:500])
    for each in (call, *_inside(scope, call)):
        yield from reject_call(scope, each, why)
    known = scope.known(call.step_key, call.occurrence)
    asked = sum(each.rejected and each.resolution is None for each in known)
    if asked <= scope.resamples(call):
        return replace(found, kind=Kind.STOCHASTIC, wakes_on=()), True
    reason = f"{call.name} was answered {asked} times, each time unusably: {found.reason}"
    wakes_on = (WakesOn.CODE, WakesOn.INPUT)
    return replace(found, kind=Kind.DETERMINISTIC, reason=reason, wakes_on=wakes_on), False


def _inside(scope: RunScope, call: Call) -> list[Call]:
    """The receipts that a step's answer was made of: replayed, they would make it again."""
    return [
        each
        for each in scope.all_known()
        if each.parent_id == call.id and each.state is CallState.PAID and not each.rejected
    ]


def _is(value: Any, answer: Any) -> bool:
    if value is answer:
        return True
    if not isinstance(answer, bytes):
        return False
    identity = getattr(value, "id", None)
    if isinstance(identity, str) and identity:
        return f'"{identity}"'.encode() in answer
    return isinstance(value, str) and len(value) >= _LEAST and _quoted(value) in answer


_LEAST = 16


def _quoted(text: str) -> bytes:
    """A text as JSON has it between its quotes."""
    import msgspec

    return msgspec.json.encode(text)[1:-1]
