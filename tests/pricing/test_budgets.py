"""Budgets of captured calls: the ceiling comes from the request, the cost from the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from payonce import Parked, Payonce
from payonce.journal.protocol import RunFilter
from payonce.model import Call
from payonce.money import Money
from payonce.testing import MeteredProvider

Calls = Callable[[], list[Call]]
ASKED = "[chapter] Write one chapter of a course about budgets."


@pytest.fixture
def asks(app: Payonce, provider: MeteredProvider) -> Callable[..., None]:
    """A job that asks a model so many different things."""
    from openai import OpenAI

    provider.tell(app.prices)

    @app.job(key="k", budget="0.01 USD")
    def asks(many: int, most: int | None = 100, model: str = "gpt-4o") -> None:
        more: dict[str, Any] = {} if most is None else {"max_tokens": most}
        with OpenAI() as client:
            for n in range(many):
                asked = [{"role": "user", "content": f"{ASKED} {n}"}]
                client.chat.completions.create(model=model, messages=asked, **more)

    return asks


def _billed(provider: MeteredProvider) -> Money:
    return Money(sum(call.cost_nanos for call in provider.bill))


def test_a_budget_stops_before_the_call_that_might_pass_it(
    app: Payonce, provider: MeteredProvider, asks: Callable[..., None], calls: Calls
) -> None:
    """max_tokens and the request's own length bound what a call may cost; the answer tells it."""
    with pytest.raises(Parked, match="budget of run"):
        asks(1000)
    [balance] = app.journal.ledger.balances()
    assert Money(balance.spent) == _billed(provider) <= Money.parse("0.01 USD")
    assert 0 < balance.left < calls()[-1].ceiling_nanos  # type: ignore[operator]
    assert all(call.cost_nanos <= call.ceiling_nanos for call in calls())  # type: ignore[operator]
    assert len(calls()) == len(provider.bill) > 1


def test_without_a_limit_in_the_request_history_tells(
    app: Payonce, provider: MeteredProvider, asks: Callable[..., None], calls: Calls
) -> None:
    """The first call is held for all that is left, the next for what such calls have cost."""
    with pytest.raises(Parked, match="budget of run"):
        asks(1000, most=None)
    [balance] = app.journal.ledger.balances()
    assert Money(balance.spent) == _billed(provider) <= Money.parse("0.01 USD")
    entries = app.journal.ledger.entries(calls()[0].run_id)
    holds = [entry.nanos for entry in entries if entry.kind == "hold"]
    assert holds[0] == 10_000_000
    assert holds[1] == 2 * (calls()[0].cost_nanos or 0)


def test_no_call_is_made_whose_price_nobody_knows(app: Payonce, provider: MeteredProvider) -> None:
    """A budget that can't count a call would be none; it says how to tell the price."""
    from openai import OpenAI

    @app.job(key="k", budget="1 USD")
    def ask() -> None:
        with OpenAI() as client:
            asked = [{"role": "user", "content": ASKED}]
            client.chat.completions.create(model="gpt-unheard-of", messages=asked, max_tokens=9)

    with pytest.raises(Parked, match=r'app\.prices\.add\("gpt-unheard-of", …\)'):
        ask()
    assert provider.bill == []
    app.prices.add("gpt-unheard-of", input="2.50 USD", output="10 USD")
    [parked] = app.journal.runs(RunFilter())
    assert app.journal.wake(parked.run).now()
    ask()
    [balance] = app.journal.ledger.balances()
    assert (len(provider.bill), Money(balance.spent)) == (1, _billed(provider))
