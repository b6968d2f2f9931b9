"""Testing: what the metered provider charges for an answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from payonce.money import Money
from payonce.pricing import Prices

ANY_MODEL = "*"


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens and per call, as decimal text such as "2.50" (never a float)."""

    input: str
    output: str
    call: str = "0"

    def cost(self, input_tokens: int, output_tokens: int) -> Money:
        """What a call with so many tokens costs, in whole nano-dollars."""
        amount = input_tokens * Decimal(self.input) + output_tokens * Decimal(self.output)
        return Money.of(amount / 1_000_000 + Decimal(self.call), rounded=True)


DEFAULT_PRICES: Mapping[str, Price] = {ANY_MODEL: Price("2.50", "10.00")}


def listed(*models: str) -> dict[str, Price]:
    """What the public price lists say that models cost now, for a provider that bills like them.

    Raises:
        ValueError: no list has a model, or not one plain price of it for input and output.
    """
    return {model: _listed(model) for model in models}


def _listed(model: str) -> Price:
    million = {"input_tokens": {"input_tokens": 1_000_000, "output_tokens": 0}}
    million["output_tokens"] = {"input_tokens": 0, "output_tokens": 1_000_000}
    found = [Prices().price(None, model, usage, at=time.time()) for usage in million.values()]
    amounts = [each.money.amount for each in found if each.money is not None]
    if len(amounts) < len(found):
        raise ValueError(f"the price of {model} is not known: {found[0].why or found[1].why}")
    return Price(*amounts)


def tell(prices: Prices, table: Mapping[str, Price] = DEFAULT_PRICES) -> None:
    """Tell an app the prices of a metered provider, so that what it reckons is what it is billed.

    Args:
        prices: `app.prices`.
        table: the provider's prices by model; by default those that it has by default.
    """
    for model in sorted({ANY_MODEL, *table}, key=lambda name: name != ANY_MODEL):
        price = table.get(model, DEFAULT_PRICES[ANY_MODEL])
        prices.add(model, input=price.input, output=price.output, call=price.call, currency="USD")


def price_of(model: str, prices: Mapping[str, Price], otherwise: Price | None = None) -> Price:
    """The price of a model; `otherwise` or that of `"*"` where the table doesn't name it."""
    named = prices.get(model) or otherwise or prices.get(ANY_MODEL)
    return named or DEFAULT_PRICES[ANY_MODEL]
