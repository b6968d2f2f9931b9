"""On the path, between begin and the call: the intent is written down, and its cost is held.

hold      what the call may cost at most is taken out of every budget that holds for it
short     too little left: other calls in flight end soon → wait · else → the run parks
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from msgspec.structs import replace

from payonce import budget
from payonce.effects import Pause, Way, Work, journaled
from payonce.errors import BudgetReached, NoJournal, PriceUnknown
from payonce.journal.protocol import Journal
from payonce.model import CallState, Intent
from payonce.money import Allowance, Balance, Budget, Money, Short
from payonce.notices import BudgetUsedUp
from payonce.scope import RunScope

Ceiling = Money | Callable[[], Money | PriceUnknown | None] | None
"""What a call costs at most: that, or a function that tells it where it has to be known."""

_log = logging.getLogger("payonce")
_warned: set[tuple[str, str]] = set()

_POLL, _POLL_MOST = 0.05, 1.0
"""Seconds between two looks at what is left while calls in flight hold the rest."""

_AGAIN = 10.0
"""Seconds until a run comes again that others' calls in flight have left too little for."""


def intend(
    scope: RunScope, intent: Intent, ceiling: Ceiling, *, charged: bool
) -> Way[tuple[Intent, int | None]]:
    """Write an intent down; its call's id is None where the lease is lost.

    A call that is not `charged` for needs no budget. What a step was held for is let go as soon as
    a call inside of it is charged for: then it costs what those cost.

    Raises:
        BudgetReached: a budget has not got left what the call may cost.
        PriceUnknown: a budget holds for it, and nobody can tell what it will cost.
    """
    if charged:
        for call_id in scope.let_go(intent.parent_id):
            yield from journaled(scope.journal.ledger.let_go(call_id))
    until, pause = scope.journal.now() + scope.limits.wait, _POLL
    while True:
        asked = yield from _allowed(scope, intent, ceiling, charged=charged)
        answer = yield from _asked(scope, asked)
        if not isinstance(answer, Short):
            return asked, answer
        if answer.balance is None:
            scope.told = yield from journaled(Work(scope.journal.ledger.budgets))
        elif answer.waits and scope.journal.now() < until:
            yield from journaled(scope.journal.ledger.expire())
            yield Pause(pause)
            pause = min(2 * pause, _POLL_MOST)
        else:
            raise _reached(scope, asked, answer, answer.balance)


def _allowed(scope: RunScope, intent: Intent, ceiling: Ceiling, *, charged: bool) -> Way[Intent]:
    """The intent with all that it is to be held against, as far as budgets are known."""
    budgets = (*scope.budgets, *scope.told.budgets) if charged else ()
    most: Money | PriceUnknown | None = None
    if not callable(ceiling):
        most = ceiling
    elif budgets:  # price lists may have to be read
        most = yield Work(ceiling)
    known = most if isinstance(most, Money) else None
    currency = known.currency if known else budget.currency_of(scope.run, budgets)
    held: tuple[Allowance, ...] = ()
    if budgets:
        held = budget.allowances(
            scope.run, scope.budgets, scope.told.budgets, currency, scope.journal.now()
        )
    if held and isinstance(most, PriceUnknown):
        raise most
    if budgets and not held and known is not None and known.nanos:
        _warn_of_other(scope, intent, known.currency, budgets)
    return replace(
        intent,
        ceiling_nanos=None if known is None else known.nanos,
        hold_currency=currency,
        allowances=held,
        told=scope.told.version,
    )


def _warn_of_other(
    scope: RunScope, intent: Intent, currency: str, budgets: Sequence[Budget]
) -> None:
    """Say once that all limits of a run are in currencies that its calls don't cost."""
    others = budget.currencies(scope.run, budgets)
    place = scope.run.job, currency
    if not others or currency in others or place in _warned:
        return
    _warned.add(place)
    _log.warning(
        "%s costs %s, and the budgets of %s are in %s alone: they don't limit it. "
        "Set one in %s, or tell its price in theirs (docs/budgets.md).",
        intent.name,
        currency,
        scope.run.job,
        " and ".join(sorted(others)),
        currency,
    )


def _asked(scope: RunScope, intent: Intent) -> Way[int | Short | None]:
    write = scope.journal.intend(intent)
    try:
        answer: int | Short | None = yield from journaled(write)
    except NoJournal:  # a database whose word was lost may have it, and the call is not made
        scope.journal.end(0, intent, CallState.RELEASED, "never sent").later()
        raise
    except BaseException:  # cancelled meanwhile: the call will not be made
        write.unwanted(partial(_take_back, scope.journal, intent))
        raise
    return answer


def _take_back(journal: Journal, intent: Intent, answer: int | Short | None) -> None:
    if isinstance(answer, int):
        reason = "cancelled before it was sent"
        journal.end(answer, intent, CallState.RELEASED, reason).later()


def _reached(scope: RunScope, intent: Intent, short: Short, balance: Balance) -> BudgetReached:
    allowance = next(
        c for c in intent.allowances if (c.scope, c.per) == (balance.scope, balance.per)
    )
    again = _AGAIN if short.waits else None
    if again is None and allowance.until is not None:
        again = max(0.0, allowance.until - scope.journal.now())
    if not short.waits:
        run = scope.run
        scope.tell(BudgetUsedUp(run.job, run.key, run.tenant, intent.name, balance, short.wanted))
    return BudgetReached(
        intent.name, balance, short.wanted, waits=short.waits, again=again, rule=allowance.rule
    )
