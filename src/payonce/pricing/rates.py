"""Decision, inside `pricing`: what one unit costs, and what counts cost by it; exact decimals.

The amount of a call is added up exactly and rounded once, to a whole nano, half to even.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from payonce.money import Money
from payonce.pricing.usage import Counts, Unpriced

MILLION = 1_000_000
_FALLS_TO = {
    "cached": ("input",),
    "reasoning": ("output",),
    "input_tool": ("input",),
    "input_image": ("input",),
    "input_video": ("input",),
    "input_document": ("input_image", "input"),
    "cached_audio": ("input_audio",),
    "cached_image": ("input_image", "cached", "input"),
    "cached_document": ("cached_image", "input_image", "cached", "input"),
    "cached_video": ("input_video", "cached", "input"),
}
"""By which rate a unit is billed that has none of its own, nearest first.

Only where that is what providers do, or more than they charge. Audio, images that are made, and
what is written to a cache cost more than text; without a rate of their own they have no price.
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """An amount for each `per` units; above a step's start, in tokens read, the step's amount."""

    amount: Decimal
    per: int = MILLION
    steps: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        """The amount where so many tokens were read."""
        if not self.steps:
            return self.amount
        above = [amount for start, amount in self.steps if input_tokens > start]
        return above[-1] if above else self.amount

    def most(self, input_tokens: int) -> Decimal:
        """The highest amount where at most so many tokens were read."""
        reached = (amount for start, amount in self.steps if input_tokens > start)
        return max((self.amount, *reached))

    def times(self, factor: Decimal) -> Rate:
        """The same by a contract's factor."""
        steps = tuple((start, amount * factor) for start, amount in self.steps)
        return Rate(self.amount * factor, self.per, steps)


@dataclass(frozen=True, slots=True)
class Rates:
    """What a model costs; `call` is an amount for each call, and all of it where it is `flat`.

    `told` says that its seller tells the cost of each call, which differs from this.
    """

    units: Mapping[str, Rate]
    currency: str = "USD"
    call: Decimal = Decimal(0)
    flat: bool = False
    told: bool = False

    def of(self, unit: str) -> Rate | None:
        """The rate by which a unit is billed; None where nobody knows."""
        names = (unit, *_FALLS_TO.get(unit, ()))
        return next((self.units[name] for name in names if name in self.units), None)

    def cost(self, counts: Counts) -> Money:
        """What these counts cost.

        Raises:
            Unpriced: one of them has no rate.
        """
        if self.flat:
            return Money.of(self.call, self.currency, rounded=True)
        if self.told:
            raise Unpriced("its seller tells the cost of each call, but not in this answer")
        if counts.is_blurred:
            self._refuse_blurred(counts)
        amount = self.call
        for unit, count in counts.units.items():
            rate = self.of(unit)
            if rate is None:
                raise Unpriced(f"the price of its {unit.replace('_', ' ')} is not known")
            amount += rate.at(counts.input_tokens) * count / rate.per
        return Money.of(amount, self.currency, rounded=True)

    def times(self, factor: Decimal) -> Rates:
        """The same by a contract's factor."""
        units = {unit: rate.times(factor) for unit, rate in self.units.items()}
        return Rates(units, self.currency, self.call * factor, self.flat, self.told)

    def _refuse_blurred(self, counts: Counts) -> None:
        plain = self.of("input")
        for unit in counts.units:
            if unit.startswith("input_") and self.of(unit) != plain:
                raise Unpriced("its usage doesn't tell which of its cached tokens are text")
