"""Which budgets hold for a run, in which period, and what a call is held for."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce import ConfigError, budget
from payonce.model import Run, RunState
from payonce.money import EVERY, Balance, Budget, Per, Scope, Short

MOMENTS = st.floats(0, 4e9, allow_nan=False)
NANOS = st.integers(0, 10**12)


def _run(tenant: str | None = "acme", job: str = "generate", key: str = "course:1") -> Run:
    return Run(
        *(1, job, key, tenant, RunState.RUNNING, 1, 1, 0, None, "me", 1.0, None, b"", ""),
        *(None, None, None, None, (), None, 0.0, 0.0, None),
    )


def _at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@given(MOMENTS, st.sampled_from(["day", "month"]))
def test_each_moment_is_in_its_period_and_in_no_other(now: float, per: Per) -> None:
    """Periods follow one another without a gap, and their names grow."""
    name, since, until = budget.period(per, now)
    assert until is not None
    assert since <= now < until
    assert budget.period(per, since) == (name, since, until)
    following = budget.period(per, until)
    assert following[1] == until
    assert following[0] > name
    assert name.startswith(f"{datetime.fromtimestamp(int(now), UTC):%Y-%m}")


@pytest.mark.parametrize(
    ("moment", "day", "days"),
    [
        ("2024-02-28T23:59:59.999999", "2024-02-28", 29),
        ("2024-02-29T12:00", "2024-02-29", 29),
        ("2025-02-28T23:59", "2025-02-28", 28),
        ("2000-02-29T00:00", "2000-02-29", 29),
        ("2026-12-31T23:59:59.9999999", "2026-12-31", 31),
        ("2027-01-01T00:00", "2027-01-01", 31),
    ],
)
def test_days_and_months_are_those_of_the_calendar(moment: str, day: str, days: int) -> None:
    """At midnight, at the ends of months and years, and in leap years."""
    now = _at(moment)
    assert budget.period("day", now)[0] == day
    name, since, until = budget.period("month", now)
    assert until is not None
    assert (name, until - since) == (day[:7], days * 86_400)
    assert days == monthrange(int(day[:4]), int(day[5:7]))[1]


def test_all_time_has_no_end() -> None:
    """Its name is empty."""
    assert budget.period("total", 5.0) == ("", 0.0, None)


@pytest.mark.parametrize(
    ("code", "told", "limit"),
    [
        ([("tenant", EVERY, 5)], [], 5),
        ([("tenant", EVERY, 5), ("tenant", "acme", 9)], [], 9),
        ([("tenant", "acme", 9), ("tenant", EVERY, 5)], [], 9),
        ([("tenant", "other", 9)], [], None),
        ([("tenant", EVERY, 5)], [("tenant", EVERY, 7)], 7),
        ([("tenant", "acme", 5)], [("tenant", EVERY, 7)], 5),
        ([("tenant", "acme", 5)], [("tenant", "acme", 7)], 7),
        ([("tenant", "acme", 5)], [("tenant", "acme", None)], None),
        ([("job", EVERY, 5), ("job", "generate", 3)], [], 3),
        ([("run", "generate", 5)], [("run", "generate course:1", 8)], 8),
        ([("run", "generate", 5)], [("run", "generate course:2", 8)], 5),
        ([("app", EVERY, 0)], [], 0),
    ],
)
def test_the_nearest_word_counts(
    code: list[tuple[str, str, int]], told: list[tuple[str, str, int | None]], limit: int | None
) -> None:
    """A name goes over each, and a person's word over the code's."""
    said = [[Budget(s, n, "day", v) for s, n, v in budgets] for budgets in (code, told)]  # type: ignore[arg-type]
    found = budget.allowances(_run(), said[0], said[1], "USD", 1e9)
    assert [allowance.nanos for allowance in found] == ([] if limit is None else [limit])


@pytest.mark.parametrize("tenant", ["*", "", " ", "a b", "generate", "ü\n'\"%", "acme course:1"])
def test_a_tenant_may_have_any_name(tenant: str) -> None:
    """It is held against its own balance, and against nobody else's."""
    budgets = [Budget("tenant", EVERY, "day", 5), Budget("tenant", "acme", "day", 9)]
    (found,) = budget.allowances(_run(tenant), budgets, (), "USD", 1e9)
    assert (found.scope, found.name, found.nanos) == ("tenant", tenant, 5)


def test_a_run_without_a_tenant_has_no_tenants_budget() -> None:
    """What is said of each tenant is not said of it."""
    assert budget.allowances(_run(None), [Budget("tenant", EVERY, "day", 5)], (), "USD", 1e9) == ()


def test_a_call_of_unknown_cost_is_held_in_the_currency_of_its_own_budgets() -> None:
    """What others pay in is no matter; nor is a limit that was lifted."""
    budgets = [
        Budget("tenant", "acme", "day", 5, "EUR"),
        Budget("tenant", "other", "day", 5, "USD"),
        Budget("app", EVERY, "total", None, "JPY"),
    ]
    assert budget.currency_of(_run(), budgets) == "EUR"
    assert budget.currency_of(_run("other"), budgets) == "USD"
    assert budget.currency_of(_run(None), budgets) == "USD"
    both = [Budget("job", EVERY, "day", 5, "JPY"), budgets[0]]
    assert budget.currency_of(_run(), both) == "EUR"


@given(st.lists(st.tuples(NANOS, NANOS, NANOS, NANOS), min_size=1), st.none() | NANOS, NANOS)
def test_what_is_held_is_left_of_every_budget(
    used: list[tuple[int, int, int, int]], ceiling: int | None, lately: int
) -> None:
    """Nothing is held that any of them has not got."""
    balances = [
        Balance("app", EVERY, "day", "d", "USD", limit, spent, held, doubt, 0)
        for limit, spent, held, doubt in used
    ]
    left = min(balance.left for balance in balances)
    for known in (lately, None):
        held = budget.reserve(balances, ceiling, known)
        if isinstance(held, Short):
            assert held.balance is not None
            assert held.balance.left == left < held.wanted
        else:
            assert 0 <= held <= left
            assert ceiling is None or held == ceiling


@pytest.mark.parametrize("limit", ["-1 USD", "99999999999 USD", "1", "1 usd", ""])
def test_a_limit_is_an_amount(limit: str) -> None:
    """Negative ones and those that no journal can count are refused where they are said."""
    with pytest.raises(ValueError, match=r"amount of money|can be counted"):
        budget.told(limit)
    with pytest.raises(ConfigError):
        budget.told("1 USD", job="a", tenant="b")


@pytest.mark.parametrize(
    ("scope", "name", "per", "period", "command"),
    [
        ("app", EVERY, "total", "", "payonce resolve --all"),
        (
            *("tenant", "acme & co", "day", "2026-06-12"),
            "payonce resolve --all --tenant 'acme & co' --since 2026-06-12",
        ),
        ("job", "order", "month", "2026-06", "payonce resolve --all --job order"),
        ("run", "order order:3", "total", "", "payonce resolve --all --job order --run order:3"),
    ],
)
def test_a_balance_names_what_lists_its_doubts(
    scope: Scope, name: str, per: Per, period: str, command: str
) -> None:
    """By whose it is, and from the day on that it is of; nothing where there is no doubt."""
    balance = Balance(scope, name, per, period, "USD", 9, 1, 0, 2, 0)
    assert balance.listing == command
    assert replace(balance, doubt=0).listing is None
