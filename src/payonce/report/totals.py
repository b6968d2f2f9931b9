"""Reading: what a run's calls add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from payonce.model import Call
from payonce.money import Money
from payonce.report import text
from payonce.resolving import doubts
from payonce.waking import billed


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of calls, and the money behind them as far as prices are known.

    `money` and `waste` have one amount per currency; `unpriced` counts the paid calls whose
    price is not known, `rejected` those whose answer was no good.
    """

    paid: int
    money: tuple[Money, ...]
    unpriced: int
    in_doubt: int
    rejected: int
    waste: tuple[Money, ...]

    @classmethod
    def of(cls, calls: Sequence[Call]) -> Totals:
        """Add up the calls of a run."""
        paid = billed(calls)
        rejected = [call for call in paid if call.rejected]
        return cls(
            paid=len(paid),
            money=_sums(paid),
            unpriced=sum(call.cost_nanos is None for call in paid),
            in_doubt=len(doubts(calls)),
            rejected=len(rejected),
            waste=_sums(rejected),
        )

    def sentence(self) -> str:
        """All of it in one line."""
        known = " + ".join(map(str, self.money))
        price = [known] if known else []
        if self.unpriced:
            price.append(f"{self.unpriced} of unknown price")
        parts = [text.plural(self.paid, "paid call") + (f" ({', '.join(price)})" if price else "")]
        parts.append(f"{self.in_doubt} in doubt")
        if self.rejected:
            wasted = " + ".join(map(str, self.waste)) or text.UNKNOWN
            parts.append(f"{self.rejected} rejected (waste: {wasted})")
        return ", ".join(parts)

    def row(self) -> dict[str, Any]:
        """The same for programs; amounts are decimal texts by currency."""
        return {
            "paid_calls": self.paid,
            "money": {money.currency: money.amount for money in self.money},
            "unknown_price": self.unpriced,
            "in_doubt": self.in_doubt,
            "rejected": self.rejected,
            "waste": {money.currency: money.amount for money in self.waste},
        }


def _sums(calls: Iterable[Call]) -> tuple[Money, ...]:
    sums: dict[str, Money] = {}
    for call in calls:
        if call.cost_nanos is not None:
            one = Money(call.cost_nanos, call.currency)
            sums[one.currency] = sums.get(one.currency, Money(0, one.currency)) + one
    return tuple(sums[currency] for currency in sorted(sums))
