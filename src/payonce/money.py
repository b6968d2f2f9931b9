"""Noun: an amount of money as whole nano-units of one currency, never a float."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import total_ordering

NANOS = 1_000_000_000
_AMOUNT = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<currency>[A-Z]{3})\s*")


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """`nanos` billionths of one unit of `currency` (ISO 4217, upper case)."""

    nanos: int
    currency: str = "USD"

    @classmethod
    def parse(cls, text: str | Money) -> Money:
        """Read "0.02 USD".

        Raises:
            ValueError: the text is not a number, a space and a three-letter currency,
                or has more than nine decimal places.
        """
        if isinstance(text, Money):
            return text
        match = _AMOUNT.fullmatch(text)
        if match is None:
            raise ValueError(f'an amount of money reads like "0.02 USD", not {text!r}')
        return cls.of(Decimal(match["number"]), match["currency"])

    @classmethod
    def of(cls, amount: Decimal, currency: str = "USD", *, rounded: bool = False) -> Money:
        """Turn a decimal amount into whole nanos; `rounded` allows more than nine places."""
        nanos = amount * NANOS
        whole = nanos.to_integral_value(rounding=ROUND_HALF_EVEN)
        if whole != nanos and not rounded:
            raise ValueError(f"{amount} {currency} has more than nine decimal places")
        return cls(int(whole), currency)

    def __add__(self, other: Money) -> Money:
        return Money(self.nanos + self._same(other).nanos, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.nanos < self._same(other).nanos

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    @property
    def amount(self) -> str:
        """The decimal amount as text, with at least two places and no needless zeros."""
        sign = "-" if self.nanos < 0 else ""
        units, nanos = divmod(abs(self.nanos), NANOS)
        places = f"{nanos:09d}".rstrip("0").ljust(2, "0")
        return f"{sign}{units}.{places}"

    def _same(self, other: Money) -> Money:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} don't add up")
        return other
