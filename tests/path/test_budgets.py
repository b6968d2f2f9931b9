"""Budgets on the way of a delivery: held before a call, kept by stops, woken by people and time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.journal.making import intent, opened
from tests.journal.stores import Clock
from tests.path.looking import calls, only_run, states

from payonce import Parked, Payonce, RetryLater, budget
from payonce.errors import ConfigError
from payonce.journal.protocol import RunFilter
from payonce.model import RunState
from payonce.money import Budget, Money
from payonce.notices import BudgetUsedUp, Notice

Sent = list[int]


@pytest.fixture
def sent() -> Sent:
    """What was paid for, in order."""
    return []


@pytest.fixture
def batch(app: Payonce, sent: Sent) -> Callable[[int], int]:
    """A job of five steps, each of which costs one dollar, with three to spend."""

    @app.step(cost="1 USD")
    def pay(n: int) -> int:
        sent.append(n)
        return n

    @app.job(key="batch:{many}", tenant="acme", budget="3 USD")
    def batch(many: int) -> int:
        return sum(pay(n) for n in range(many))

    return batch


def test_a_run_parks_before_the_call_that_would_pass_its_budget(
    app: Payonce, batch: Callable[[int], int], sent: Sent
) -> None:
    """It says what is left and how to raise it; what was paid is kept, and no more is paid."""
    with pytest.raises(Parked) as told:
        batch(5)
    assert sent == [0, 1, 2]
    assert "may cost 1.00 USD, and the budget of run" in told.value.reason
    assert "is 3.00 USD: 3.00 USD paid" in told.value.reason
    assert "payonce budget set 'N USD' --run" in told.value.reason
    assert "when the budget is raised or lifted; or:" in told.value.todo
    assert (told.value.paid, only_run(app).wakes_on) == ("yes", ("budget",))
    with pytest.raises(Parked) as again:
        batch(5)
    assert (again.value.paid, sent) == ("no", [0, 1, 2])


def test_a_run_that_needs_no_more_than_its_budget_is_done(
    batch: Callable[[int], int], sent: Sent
) -> None:
    """Exactly the limit may be spent."""
    assert batch(3) == 3
    assert sent == [0, 1, 2]


def test_a_higher_limit_lets_the_run_go_on(
    app: Payonce, batch: Callable[[int], int], sent: Sent
) -> None:
    """Under the same key, in the same world; what was paid is replayed."""
    with pytest.raises(Parked):
        batch(5)
    name = f"{only_run(app).job} batch:5"
    app.journal.ledger.set_budget(Budget("run", name, "total", 5_000_000_000)).now()
    assert batch(5) == 10
    assert sent == [0, 1, 2, 3, 4]


def test_a_lower_limit_holds_at_once(app: Payonce, sent: Sent) -> None:
    """A person may stop the spending of runs that are at work, though the code has no budget."""

    @app.step(cost="1 USD")
    def pay(n: int) -> int:
        sent.append(n)
        if n == 1:
            app.journal.ledger.set_budget(Budget("app", "*", "day", 0)).now()
        return n

    @app.job(key="k")
    def job() -> None:
        for n in range(5):
            pay(n)

    with pytest.raises(Parked, match="budget of the application on 1970-01-12 is 0"):
        job()
    assert sent == [0, 1]


def test_a_run_goes_on_when_the_period_is_over(app: Payonce, clock: Clock, sent: Sent) -> None:
    """The next day has its own budget; the parked message says when that is."""
    app.budget("2 USD", tenant="*", per="day")

    @app.step(cost="1 USD")
    def pay(n: int) -> int:
        sent.append(n)
        return n

    @app.job(key="k:{tenant}", tenant="{tenant}")
    def job(tenant: str) -> int:
        return sum(pay(n) for n in range(3))

    with pytest.raises(Parked, match=r"or its period is over; .* from 10 h on"):
        job("acme")
    clock.move(60)
    with pytest.raises(Parked):
        job("acme")
    with pytest.raises(Parked):
        job("other")
    assert sent == [0, 1, 0, 1]
    clock.move(86_400)
    assert job("acme") == 3
    assert sent == [0, 1, 0, 1, 2]


def test_budgets_of_others_are_no_business_of_a_run(app: Payonce, sent: Sent) -> None:
    """One tenant's limit, that of another job, and one in another currency, hold nobody else."""
    app.budget("0 USD", tenant="other")
    app.budget("0 USD", job="other")
    app.budget("0 EUR")

    @app.step(cost="1 USD")
    def pay() -> None:
        sent.append(1)

    @app.job(key="k", tenant="acme")
    def job() -> None:
        pay()

    job()
    assert sent == [1]


def test_what_is_not_charged_for_needs_no_budget(app: Payonce, sent: Sent) -> None:
    """A step without a cost is an effect; budgets are for what is paid."""

    @app.step
    def effect() -> None:
        sent.append(1)

    @app.job(key="k", budget="0 USD")
    def job() -> None:
        effect()

    job()
    assert sent == [1]


def test_the_cost_that_an_answer_tells_is_settled(app: Payonce, sent: Sent) -> None:
    """Without a ceiling the first call is held for all, and the rest is there for the next one."""

    @app.step(cost=lambda answer: f"{answer} USD")
    def pay(cost: str) -> str:
        sent.append(1)
        return cost

    @app.job(key="k", budget="5 USD")
    def job() -> None:
        for cost in ("1.50", "1.25", "0.75", "1.00", "0.30", "0.20"):
            pay(cost)

    with pytest.raises(Parked, match=r"4\.50 USD paid"):
        job()
    [balance] = app.journal.ledger.balances()
    assert (balance.spent, balance.held) == (4_500_000_000, 0)


def test_a_ceiling_may_be_told(app: Payonce, sent: Sent) -> None:
    """Where the cost varies, the most that it can be is what is held."""

    @app.step(cost=lambda answer: f"{answer} USD", ceiling="2 USD")
    def pay(cost: str) -> str:
        sent.append(1)
        return cost

    @app.job(key="k", budget="5 USD")
    def job() -> None:
        for cost in ("1.50", "1.50", "1.50"):
            pay(cost)

    job()
    assert len(sent) == 3


def test_calls_in_flight_are_waited_for(live: Payonce) -> None:
    """What is held by another call may be left over: the next one waits for it, then goes."""
    gate, sent = threading.Event(), []

    @live.step(cost=lambda _: "1 USD", ceiling="3 USD")
    def pay(n: int) -> None:
        sent.append(n)
        gate.wait(10)

    @live.job(key="k:{n}")
    def job(n: int) -> None:
        pay(n)

    live.budget("4 USD")
    workers = [threading.Thread(target=job, args=(n,)) for n in range(2)]
    workers[0].start()
    while not sent:
        pass
    workers[1].start()
    gate.wait(0.3)
    assert sent == [0]
    gate.set()
    for worker in workers:
        worker.join(20)
    assert sent == [0, 1]


def test_a_run_comes_again_where_calls_in_flight_take_long(live: Payonce) -> None:
    """It is told to come again, not parked: nothing is wrong with it."""
    gate, begun = threading.Event(), threading.Event()

    @live.step(cost="3 USD")
    def pay() -> None:
        begun.set()
        gate.wait(20)

    @live.job(key="k:{n}", wait=0.2)
    def job(n: int) -> None:
        pay()

    live.budget("4 USD")
    worker = threading.Thread(target=job, args=(1,))
    worker.start()
    assert begun.wait(10)
    with pytest.raises(RetryLater, match=r"3\.00 USD held for calls in flight"):
        job(2)
    gate.set()
    worker.join(20)


def test_the_hold_of_a_dead_attempt_is_not_waited_for(app: Payonce, clock: Clock) -> None:
    """After a crash that nobody delivers again, what is left is there for others."""

    @app.step(cost="2 USD", in_doubt="retry")
    def pay() -> None: ...

    @app.job(key="k:{n}", budget="9 USD")
    def job(n: int) -> None:
        pay()

    app.budget("4 USD")
    dead = opened(app.journal)
    all_ = [Budget("app", "*", "total", 4_000_000_000)]
    held = budget.allowances(dead, all_, (), "USD", clock.now)
    asked = intent(dead, allowances=held, ceiling_nanos=1_500_000_000)
    assert isinstance(app.journal.intend(asked).now(), int)
    clock.move(60)
    job(2)
    with pytest.raises(Parked, match=r"2\.00 USD paid"):
        job(3)
    balance = next(b for b in app.journal.ledger.balances() if b.scope == "app")
    assert (balance.held, balance.doubt) == (0, 1_500_000_000)


def test_an_async_job_is_held_in_the_same_way(app: Payonce, sent: Sent) -> None:
    """Concurrent calls of one run share its budget."""

    @app.step(cost="1 USD")
    async def pay(n: int) -> int:
        sent.append(n)
        await asyncio.sleep(0)
        return n

    @app.job(key="k", budget="3 USD")
    async def job() -> int:
        return sum(await asyncio.gather(*(pay(n) for n in range(5))))

    with pytest.raises((Parked, RetryLater)):
        asyncio.run(job())
    assert len(sent) == 3
    [balance] = app.journal.ledger.balances()
    assert balance.spent + balance.doubt == 3_000_000_000


def test_a_stop_by_a_budget_passes_through_what_catches_exceptions(
    app: Payonce, sent: Sent
) -> None:
    """User code that catches everything can't go on spending."""

    @app.step(cost="1 USD")
    def pay(n: int) -> None:
        sent.append(n)

    @app.job(key="k", budget="1 USD")
    def job() -> None:
        for n in range(3):
            try:
                pay(n)
            except Exception:
                continue

    with pytest.raises(Parked):
        job()
    assert sent == [0]


def test_hooks_are_told_once_that_a_budget_is_reached(app: Payonce) -> None:
    """With what is used of it; the next run that meets it is not told of."""
    told: list[Notice] = []
    app.notify(told.append)
    app.budget("1 USD", tenant="*")

    @app.step(cost="2 USD")
    def pay() -> None: ...

    @app.job(key="k:{n}", tenant="acme")
    def job(n: int) -> None:
        pay()

    for n in range(3):
        with pytest.raises(Parked):
            job(n)
    app.close()
    [notice] = [notice for notice in told if isinstance(notice, BudgetUsedUp)]
    assert "budget of tenant acme is 1.00 USD: 0.00 USD paid" in notice.text


def test_runs_that_a_budget_has_parked_do_not_trip_the_breaker(app: Payonce) -> None:
    """One tenant's money says nothing of the code: other tenants go on."""
    app.budget("0 USD", tenant="poor")

    @app.step(cost="1 USD")
    def pay() -> None: ...

    @app.job(key="k:{tenant}:{n}", tenant="{tenant}")
    def job(tenant: str, n: int) -> None:
        pay()

    for n in range(5):
        with pytest.raises(Parked, match="budget of tenant poor"):
            job("poor", n)
    job("rich", 1)


def test_a_budget_is_an_amount_of_one_thing(app: Payonce) -> None:
    """What could not work is refused where it is said."""
    with pytest.raises(ConfigError, match="a job and a tenant"):
        app.budget("1 USD", job="a", tenant="b")
    with pytest.raises(ConfigError, match="no budget per week"):
        app.budget("1 USD", per="week")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="amount of money"):
        app.budget("much")
    with pytest.raises(ValueError, match="amount of money"):
        app.job(key="k", budget="5")(lambda: None)


def test_a_late_receipt_ends_its_doubt_in_the_budget(
    app: Payonce, batch: Callable[[int], int], tmp_path: Path
) -> None:
    """The run's ledger adds up: holds and their ends, and the balance they leave."""
    with pytest.raises(Parked):
        batch(4)
    run = only_run(app)
    entries = app.journal.ledger.entries(run.id)
    assert [entry.kind for entry in entries] == ["hold", "settle"] * 3
    assert sum(entry.held for entry in entries) == 0
    assert (run.state, states(app)) == (RunState.PARKED, ["paid"] * 3)
    assert [call.ceiling_nanos for call in calls(app)] == [1_000_000_000] * 3
    assert replace(entries[0]).tenant == "acme"


def test_a_step_costs_what_the_calls_inside_of_it_cost(app: Payonce, sent: Sent) -> None:
    """It is held until the first of them, and no longer: nothing waits for what it holds itself."""

    @app.step(cost="1 USD")
    def inner(n: int) -> None:
        sent.append(n)

    @app.step(cost="9 USD", ceiling="2 USD")
    def outer() -> None:
        for n in range(3):
            inner(n)

    @app.job(key="k", budget="2 USD")
    def job() -> None:
        outer()

    with pytest.raises(Parked, match=r"2\.00 USD paid"):
        job()
    assert sent == [0, 1]
    [balance] = app.journal.ledger.balances()
    assert (balance.spent, balance.held, balance.doubt) == (2_000_000_000, 0, 0)


@pytest.mark.parametrize("cost", ["9 USD", None])
def test_a_step_that_only_replays_what_is_inside_costs_no_more(
    app: Payonce, sent: Sent, cost: str | None
) -> None:
    """What was paid inside of it before it failed is on the receipts of then, and counts once."""

    @app.step(cost="1 EUR")
    def inner() -> None:
        sent.append(1)

    @app.step
    def middle() -> None:
        inner()

    @app.step(cost=cost, in_doubt="retry")
    def outer() -> None:
        middle()
        if len(app.journal.history(1).attempts) == 1:
            raise ConnectionError("lost")

    @app.job(key="k", backoff=0)
    def job() -> None:
        outer()

    with pytest.raises(RetryLater):
        job()
    job()
    assert sent == [1]
    [summary] = app.journal.runs(RunFilter())
    assert (summary.money, summary.unpriced) == ((Money(1_000_000_000, "EUR"),), 0)


def test_a_step_with_effects_inside_keeps_its_cost(app: Payonce, sent: Sent) -> None:
    """A step that nothing is charged for is no reason to forget what the one around it costs."""

    @app.step
    def effect() -> None:
        sent.append(1)

    @app.step(cost="1 USD")
    def pay() -> None:
        effect()

    @app.job(key="k", budget="1 USD")
    def job() -> None:
        pay()

    job()
    [balance] = app.journal.ledger.balances()
    assert (balance.spent, balance.held, balance.unpriced) == (1_000_000_000, 0, 0)


def test_a_budget_that_cannot_limit_a_call_is_warned_of(
    app: Payonce, sent: Sent, caplog: pytest.LogCaptureFixture
) -> None:
    """A limit in another currency doesn't count a call, and must not seem to: it is said once."""

    @app.step(cost="1 USD")
    def pay(n: int) -> int:
        sent.append(n)
        return n

    @app.job(key="abroad:{key}", budget="0.50 EUR")
    def abroad(key: int) -> int:
        return pay(key) + pay(key + 1)

    @app.job(key="home:{key}", budget="5 USD")
    def home(key: int) -> int:
        return pay(key)

    home(0)
    assert not caplog.messages
    abroad(1)
    abroad(5)
    [said] = caplog.messages
    assert "costs USD, and the budgets of" in said
    assert "are in EUR alone: they don't limit it" in said
    assert sent == [0, 1, 2, 5, 6]
