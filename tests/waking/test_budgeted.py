"""Runs that a budget has parked go on by themselves: by a person's word, and by time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.journal.stores import Clock
from tests.waking.telling import runs, until, word

from payonce import Payonce, lookout
from payonce.model import RunState
from payonce.money import Budget
from payonce.waking import wake

SOON = 0.05
DOLLAR = 1_000_000_000


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "_FIRST", 0.01)


class Orders:
    """A job that pays so many dollars, of which each tenant has two a day."""

    def __init__(self, app: Payonce) -> None:
        self.app, self.paid = app, list[str]()
        app.budget("2 USD", tenant="*", per="day")

        @app.step(name="pay", cost="1 USD")
        def pay(what: str) -> None:
            self.paid.append(what)

        @app.job(key="{tenant}:{many}", name="order", tenant="{tenant}")
        def order(tenant: str, many: int) -> None:
            for n in range(many):
                pay(f"{tenant} {n}")

        self.order = order

    def states(self) -> set[RunState]:
        return {run.state for run in runs(self.app).values()}


def _say(app: Payonce, dollars: int, name: str = "acme") -> None:
    app.journal.ledger.set_budget(Budget("tenant", name, "day", dollars * DOLLAR)).now()


def test_a_higher_limit_wakes_without_a_delivery(make_app: Callable[..., Payonce]) -> None:
    """What another process says is done at the next look; what was paid is not paid again."""
    orders, other = Orders(make_app(look_every=SOON)), make_app()
    assert word(orders.order, "acme", 4) == "Parked"
    _say(other, 4)
    until(lambda: orders.states() == {RunState.DONE})
    assert orders.paid == ["acme 0", "acme 1", "acme 2", "acme 3"]


def test_the_end_of_the_day_wakes_without_a_delivery(
    make_app: Callable[..., Payonce], clock: Clock
) -> None:
    """All tenants whose day was used up go on after midnight, each within its new day."""
    orders = Orders(make_app(look_every=SOON))
    for tenant in ("acme", "zen"):
        assert word(orders.order, tenant, 4) == "Parked"
    clock.move(86_400)
    until(lambda: orders.states() == {RunState.DONE})
    assert len(orders.paid) == 8


def test_a_delivery_and_a_person_wake_too(app: Payonce) -> None:
    """By the queue, where it keeps the message; by `payonce wake`, without `--force`."""
    orders = Orders(app)
    for many in (3, 4):
        word(orders.order, "acme", many)
    assert list(wake(app)) == []
    _say(app, 3)
    assert word(orders.order, "acme", 3) == "done"
    _say(app, 9)
    assert [woken.outcome for woken in wake(app)] == ["done"]
    assert len(orders.paid) == 7


def test_a_limit_that_is_still_too_low_is_tried_once(app: Payonce) -> None:
    """The run parks again, until the day is over: no look after it begins another attempt."""
    orders = Orders(app)
    word(orders.order, "acme", 5)
    _say(app, 3)
    for _ in range(3):
        app.lookout.look(app, threading.Event())
    [run] = runs(app).values()
    assert (run.attempt, run.state, len(orders.paid)) == (2, RunState.PARKED, 3)
    assert (run.retry_at or 0) > app.journal.now()


def test_another_tenants_limit_wakes_nobody(app: Payonce) -> None:
    """Only runs that are concerned are looked at again."""
    orders = Orders(app)
    word(orders.order, "acme", 3)
    for given in ({"name": "zen"}, {}):
        _say(app, 9, **given)
        app.lookout.look(app, threading.Event())
    told: dict[str, Any] = {key: (run.attempt, run.state) for key, run in runs(app).items()}
    assert told == {"acme:3": (2, RunState.DONE)}


def test_runs_of_one_limit_have_one_fingerprint(app: Payonce) -> None:
    """Each tenant's own use of the limit of every tenant is one cause, over all their runs."""
    orders = Orders(app)
    for tenant in ("acme", "zen", "big"):
        for many in (3, 4):
            assert word(orders.order, tenant, many) == "Parked"
    assert {run.fingerprint for run in runs(app).values()} == {"BudgetReached:tenant:*:day:USD"}
