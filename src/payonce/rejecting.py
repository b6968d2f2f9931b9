"""On the path, beside the steps: `reject` says that a paid answer is unusable."""

from __future__ import annotations

from typing import Any

from payonce.effects import drive
from payonce.errors import OutsideRun
from payonce.redact import redact
from payonce.scope import current
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
