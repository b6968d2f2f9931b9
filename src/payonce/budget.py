"""Decision: which budgets hold for a run, in which period, and what a call is held for; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import cast, get_args

from payonce.errors import ConfigError
from payonce.model import Run
from payonce.money import EVERY, Allowance, Balance, Budget, Money, Per, Scope, Short

CAUSE = "BudgetReached"
LATELY = 2
"""A call that nobody knows the ceiling of is held for so many times what the dearest of the last
calls of its step has cost. Ours: prompts of one step seldom differ more."""


def of_run(job: str, limit: Money) -> Budget:
    """What each run of a job may spend."""
    return Budget("run", job, "total", limit.nanos, limit.currency)


def told(
    limit: Money | str | None,
    *,
    run: str | None = None,
    job: str | None = None,
    tenant: str | None = None,
    per: str = "total",
    currency: str = "USD",
) -> Budget:
    """A budget in words; without a limit it is lifted, in this currency.

    Raises:
        ValueError: the limit is no amount of money.
        ConfigError: more than one of a run, a job and a tenant is named, or there is no such
            period.
    """
    named: list[tuple[Scope, str]] = []
    for scope, name in zip(get_args(Scope), (run, job, tenant), strict=False):
        if name is not None:
            named.append((scope, name))
    if len(named) > 1:
        raise ConfigError(
            f"a budget can't be that of a {' and a '.join(scope for scope, _ in named)} at once",
            "Set two budgets: a call is held against each that concerns it.",
        )
    if per not in get_args(Per):
        raise ConfigError(
            f"there is no budget per {per}", f"Use one of {', '.join(get_args(Per))}."
        )
    scope, name = named[0] if named else ("app", EVERY)
    money = None if limit is None else Money.parse(limit)
    nanos = None if money is None else money.nanos
    return Budget(scope, name, cast(Per, per), nanos, currency if money is None else money.currency)


def fingerprint(rule: Budget) -> str:
    """What the runs have in common that a limit has parked, whosever limit that is."""
    return f"{CAUSE}:{rule.scope}:{rule.name}:{rule.per}:{rule.currency}"


def of_fingerprint(text: str | None) -> Budget | None:
    """The limit behind such a fingerprint, without its amount; None where it is of another kind."""
    if text is None or not text.startswith(f"{CAUSE}:"):
        return None
    _, scope, rest = text.split(":", 2)
    name, per, currency = rest.rsplit(":", 2)
    return Budget(cast(Scope, scope), name, cast(Per, per), None, currency)


def concerns(budget: Budget, run: Run) -> bool:
    """Whether a run was parked by a limit that this word replaces or bends."""
    rule = of_fingerprint(run.fingerprint)
    if (run.fingerprint or "").startswith("PriceUnknown:"):
        return budget.name in _names(run, budget.scope)
    same = rule and (rule.scope, rule.per, rule.currency) == (
        budget.scope,
        budget.per,
        budget.currency,
    )
    return bool(same) and budget.name in _names(run, budget.scope)


def nearest(
    told: Iterable[Budget], scope: Scope, per: Per, currency: str, name: str
) -> Budget | None:
    """What people have said of one budget by its name, or of every one of its kind."""
    names = [EVERY, name.partition(" ")[0], name] if scope == "run" else [EVERY, name]
    found = [
        budget
        for budget in told
        if (budget.scope, budget.per, budget.currency) == (scope, per, currency)
        and budget.name in names
    ]
    return max(found, key=lambda budget: names.index(budget.name), default=None)


def allowances(
    run: Run, code: Iterable[Budget], told: Iterable[Budget], currency: str, now: float
) -> tuple[Allowance, ...]:
    """What the calls of a run are held against, in one currency.

    The nearest word counts: what is said of a run, a job or a tenant by name goes over what is said
    of every one, and what people have `told` over what the `code` says.
    """
    nearest: dict[tuple[Scope, Per], tuple[tuple[int, int], Budget]] = {}
    for source, budgets in enumerate((code, told)):
        for budget in budgets:
            names = _names(run, budget.scope)
            if budget.currency != currency or budget.name not in names:
                continue
            rank = (names.index(budget.name), source)
            place = (budget.scope, budget.per)
            if place not in nearest or nearest[place][0] <= rank:
                nearest[place] = (rank, budget)
    return tuple(
        _allowance(budget, _names(run, budget.scope)[-1], budget.nanos, now)
        for _, budget in sorted(nearest.values(), key=lambda found: (found[1].scope, found[1].per))
        if budget.nanos is not None
    )


def currency_of(run: Run, budgets: Iterable[Budget]) -> str:
    """The currency in which a call of unknown cost is held: that of the run's budgets.

    Where they are in several it is USD, or the first by its name: such a call is held in one.
    """
    found = currencies(run, budgets)
    return min(found, key=lambda name: (name != "USD", name), default="USD")


def currencies(run: Run, budgets: Iterable[Budget]) -> set[str]:
    """In which currencies there are limits for a run."""
    return {b.currency for b in budgets if b.nanos is not None and b.name in _names(run, b.scope)}


def period(per: Per, now: float) -> tuple[str, float, float | None]:
    """The period of a moment: its name, its beginning, and its end, in UTC."""
    if per == "total":
        return "", 0.0, None
    moment = datetime.fromtimestamp(math.floor(now), UTC)
    day = moment.replace(hour=0, minute=0, second=0)
    if per == "day":
        return f"{day:%Y-%m-%d}", day.timestamp(), day.timestamp() + 86_400.0
    first = day.replace(day=1)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return f"{first:%Y-%m}", first.timestamp(), following.timestamp()


def reserve(balances: Sequence[Balance], ceiling: int | None, lately: int | None) -> int | Short:
    """How much a call is held for, or why it may not be made.

    Without a `ceiling` it is held for twice the dearest of what calls of its step have cost
    `lately`, or all that is left where that is less, but more than the dearest; and without such
    calls for all that is left. `hold_intent` of the PostgreSQL journal does the same.
    """
    tightest = min(balances, key=lambda balance: balance.left)
    if ceiling is not None:
        wanted = ceiling
    elif lately is not None:
        wanted = max(min(LATELY * lately, tightest.left), lately, 1)
    else:
        wanted = max(tightest.left, 1)
    return wanted if tightest.left >= wanted else Short(tightest, wanted)


def known_ceiling(ceiling: int | None, lately: int | None) -> int | None:
    """What a call may cost at most, as far as that can be told."""
    if ceiling is not None or lately is None:
        return ceiling
    return LATELY * lately


def _names(run: Run, scope: Scope) -> list[str]:
    """The names by which a budget of this scope may mean the run; the nearest one last."""
    match scope:
        case "run":
            return [EVERY, run.job, f"{run.job} {run.key}"]
        case "job":
            return [EVERY, run.job]
        case "tenant":
            return [] if run.tenant is None else [EVERY, run.tenant]
        case "app":
            return [EVERY]


def _allowance(budget: Budget, name: str, nanos: int, now: float) -> Allowance:
    named, since, until = period(budget.per, now)
    return Allowance(budget.scope, name, budget.per, nanos, named, since, until, budget.name)
