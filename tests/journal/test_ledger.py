"""The exam: the money of calls, in the transactions that move them, and what budgets leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs
from tests.journal.making import NO_COLUMN, closing, found, intended, opened, receipt
from tests.journal.making import intent as intent_of
from tests.journal.stores import Clock

from payonce import budget
from payonce.journal.protocol import Journal
from payonce.model import CallState, Intent, Run, RunState, WakesOn
from payonce.money import EVERY, Balance, Budget, Entry, Scope, Short

DAY = Budget("tenant", EVERY, "day", 100)


def _entries(journal: Journal, run: Run) -> list[tuple[str, int | None, int]]:
    return [(entry.kind, entry.nanos, entry.held) for entry in journal.ledger.entries(run.id)]


def _held(journal: Journal, run: Run, *budgets: Budget, key: str = "a", **more: Any) -> Intent:
    allowances = budget.allowances(run, budgets or (DAY,), (), "USD", journal.now())
    return intent_of(run, key, allowances=allowances, **more)


def _intend(journal: Journal, asked: Intent) -> int:
    call_id = journal.intend(asked).now()
    assert isinstance(call_id, int)
    return call_id


def _balance(journal: Journal) -> tuple[int, int, int, int]:
    (balance,) = journal.ledger.balances()
    return balance.spent, balance.held, balance.doubt, balance.unpriced


def test_a_receipt_is_settled_with_all_that_sums_are_made_by(
    journal: Journal, clock: Clock
) -> None:
    """An entry names job, key, tenant, attempt, step and model, so that it outlives its run."""
    run = opened(journal)
    call = intended(journal, run, source="capture", parent_id=9)
    clock.move(5)
    journal.complete(call, intent_of(run), receipt(cost_nanos=7, currency="EUR", model="m")).now()
    (entry,) = journal.ledger.entries(run.id)
    assert entry == Entry(
        id=entry.id,
        at=clock.now,
        kind="settle",
        run_id=run.id,
        attempt=1,
        call_id=call,
        parent_id=9,
        job="generate",
        key="course:1",
        tenant="acme",
        step="outline",
        source="capture",
        model="m",
        nanos=7,
        currency="EUR",
        held=0,
    )


def test_an_unknown_price_is_unknown(journal: Journal) -> None:
    """A receipt without a cost has an entry without an amount, not one of zero."""
    run = opened(journal)
    journal.complete(intended(journal, run), intent_of(run), receipt()).now()
    assert _entries(journal, run) == [("settle", None, 0)]


def test_a_receipt_is_settled_once(journal: Journal) -> None:
    """A second answer of the same call moves no money."""
    run = opened(journal)
    call = intended(journal, run)
    for cost in (7, 8):
        journal.complete(call, intent_of(run), receipt(cost_nanos=cost)).now()
    assert _entries(journal, run) == [("settle", 7, 0)]


def test_a_rejected_receipt_is_waste_once(journal: Journal) -> None:
    """What was paid stays paid; the same amount is waste, too."""
    run = opened(journal)
    call = intended(journal, run)
    journal.complete(call, intent_of(run), receipt(cost_nanos=7)).now()
    for _ in range(2):
        journal.reject(call, "no JSON").now()
    assert _entries(journal, run) == [("settle", 7, 0), ("waste", 7, 0)]


def test_a_call_that_was_surely_not_billed_leaves_no_entry(journal: Journal) -> None:
    """Without a hold there is nothing to give back."""
    run = opened(journal)
    journal.end(intended(journal, run), intent_of(run), CallState.RELEASED, "HTTP 400").now()
    assert _entries(journal, run) == []


def test_a_doubt_says_what_it_may_cost_and_is_taken_back(journal: Journal, clock: Clock) -> None:
    """A late receipt ends the doubt, on the day on which it was told, and settles the cost."""
    run = opened(journal)
    asked = intent_of(run, ceiling_nanos=9)
    call = _intend(journal, asked)
    journal.end(call, asked, CallState.IN_DOUBT, "ReadTimeout").now()
    assert _entries(journal, run) == [("doubt", 9, 0)]
    told = clock.now
    clock.move(86_400)
    journal.complete(call, asked, receipt(cost_nanos=7)).now()
    assert _entries(journal, run) == [("doubt", 9, 0), ("doubt", -9, 0), ("settle", 7, 0)]
    assert [e.at for e in journal.ledger.entries(run.id)] == [told, told, clock.now]


def test_a_persons_word_ends_a_doubt(journal: Journal) -> None:
    """What did not happen cost nothing; what happened cost what the person says."""
    run = opened(journal)
    for key, word, told in (
        ("a", "did_not_happen", None),
        ("b", "happened", receipt(cost_nanos=5)),
        ("c", "pay_again", None),
    ):
        asked = intent_of(run, key, ceiling_nanos=9)
        call = _intend(journal, asked)
        journal.end(call, asked, CallState.IN_DOUBT, "ReadTimeout").now()
        assert journal.resolve(call, word, "looked it up", told).now()  # type: ignore[arg-type]
    assert _entries(journal, run) == [
        ("doubt", 9, 0),
        ("doubt", -9, 0),
        ("doubt", 9, 0),
        ("doubt", -9, 0),
        ("settle", 5, 0),
        ("doubt", 9, 0),
    ]


def test_a_second_receipt_in_one_place_is_waste(journal: Journal, clock: Clock) -> None:
    """The answer of an attempt that lost its lease comes after that of the next one."""
    first = opened(journal)
    late = intent_of(first)
    call = _intend(journal, late)
    clock.move(31)
    second = opened(journal, owner="two")
    again = structs.replace(intent_of(second), send=2)
    journal.complete(_intend(journal, again), again, receipt(cost_nanos=7)).now()
    journal.complete(call, late, receipt("late", cost_nanos=8)).now()
    assert _entries(journal, first)[-2:] == [("settle", 8, 0), ("waste", 8, 0)]
    assert sum(e.nanos or 0 for e in journal.ledger.entries(first.id) if e.kind == "settle") == 15


def test_the_ledger_outlives_its_runs(journal: Journal, clock: Clock) -> None:
    """Pruning removes answers and runs; what was spent stays on record."""
    run = opened(journal)
    journal.complete(intended(journal, run), intent_of(run), receipt(cost_nanos=7)).now()
    assert journal.close(closing(run)).now()
    intended(journal, opened(journal, "course:2"))
    clock.move(100)
    assert journal.prune(clock.now).runs == 1
    assert _entries(journal, run) == [("settle", 7, 0)]


def test_a_hold_is_settled_by_the_receipt(journal: Journal) -> None:
    """What is held for a call is given back when its cost is known."""
    run = opened(journal)
    asked = _held(journal, run, ceiling_nanos=60)
    call = _intend(journal, asked)
    assert _balance(journal) == (0, 60, 0, 0)
    journal.complete(call, asked, receipt(cost_nanos=45)).now()
    assert _entries(journal, run) == [("hold", 60, 60), ("settle", 45, -60)]
    assert _balance(journal) == (45, 0, 0, 0)


def test_a_hold_is_released_where_nothing_was_billed(journal: Journal) -> None:
    """A refused call gives its hold back whole."""
    run = opened(journal)
    asked = _held(journal, run, ceiling_nanos=60)
    journal.end(_intend(journal, asked), asked, CallState.RELEASED, "HTTP 400").now()
    assert _entries(journal, run) == [("hold", 60, 60), ("release", 60, -60)]
    assert _balance(journal) == (0, 0, 0, 0)


def test_a_hold_becomes_a_doubt_where_the_call_may_have_been_billed(
    journal: Journal, clock: Clock
) -> None:
    """After a crash the hold is gone; what the call may have cost counts until it is known."""
    run = opened(journal)
    call = _intend(journal, _held(journal, run, ceiling_nanos=60))
    clock.move(31)
    opened(journal, owner="two")
    assert _entries(journal, run) == [("hold", 60, 60), ("expire", 60, -60), ("doubt", 60, 0)]
    assert _balance(journal) == (0, 0, 60, 0)
    assert journal.resolve(call, "did_not_happen", "the bill says so", None).now()
    assert _balance(journal) == (0, 0, 0, 0)
    assert sum(entry.held for entry in journal.ledger.entries(run.id)) == 0


def test_the_hold_of_an_attempt_that_is_gone_is_not_waited_for(
    journal: Journal, clock: Clock
) -> None:
    """A run that nobody delivers again keeps no budget: its call is in doubt, not in flight."""
    run = opened(journal)
    _intend(journal, _held(journal, run, ceiling_nanos=60))
    journal.ledger.expire().now()
    assert _balance(journal) == (0, 60, 0, 0), "it still works"
    clock.move(31)
    journal.ledger.expire().now()
    assert _balance(journal) == (0, 0, 60, 0)
    assert journal.calls(run.id)[0].state is CallState.IN_DOUBT


def test_a_budget_is_not_passed(journal: Journal) -> None:
    """An intent whose ceiling isn't left is not written; one that fits to the nano is."""
    run = opened(journal)
    first = _held(journal, run, ceiling_nanos=60)
    _intend(journal, first)
    short = journal.intend(_held(journal, run, key="b", ceiling_nanos=41)).now()
    assert isinstance(short, Short)
    assert short.waits, "the first may cost less than is held for it"
    assert (short.balance and short.balance.left, short.wanted) == (40, 41)
    assert [call.step_key for call in journal.calls(run.id)] == ["a"]
    _intend(journal, _held(journal, run, key="b", ceiling_nanos=40))
    short = journal.intend(_held(journal, run, key="c", ceiling_nanos=101)).now()
    assert isinstance(short, Short)
    assert not short.waits, "it can never be held"


def test_a_call_is_held_against_each_budget_that_concerns_it(journal: Journal) -> None:
    """The tightest one decides, and each is charged."""
    run = opened(journal)
    budgets = (
        DAY,
        Budget("app", EVERY, "month", 1000),
        Budget("job", "generate", "total", 70),
        Budget("run", "generate", "total", 500),
        Budget("tenant", "other", "day", 1),
        Budget("job", "other", "day", 1),
    )
    asked = _held(journal, run, *budgets, ceiling_nanos=60)
    journal.complete(_intend(journal, asked), asked, receipt(cost_nanos=50)).now()
    spent = {(b.scope, b.name): (b.limit, b.spent) for b in journal.ledger.balances()}
    assert spent == {
        ("tenant", "acme"): (100, 50),
        ("app", "*"): (1000, 50),
        ("job", "generate"): (70, 50),
        ("run", "generate course:1"): (500, 50),
    }
    short = journal.intend(_held(journal, run, *budgets, key="b", ceiling_nanos=21)).now()
    assert isinstance(short, Short)
    assert short.balance is not None
    assert short.balance.scope == "job"


def test_a_call_of_unknown_ceiling_is_held_for_twice_what_its_step_has_cost(
    journal: Journal,
) -> None:
    """Or for all that is left, where it has no history; other models' costs say nothing."""
    run = opened(journal)
    first = _held(journal, run, name="ask", model="m")
    call = _intend(journal, first)
    assert _balance(journal) == (0, 100, 0, 0)
    short = journal.intend(_held(journal, run, key="b", name="ask", model="m")).now()
    assert isinstance(short, Short)
    assert short.waits
    journal.complete(call, first, receipt(cost_nanos=20, model="m-2026")).now()
    _intend(journal, _held(journal, run, key="b", name="ask", model="m"))
    assert _balance(journal) == (20, 40, 0, 0)
    _intend(journal, _held(journal, run, key="c", name="ask", model="other"))
    assert _balance(journal) == (20, 80, 0, 0)


def test_what_was_held_whole_leaves_no_doubt_of_that_amount(journal: Journal, clock: Clock) -> None:
    """All that was left says nothing of what a call may have cost."""
    run = opened(journal)
    _intend(journal, _held(journal, run))
    clock.move(31)
    opened(journal, owner="two")
    assert _entries(journal, run)[-2:] == [("expire", 100, -100), ("doubt", None, 0)]
    assert _balance(journal) == (0, 0, 0, 0)


def test_a_new_balance_begins_with_what_was_spent(journal: Journal, clock: Clock) -> None:
    """A budget that is set at noon counts the morning, but not the day before."""
    run = opened(journal)
    for cost, wait in ((5, 86_400), (7, 60)):
        asked = intent_of(run, f"{cost}")
        journal.complete(_intend(journal, asked), asked, receipt(cost_nanos=cost)).now()
        clock.move(wait)
        journal.renew(run.id, run.attempt, 90_000).now()
    _intend(journal, _held(journal, run, DAY, ceiling_nanos=1))
    _intend(
        journal, _held(journal, run, Budget("run", EVERY, "total", 50), key="b", ceiling_nanos=1)
    )
    spent = {balance.scope: balance.spent for balance in journal.ledger.balances()}
    assert spent == {"tenant": 7, "run": 12}


def test_a_limit_counts_what_was_in_flight_when_it_was_set(journal: Journal) -> None:
    """A call that began before anybody knew of the limit, and so held nothing, counts once paid."""
    run = opened(journal)
    call = intended(journal, run)
    _intend(journal, _held(journal, run, key="b", ceiling_nanos=60))
    journal.complete(call, intent_of(run), receipt(cost_nanos=30)).now()
    assert _balance(journal) == (30, 60, 0, 0)
    assert isinstance(journal.intend(_held(journal, run, key="c", ceiling_nanos=11)).now(), Short)


def test_a_new_balance_begins_with_what_is_in_doubt(journal: Journal) -> None:
    """The bill may have it; once it is known, it counts no more."""
    run = opened(journal)
    asked = intent_of(run, ceiling_nanos=60)
    doubt = _intend(journal, asked)
    journal.end(doubt, asked, CallState.IN_DOUBT, "ReadTimeout").now()
    _intend(journal, _held(journal, run, key="b", ceiling_nanos=40))
    assert _balance(journal) == (0, 40, 60, 0)
    assert journal.resolve(doubt, "did_not_happen", "the bill says so", None).now()
    assert _balance(journal) == (0, 40, 0, 0)


def test_a_receipt_after_a_persons_no_counts(journal: Journal) -> None:
    """A person said that it did not happen, and the answer came: it was paid for."""
    run = opened(journal)
    asked = _held(journal, run, ceiling_nanos=60)
    call = _intend(journal, asked)
    journal.end(call, asked, CallState.IN_DOUBT, "ReadTimeout").now()
    assert journal.resolve(call, "did_not_happen", "I believe", None).now()
    journal.complete(call, asked, receipt(cost_nanos=45)).now()
    assert _balance(journal) == (45, 0, 0, 0)


def test_a_call_is_held_in_the_period_in_which_it_begins(journal: Journal, clock: Clock) -> None:
    """What was asked for before midnight, and comes to be written after it, is asked for anew."""
    run = opened(journal, lease=1e6)
    journal.ledger.set_budget(Budget("app", EVERY, "day", None)).now()
    asked = _held(journal, run, ceiling_nanos=60, told=1)
    clock.move(86_400)
    assert journal.intend(asked).now() == Short()
    assert journal.calls(run.id) == []
    _intend(journal, _held(journal, run, ceiling_nanos=60, told=1))


@pytest.mark.parametrize(
    "moment",
    [
        "2024-02-28T23:59:59.999999",
        "2024-02-29T23:59:59.9996",
        "2024-03-01T00:00",
        "2026-12-31T23:59:59.5",
        "2027-01-01T00:00",
    ],
)
def test_the_database_has_the_same_calendar(journal: Journal, clock: Clock, moment: str) -> None:
    """A receipt is counted in the very balances that its call was held in, at any midnight."""
    clock.now = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    run = opened(journal)
    each = [Budget("app", EVERY, per, 100) for per in ("day", "month", "total")]
    asked = _held(journal, run, *each, ceiling_nanos=60)
    journal.complete(_intend(journal, asked), asked, receipt(cost_nanos=45)).now()
    assert [(b.spent, b.held) for b in journal.ledger.balances()] == [(45, 0)] * 3


def test_a_call_that_ends_after_midnight_counts_in_the_day_before(
    journal: Journal, clock: Clock
) -> None:
    """Also where the next day's balance is made after that."""
    run = opened(journal, lease=1e6)
    asked = _held(journal, run, ceiling_nanos=60)
    call = _intend(journal, asked)
    clock.move(86_400)
    journal.complete(call, asked, receipt(cost_nanos=45)).now()
    _intend(journal, _held(journal, run, key="b", ceiling_nanos=100))
    assert _balance(journal) == (0, 100, 0, 0)


def test_a_day_has_its_own_balance(journal: Journal, clock: Clock) -> None:
    """The next day begins at nothing; a receipt is settled in the day of its hold."""
    run = opened(journal, lease=1e6)
    asked = _held(journal, run, ceiling_nanos=100)
    call = _intend(journal, asked)
    clock.move(86_400)
    _intend(journal, _held(journal, run, key="b", ceiling_nanos=100))
    journal.complete(call, asked, receipt(cost_nanos=45)).now()
    assert _balance(journal) == (0, 100, 0, 0), "that of today"


def test_a_persons_budget_is_known_before_anything_is_written(journal: Journal) -> None:
    """An intent that doesn't know of the last limit that was set is not written."""
    run = opened(journal)
    journal.ledger.set_budget(replace(DAY, nanos=5)).now()
    assert journal.intend(intent_of(run)).now() == Short()
    told = journal.ledger.budgets()
    assert told.budgets == (replace(DAY, nanos=5),)
    assert isinstance(journal.intend(intent_of(run, told=told.version)).now(), int)
    journal.ledger.set_budget(replace(DAY, nanos=None)).now()
    lifted = journal.ledger.budgets()
    assert (lifted.version > told.version, lifted.budgets[0].nanos) == (True, None)


def test_a_limit_that_is_set_lets_runs_go_that_a_budget_parked(
    journal: Journal, clock: Clock
) -> None:
    """They are due for a look; who was parked by another one, or for anything else, is not."""
    month = budget.fingerprint(replace(DAY, per="month"))
    for key, wakes_on, cause in (
        ("a", (WakesOn.BUDGET,), budget.fingerprint(DAY)),
        ("b", (WakesOn.SCHEMA,), "no column"),
        ("c", (WakesOn.BUDGET,), month),
        ("d", (WakesOn.CODE, WakesOn.BUDGET), "PriceUnknown:m"),
    ):
        run = opened(journal, key)
        why = replace(NO_COLUMN, wakes_on=wakes_on, fingerprint=cause)
        assert journal.close(closing(run, RunState.PARKED, diagnosis=why)).now()
    journal.ledger.set_budget(replace(DAY, name="other")).now()
    assert [found(journal, key).retry_at for key in "abcd"] == [None] * 4
    journal.ledger.set_budget(replace(DAY, name="acme")).now()
    due = [key for key in "abcd" if found(journal, key).retry_at == clock.now]
    assert due == ["a", "d"]
    assert [key for key in "abcd" if budget.concerns(DAY, found(journal, key))] == due


def test_what_was_said_of_a_budget_can_be_taken_back(journal: Journal, clock: Clock) -> None:
    """Nothing is said then; versions grow: no process takes an old word for the last one."""
    journal.ledger.set_budget(replace(DAY, nanos=5)).now()
    said = journal.ledger.budgets()
    assert said.budgets[0].set_at == clock.now
    journal.ledger.set_budget(DAY, cleared=True).now()
    cleared = journal.ledger.budgets()
    assert (cleared.version, cleared.budgets) == (said.version + 1, ())
    journal.ledger.set_budget(replace(DAY, nanos=7)).now()
    again = journal.ledger.budgets()
    assert (again.version, again.budgets) == (said.version + 2, (replace(DAY, nanos=7),))


@pytest.mark.parametrize(
    ("scope", "name", "spent"),
    [
        ("tenant", "acme", 7),
        ("tenant", "other", 0),
        ("job", "generate", 7),
        ("app", EVERY, 7),
        ("run", "generate course:1", 7),
        ("run", "generate course:2", 0),
    ],
)
def test_what_is_used_is_told_before_anything_was_held(
    journal: Journal, clock: Clock, scope: Scope, name: str, spent: int
) -> None:
    """A limit that was set just now says what the ledger has for its period, doubts included."""
    run = opened(journal, lease=1e9)
    journal.complete(intended(journal, run), intent_of(run), receipt(cost_nanos=9)).now()
    clock.move(86_400)
    call = intended(journal, run, "b")
    journal.complete(call, intent_of(run, "b"), receipt(cost_nanos=7)).now()
    used = journal.ledger.used(Budget(scope, name, "day", 10))
    assert (used.spent, used.left, used.period) == (spent, 10 - spent, "1970-01-13")
    assert journal.ledger.used(Budget(scope, name, "total", 10)).spent == (16 if spent else 0)


def test_a_lost_lease_holds_nothing(journal: Journal, clock: Clock) -> None:
    """An intent that is fenced off leaves the balance as it was."""
    run = opened(journal)
    clock.move(31)
    assert journal.intend(_held(journal, run, ceiling_nanos=60)).now() is None
    assert _balance(journal) == (0, 0, 0, 0)


@pytest.mark.parametrize("cost", [None, 30])
def test_what_a_budget_cannot_count_is_counted_apart(journal: Journal, cost: int | None) -> None:
    """A receipt of unknown cost, or of another currency, is no zero."""
    run = opened(journal)
    asked = _held(journal, run, ceiling_nanos=60)
    currency = "USD" if cost is None else "EUR"
    journal.complete(
        _intend(journal, asked), asked, receipt(cost_nanos=cost, currency=currency)
    ).now()
    assert _balance(journal) == (0, 0, 0, 1)


def test_what_is_left_is_the_limit_less_all_that_is_used() -> None:
    """Paid, held and in doubt."""
    balance = Balance("app", EVERY, "total", "", "USD", 100, 50, 20, 10, 0)
    assert balance.left == 20
