"""On the path, in the middle: one paid step is begin, the call, complete.

begin     receipt? → replay │ in doubt? → verify, repeat or stop │ hold + intent, in one write
the call  made by whoever asked: no transaction is open, nothing is held but the lease
complete  the receipt and its cost, durable before the caller sees the answer
fail      no answer: released (surely not billed), or in doubt
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from payonce import policy
from payonce.drifting import place
from payonce.effects import Effect, Way, Work, journaled
from payonce.errors import BudgetReached, NoJournal, PriceUnknown, Stop
from payonce.holding import Ceiling, intend
from payonce.model import Call, CallState, Intent, Payload, Receipt
from payonce.scope import RunScope, parent
from payonce.unused import Request

NOT_PAID = object()
"""What a `verify` callback returns when the call in doubt did not happen."""

_log = logging.getLogger("payonce")


class Asked(Struct, frozen=True):
    """What is asked for: one step, whoever makes its call.

    `key` is the step key; `verify` makes, of an idempotency key, the effect that asks what became
    of a call in doubt (`NOT_PAID`, or its answer), which `receipt` turns into a receipt; `request`
    is there for a captured call. What is not `charged` for needs no budget. What does something of
    its `own` is in doubt by itself, whatever was called inside of it.
    """

    name: str
    key: str
    source: Literal["step", "capture"]
    in_doubt: policy.Doubt
    model: str | None = None
    resamples: int = 2
    verify: Callable[[str], Effect] | None = None
    receipt: Callable[[Any], Receipt] | None = None
    request: Request | None = None
    ceiling: Ceiling = None
    charged: bool = True
    own: bool = False


class Ticket(Struct, frozen=True):
    """A begun step: `receipt` is there when it is to be replayed, `call` is the one to fill."""

    asked: Asked
    call: Call
    receipt: Payload | None
    idempotency_key: str


def begin(scope: RunScope, asked: Asked) -> Way[Ticket]:
    """Find the receipt to replay, or write down the intent to call.

    Raises:
        Stop: the call must not be made: lease lost, in doubt, sends used up, no journal.
        Rejected: all answers that may be asked for were rejected.
    """
    scope.check()
    occurrence = scope.take(asked.key)
    try:
        ticket = yield from _begin(scope, asked, occurrence)
    except Stop as stop:
        scope.free(asked.key, occurrence)
        raise scope.stop(stop) from stop.__cause__
    except BaseException:
        scope.free(asked.key, occurrence)
        raise
    if ticket.receipt is not None:
        for call_id in scope.replays(ticket.call, parent()):
            yield from journaled(scope.journal.ledger.let_go(call_id))
    scope.at_step = asked.name
    scope.seen.begun(ticket.call)
    return ticket


def _begin(scope: RunScope, asked: Asked, occurrence: int) -> Way[Ticket]:
    known, told = scope.known(asked.key, occurrence), None
    if asked.request is not None:
        scope.unused.begin(asked.name)
        told = known[0].drift if known else None
    if known:
        scope.unused.use(known)
    asks = sum(call.rejected for call in known)
    secret = f"{scope.run.job}\0{scope.run.key}\0{asked.key}\0{occurrence}\0{asks}"
    key = f"payonce-{hashlib.sha256(secret.encode()).hexdigest()[:32]}"
    paid, parents = policy.standing(known), () if asked.own else scope.parents
    if paid is None and policy.open_doubt(known, parents) is not None:
        known = yield from _looked_up(scope, known)
        paid = policy.standing(known)
    if paid is not None:
        return Ticket(asked, paid, paid.answer, key)
    doubt = policy.open_doubt(known, parents)
    if doubt is not None and asked.verify is not None:
        if (receipt := (yield from _verified(scope, asked, doubt))) is not None:
            return Ticket(asked, receipt, receipt.answer, key)
        known = scope.known(asked.key, occurrence)
    if asked.request is not None and not known:
        found = yield from place(scope, asked.name, asked.request)
        if found.receipt is not None:
            return Ticket(asked, found.receipt, found.receipt.answer, key)
        told = found.drift
    policy.may_send(
        known,
        name=asked.name,
        attempt=scope.attempt,
        in_doubt=asked.in_doubt,
        resamples=asked.resamples,
        parents=parents,
        limits=scope.limits,
    )
    send = 1 + max((call.send for call in known), default=0)
    intent = _intent(scope, asked, occurrence, send, key, told)
    call = yield from _write_intent(scope, asked, intent)
    if asked.source == "capture":
        scope.unused.sent(call, asked.request if not known else None)
    return Ticket(asked, call, None, key)


def _looked_up(scope: RunScope, known: Sequence[Call]) -> Way[list[Call]]:
    """What other attempts left open, as it is now: a receipt may have come since the run opened."""
    for call in known:
        is_open = call.state in (CallState.INTENDED, CallState.IN_DOUBT)
        if is_open and call.attempt != scope.attempt:
            found = yield from journaled(Work(partial(scope.journal.calls, call_id=call.id)))
            scope.record(found[0] if found else call)
    return scope.known(known[0].step_key, known[0].occurrence)


def _intent(
    scope: RunScope, asked: Asked, occurrence: int, send: int, key: str, told: str | None
) -> Intent:
    return Intent(
        run_id=scope.run_id,
        attempt=scope.attempt,
        step_key=asked.key,
        occurrence=occurrence,
        send=send,
        name=asked.name,
        source=asked.source,
        parent_id=parent(),
        model=asked.model,
        idempotency_key=key,
        drift=told,
    )


def _write_intent(scope: RunScope, asked: Asked, intent: Intent) -> Way[Call]:
    try:
        intent, call_id = yield from intend(scope, intent, asked.ceiling, charged=asked.charged)
    except (NoJournal, BudgetReached, PriceUnknown):
        raise
    except BaseException:  # cancelled meanwhile: the call will not be made
        never = _call(-intent.send, intent, scope.journal.now())
        scope.record(replace(never, state=CallState.RELEASED))
        raise
    if call_id is None:
        raise scope.lost()
    call = _call(call_id, intent, scope.journal.now())
    scope.record(call)
    if intent.allowances:
        scope.holds(call_id)
    return call


def _verified(scope: RunScope, asked: Asked, doubt: Call) -> Way[Call | None]:
    """Ask the provider's side what became of a call in doubt."""
    assert asked.verify is not None
    assert asked.receipt is not None
    found = yield asked.verify(doubt.idempotency_key or "")
    if found is not NOT_PAID:
        return (yield from complete(scope, Ticket(asked, doubt, None, ""), asked.receipt(found)))
    released = replace(doubt, state=CallState.RELEASED, reason="verified: it did not happen")
    yield scope.journal.end(doubt.id, doubt.intent, released.state, "verified: it did not happen")
    scope.record(released)
    return None


def complete(scope: RunScope, ticket: Ticket, receipt: Receipt) -> Way[Call]:
    """Make a receipt durable; only then may the caller see the answer."""
    call = ticket.call
    paid = replace(
        call,
        state=CallState.PAID,
        answer=receipt.answer,
        model=receipt.model or call.model,
        usage=receipt.usage,
        cost_nanos=receipt.cost_nanos,
        currency=receipt.currency,
        said=receipt.said,
        ended_at=scope.journal.now(),
    )
    if scope.left:  # in a forked process, which goes on where its parent is
        return paid
    try:
        named = replace(call.intent, job=scope.run.job, key=scope.run.key)
        yield scope.journal.complete(call.id, named, receipt)
    except Exception:
        _log.critical(
            "the receipt of call %d (%s) could be written nowhere; its answer is handed over, "
            "and the call will be in doubt",
            call.id,
            call.name,
            exc_info=True,
        )
    finally:  # a cancelled caller doesn't wait for the receipt, but it is being written
        scope.record(paid)
        scope.seen.ended(paid)
        scope.unused.ended(paid)
    return paid


def fail(scope: RunScope, ticket: Ticket, state: CallState, reason: str) -> None:
    """End a call that has no answer; its occurrence is free for the next send.

    The write is not waited for: what was intended and never ended counts as in doubt anyway.
    """
    call = ticket.call
    if scope.left:
        return
    scope.journal.end(call.id, call.intent, state, reason).later()
    scope.record(replace(call, state=state, reason=reason))
    scope.seen.ended(replace(call, state=state, reason=reason))
    scope.unused.ended(call)
    scope.free(call.step_key, call.occurrence)


def reject(scope: RunScope, call: Call, reason: str) -> Way[None]:
    """Turn a receipt into waste: the next equal call asks again."""
    try:
        yield scope.journal.reject(call.id, reason)
    finally:  # a cancelled caller doesn't wait for it, but it is being written
        scope.record(replace(call, rejected=True, reason=reason))
        scope.seen.rejected(call)
        scope.free(call.step_key, call.occurrence)


def _call(call_id: int, intent: Intent, now: float) -> Call:
    return Call(
        id=call_id,
        run_id=intent.run_id,
        attempt=intent.attempt,
        step_key=intent.step_key,
        occurrence=intent.occurrence,
        send=intent.send,
        name=intent.name,
        source=intent.source,
        parent_id=intent.parent_id,
        state=CallState.INTENDED,
        rejected=False,
        reason=None,
        resolution=None,
        model=intent.model,
        usage=None,
        cost_nanos=None,
        currency="USD",
        idempotency_key=intent.idempotency_key,
        started_at=now,
        ended_at=None,
        drift=intent.drift,
        ceiling_nanos=intent.ceiling_nanos,
        hold_currency=intent.hold_currency,
    )
