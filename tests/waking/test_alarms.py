"""Hooks hear of unusual spending, of storms of deliveries, and of one run that takes the money."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from tests.journal.stores import Clock
from tests.waking.telling import until

from payonce import Alarms, Payonce
from payonce.alarming import Alarming
from payonce.delivery import receiving
from payonce.errors import NotDone
from payonce.model import Delivery
from payonce.notices import DeliveryStorm, Notice, RunStandsOut, RunTakesMost, UnusualSpending

DAY = 86_400.0
Call = Callable[..., None]


@pytest.fixture
def call(app: Payonce) -> Call:
    """A job that pays what it is told to; without a column it fails."""

    @app.step(cost=lambda answer: f"{answer:.2f} USD")
    def pay(n: int, dollars: float) -> float:
        return dollars

    @app.job(
        key="{key}",
        name="generate",
        tenant="{tenant}",
        attempts=999,
        backoff=0.0,
        wait=0.0,
        ignore_args=["n"],
    )
    def generate(key: str, tenant: str, dollars: float, fails: bool = False, n: int = 0) -> None:
        pay(n, dollars)
        if fails:
            raise ConnectionError("try again")

    def call(key: str, tenant: str, dollars: float, **more: object) -> None:
        with suppress(NotDone), receiving(Delivery(queue="cloud-tasks")):
            generate(key, tenant, dollars, **more)  # type: ignore[arg-type]

    return call


def _found(app: Payonce, rules: Alarms | None = None) -> list[Notice]:
    return list(Alarming(None).found(app.journal, rules or Alarms()))


def _days_of_work(call: Call, clock: Clock, days: int = 3) -> None:
    """Each day at one hour, two tenants spend a dollar each."""
    for day in range(days):
        for tenant in ("acme", "zen"):
            call(f"{tenant} {day}", tenant, 1.0)
        clock.move(DAY)


def test_steady_work_is_nothing_to_tell_of(app: Payonce, call: Call, clock: Clock) -> None:
    """The same as on the days before, and three times as much of less than the floor."""
    _days_of_work(call, clock)
    call("a", "acme", 3.0)
    assert _found(app) == []


def test_a_tenant_that_spends_far_more_than_before_is_told_of(
    app: Payonce, call: Call, clock: Clock
) -> None:
    """With what it has spent, what was usual, and how to stop it; the job's hour is told, too."""
    _days_of_work(call, clock)
    for n in range(20):
        call(f"new {n}", "acme", 0.5)
    told = {n.name: n for n in _found(app) if isinstance(n, UnusualSpending)}
    assert set(told) == {"acme", "generate"}
    assert "tenant acme has spent 10.00 USD within an hour" in told["acme"].text
    assert "has spent 1.00 USD at most before" in told["acme"].text
    assert "payonce budget set 'N USD' --tenant acme --per day" in told["acme"].text
    assert (told["acme"].usual.amount, told["generate"].usual.amount) == ("1.00", "2.00")


def test_a_new_tenant_is_compared_with_all_together(app: Payonce, call: Call, clock: Clock) -> None:
    """It spends more in its first hour than all did in their dearest."""
    _days_of_work(call, clock)
    for n in range(11):
        call(f"new {n}", "fresh", 0.5)
    told = [n for n in _found(app) if isinstance(n, UnusualSpending)]
    assert [(n.name, n.known) for n in told] == [("fresh", False)]
    assert "it is new, and all together have spent 2.00 USD at most" in told[0].text


def test_an_app_without_a_day_behind_it_has_nothing_to_compare(app: Payonce, call: Call) -> None:
    """Launch day rings no alarm, however much is spent."""
    for n in range(50):
        call(f"{n}", f"tenant {n % 5}", 2.0)
    assert _found(app) == []


def test_an_hour_may_be_limited_from_the_first_one_on(app: Payonce, call: Call) -> None:
    """`hour=` is what all together may spend; the notice says who has said so."""
    for n in range(10):
        call(f"{n}", f"tenant {n % 5}", 2.0)
    assert _found(app, Alarms(hour="20 USD")) == []
    [told] = _found(app, Alarms(hour="19 USD"))
    assert isinstance(told, UnusualSpending)
    assert "the application has spent 20.00 USD within an hour" in told.text
    assert "an hour may cost 19.00 USD, as hour= of Alarms says" in told.text
    assert told.text.endswith("payonce budget set 'N USD' --per day")


def test_a_run_far_dearer_than_its_like_is_told_of_on_the_first_day(
    app: Payonce, call: Call
) -> None:
    """Though it takes a small part of the day's money, and there is no day before."""
    for n in range(50):
        call(f"{n}", f"tenant {n % 5}", 0.9)
    assert _found(app) == []
    call("loop", "acme", 9.1)
    [told] = _found(app)
    assert isinstance(told, RunStandsOut)
    assert (told.run_key, told.paid.amount, told.dearest.amount) == ("loop", "9.10", "0.90")
    assert "payonce budget set 'N USD' --run 'generate loop'" in told.text


def test_a_nightly_batch_among_small_runs_is_ordinary(
    app: Payonce, call: Call, clock: Clock
) -> None:
    """It stands out in the first night; from the second on it has its like."""
    for night in range(4):
        for n in range(9):
            call(f"small {night} {n}", "acme", 0.5)
        call(f"night {night}", "acme", 9.0)
        assert night == 0 or _found(app) == [], night
        clock.move(DAY)


def test_the_accident_is_told_of_within_its_first_deliveries(
    app: Payonce, call: Call, clock: Clock
) -> None:
    """One run is delivered 21 times and, unprotected, pays anew each time: it is told at the tenth
    delivery at the latest, by the back-off of Cloud Tasks after two minutes.
    """
    _days_of_work(call, clock)
    began, told, wait = clock.now, dict[str, tuple[int, float]](), 0.1
    for delivery in range(1, 22):
        call("course:42", "acme", 1.2, fails=True, n=delivery)
        for notice in _found(app):
            told.setdefault(type(notice).__name__, (delivery, clock.now - began))
        clock.move(wait)
        wait = min(3600.0, wait * 2)
    assert set(told) == {"RunTakesMost", "UnusualSpending", "DeliveryStorm"}
    assert told["RunTakesMost"][0] <= 5
    assert told["DeliveryStorm"][0] == 10
    assert max(after for _, after in told.values()) < 120


def test_a_parked_run_that_is_delivered_again_and_again_is_one_notice(
    app: Payonce, call: Call, clock: Clock
) -> None:
    """A thousand deliveries that pay nothing are told of once, with others of the same cause."""
    told: list[Notice] = []
    app.notify(told.append)
    app.budget("0 USD")
    looking = Alarming(Alarms(), every=0.0)
    for round_ in range(20):
        for run in range(3):
            for _ in range(10 if round_ == 0 or run == 0 else 0):
                call(f"run {run}", "acme", 1.0)
        looking.look(app)
    app.close()
    [storm] = [notice for notice in told if isinstance(notice, DeliveryStorm)]
    assert (storm.deliveries, storm.runs, storm.state, storm.queue) == (
        *(10, 3, "parked"),
        "cloud-tasks",
    )
    assert "has paid 0.00 USD meanwhile. It is parked: " in storm.text
    assert "payonce show 'run 0'" in storm.text


def test_what_the_app_calls_again_itself_is_no_storm(app: Payonce, call: Call) -> None:
    """Looks and people don't count, nor do runs that are done and hand out their result."""

    @app.job(key="k", attempts=999, backoff=0.0, wait=0.0)
    def job() -> None:
        raise ConnectionError

    for queue in ("lookout", "wake"):
        for _ in range(20):
            with suppress(NotDone), receiving(Delivery(queue=queue)):
                job()
    for _ in range(20):
        call("done", "acme", 0.1)
    assert _found(app) == []


def test_one_run_that_takes_most_of_the_day_is_told_of(
    app: Payonce, call: Call, clock: Clock
) -> None:
    """A loop that spends on, within one attempt; others of its job have cost a dollar."""
    _days_of_work(call, clock)

    @app.step(name="pay", cost="1 USD")
    def pay(n: int) -> None: ...

    @app.job(key="loop", name="other")
    def loop() -> None:
        for n in range(60):
            pay(n)

    for n in range(8):
        call(f"today {n}", "zen", 1.0)
    assert [n for n in _found(app) if isinstance(n, RunTakesMost)] == []
    loop()
    [told] = [n for n in _found(app) if isinstance(n, RunTakesMost)]
    assert (told.run_key, told.paid.amount, told.of_all.amount) == ("loop", "60.00", "68.00")
    assert "payonce budget set 'N USD' --run 'other loop'" in told.text


def test_a_dear_run_of_each_night_is_ordinary(app: Payonce, call: Call, clock: Clock) -> None:
    """A batch that takes most of each day's money has its like in the days before."""
    for day in range(4):
        call(f"night {day}", "acme", 40.0)
        call(f"small {day}", "acme", 1.0)
        assert day == 0 or _found(app) == [], day
        clock.move(DAY)


def test_alarms_can_be_switched_off(make_app: Callable[..., Payonce]) -> None:
    """`alarms=None` looks at no money."""
    told: list[Notice] = []
    for alarms in (None, Alarms(floor="1 USD", deliveries=None)):
        app = make_app(alarms=alarms, look_every=0.05)
        app.notify(told.append)

        @app.step(name="pay", cost="1 USD")
        def pay() -> None: ...

        @app.job(key="k {n}", name="job")
        def job(n: int) -> None:
            for _ in range(n):
                pay()

        job(9 if alarms is None else 30)
        if alarms is not None:
            until(lambda: told)
        app.close()
    assert [type(notice) for notice in told] == [RunTakesMost]
