"""On the path, inside `begin`: a captured call that nothing is known of, while receipts lie unused.

the same but for what is ignored   its receipt is replayed
certainly in another's place       it parks, or it is paid for and told of
else                               it is paid for; the attempt's end tells
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from payonce import drift
from payonce.drift import Drift
from payonce.effects import Way, Work, journaled
from payonce.errors import Drifted
from payonce.model import Call
from payonce.scope import RunScope
from payonce.unused import Request

_log = logging.getLogger("payonce")


@dataclass(frozen=True, slots=True)
class Place:
    """What was found: the receipt to replay after all, or the drift to be told of."""

    receipt: Call | None = None
    drift: str | None = None


def place(scope: RunScope, name: str, request: Request) -> Way[Place]:
    """Find out in whose place a call stands.

    Raises:
        Drifted: it is another's, and drift is not paid for.
    """
    unused = scope.unused
    if not unused:
        return Place()
    if unused.codes is None:
        history = yield from journaled(Work(partial(scope.journal.history, scope.run_id)))
        unused.codes = {attempt.number: attempt.world.code for attempt in history.attempts}
    lying = unused.earlier(name, request, scope.world.code)
    if not lying:
        return Place()
    asked = request.sketch()
    if (same := drift.same(asked, lying, request.ignore)) is not None:
        unused.use([same.call])
        return Place(receipt=same.call)
    found = drift.certain(asked, lying, in_order=unused.in_order)
    if found is None:
        return Place()
    told = drift.drift(found, asked)
    if request.rule == "park" and not scope.pays_drift:
        raise Drifted(name, told.unused, str(told))
    unused.use([found.call])
    _tell(scope, name, told)
    return Place(drift=drift.write(told))


def leftovers(scope: RunScope, *, finished: bool) -> tuple[tuple[int, str], ...]:
    """What is told of calls that turn out, at the attempt's end, to stand in another's place."""
    return tuple(_leftovers(scope, finished=finished)) if scope.unused else ()


def _leftovers(scope: RunScope, *, finished: bool) -> Iterator[tuple[int, str]]:
    names = {call.id: call.name for call in scope.all_known()}
    for call_id, told in scope.unused.leftovers(scope.world.code, finished=finished):
        _tell(scope, f"call {call_id} ({names[call_id]})", told)
        yield call_id, drift.write(told)


def _tell(scope: RunScope, who: str, told: Drift) -> None:
    _log.warning(
        "run %r: %s asks something new while the receipt of call %d lies unused (drift): %s",
        scope.run.key,
        who,
        told.unused,
        told,
    )
