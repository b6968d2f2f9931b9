"""Testing: what the metered provider charges for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from payonce.money import Money

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


def price_of(model: str, prices: Mapping[str, Price], otherwise: Price | None = None) -> Price:
    """The price of a model; `otherwise` or that of `"*"` where the table doesn't name it."""
    named = prices.get(model) or otherwise or prices.get(ANY_MODEL)
    return named or DEFAULT_PRICES[ANY_MODEL]
