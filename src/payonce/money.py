"""Nouns: amounts of money, as whole nano-units of one currency and never floats; what limits and
records them.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import total_ordering
from typing import Literal

NANOS = 1_000_000_000
_MOST = 2**61
"""Nanos that an amount may have: two of them still fit into a database's whole numbers."""

EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""What amounts are worked out in, however few digits the calling code works with."""

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
                has more than nine decimal places, or is more than a journal can count; or an
                amount that was given is negative.
        """
        if isinstance(text, Money):
            return cls._counted(text)
        match = _AMOUNT.fullmatch(text)
        if match is None:
            raise ValueError(f'an amount of money reads like "0.02 USD", not {text!r}')
        return cls._counted(cls.of(Decimal(match["number"]), match["currency"]))

    @staticmethod
    def _counted(money: Money) -> Money:
        if not money.is_countable:
            raise ValueError(f"{money} is less than nothing, or more than can be counted")
        return money

    @classmethod
    def of(cls, amount: Decimal, currency: str = "USD", *, rounded: bool = False) -> Money:
        """Turn a decimal amount into whole nanos; `rounded` allows more than nine places."""
        nanos = EXACT.multiply(amount, NANOS)
        whole = nanos.to_integral_value(rounding=ROUND_HALF_EVEN, context=EXACT)
        if whole != nanos and not rounded:
            raise ValueError(f"{amount} {currency} has more than nine decimal places")
        return cls(int(whole), currency)

    @property
    def is_countable(self) -> bool:
        """Whether a journal can count it."""
        return 0 <= self.nanos <= _MOST

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


Scope = Literal["run", "job", "tenant", "app"]
Per = Literal["total", "day", "month"]
EVERY = "*"
"""The name of a budget that each job or tenant has for itself."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be spent: by one run, a job, a tenant or the whole application.

    `name` is the job's or the tenant's, `EVERY` for each of them, and that of the job for its runs.
    `nanos` is None where a person has lifted it; `set_at` is when a person said it. Days and months
    are those of UTC.
    """

    scope: Scope
    name: str
    per: Per
    nanos: int | None
    currency: str = "USD"
    set_at: float | None = field(default=None, compare=False)

    @property
    def command(self) -> str:
        """What sets another limit."""
        return " ".join(["payonce budget set", f"'N {self.currency}'", *self.options])

    @property
    def options(self) -> list[str]:
        """How the command line names it."""
        option = f"--{self.scope}"
        if self.scope == "run" and " " not in self.name:
            option = "--each-run-of"
        given = [] if self.scope == "app" else [option, shlex.quote(self.name)]
        return given if self.per == "total" else [*given, "--per", self.per]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a call is held against: a budget that holds for it, in the period of now.

    `rule` is the name by which the limit was said, which may be `EVERY`, or a job for its runs;
    `since` is the beginning of `period` ("2026-06-12", "2026-06"; "" is all time), `until` its end.
    """

    scope: Scope
    name: str
    per: Per
    nanos: int
    period: str
    since: float
    until: float | None
    rule: str = ""

    def holds_at(self, now: float) -> bool:
        """Whether it is the period of this moment."""
        return self.since <= now and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Balance:
    """How much of a budget is used in one period: paid, reserved for calls in flight, in doubt.

    `unpriced` counts receipts whose cost is not known, or is in another currency.
    """

    scope: Scope
    name: str
    per: Per
    period: str
    currency: str
    limit: int
    spent: int
    held: int
    doubt: int
    unpriced: int

    @property
    def left(self) -> int:
        """Nanos that may still be held."""
        return self.limit - self.spent - self.doubt - self.held

    @property
    def title(self) -> str:
        """What it is the budget of, such as "tenant acme on 2026-06-12"."""
        whose = "the application" if self.scope == "app" else f"{self.scope} {self.name}"
        return (
            f"{whose} {'on' if self.per == 'day' else 'in'} {self.period}" if self.period else whose
        )

    def sentence(self) -> str:
        """How much of it is used, and by what."""
        used = [f"{Money(self.spent, self.currency)} paid"]
        if self.doubt:
            used.append(f"{Money(self.doubt, self.currency)} in doubt")
        if self.held:
            used.append(f"{Money(self.held, self.currency)} held for calls in flight")
        limit = Money(self.limit, self.currency)
        return f"the budget of {self.title} is {limit}: {', '.join(used)}"

    @property
    def command(self) -> str:
        """What sets another limit."""
        return Budget(self.scope, self.name, self.per, None, self.currency).command

    @property
    def listing(self) -> str | None:
        """What lists the calls in doubt that count in it, for a person's word; None: none does."""
        if not self.doubt:
            return None
        job, _, key = self.name.partition(" ")
        whose = {
            "app": "",
            "tenant": f" --tenant {shlex.quote(self.name)}",
            "job": f" --job {shlex.quote(self.name)}",
            "run": f" --job {shlex.quote(job)} --run {shlex.quote(key)}",
        }[self.scope]
        since = f" --since {self.period}" if self.per == "day" else ""
        return f"payonce resolve --all{whose}{since}"


@dataclass(frozen=True, slots=True)
class Short:
    """Why an intent was not written: `balance` has not got `wanted` left.

    Without a balance, budgets have been set since they were last looked at.
    """

    balance: Balance | None = None
    wanted: int = 0

    @property
    def waits(self) -> bool:
        """Whether it is only held back by calls that are still in flight."""
        balance = self.balance
        return balance is not None and balance.left + balance.held >= self.wanted


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger; `nanos` is None where a price is not known.

    `held` is what it adds to the sum of all that is reserved.
    """

    id: int
    at: float
    kind: Literal["hold", "settle", "release", "expire", "waste", "doubt"]
    run_id: int
    attempt: int
    call_id: int
    parent_id: int | None
    job: str
    key: str
    tenant: str | None
    step: str
    source: str
    model: str | None
    nanos: int | None
    currency: str
    held: int
