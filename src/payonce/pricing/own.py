"""Decision, inside `pricing`: the user's own prices: models of their own, contracts, other APIs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from payonce.errors import ConfigError
from payonce.money import EXACT, Money
from payonce.pricing.rates import Rate, Rates

Amount = Money | str
_NANOS = Decimal(1_000_000_000)


@dataclass(frozen=True, slots=True)
class Own:
    """One price of the user's; without `rates` it is the price list's, by `factor`."""

    model: re.Pattern[str]
    provider: str | None
    rates: Rates | None
    factor: Decimal

    def fits(self, provider: str | None, host: str | None, model: str | None) -> bool:
        """Whether it is the price of this model, at this provider or host."""
        if self.provider is not None and self.provider not in (provider, host):
            return False
        return self.model.fullmatch(model or "") is not None


def own_price(
    model: str,
    provider: str | None,
    amounts: Mapping[str, Amount | None],
    call: Amount | None,
    factor: str | Decimal,
    currency: str | None,
) -> Own:
    """Check what the user tells of a price.

    Raises:
        ConfigError: an amount is none, is negative, or is in another currency than the others.
    """
    if not model:
        raise ConfigError(f"{model!r} names no model", 'Give it a name, or a pattern like "gpt-*".')
    given = {name: amount for name, amount in amounts.items() if amount is not None}
    money = {name: _money(name, each, currency) for name, each in given.items()}
    if call is not None:
        money["call"] = _money("call", call, currency)
    if len(found := {each.currency for each in money.values()}) > 1:
        raise ConfigError(
            f"the prices of {model} are in {' and '.join(sorted(found))}",
            "Give them all in one currency.",
        )
    name = (provider or "").lower() or None
    return Own(_pattern(model), name, _rates(money), _factor(factor))


def _rates(money: Mapping[str, Money]) -> Rates | None:
    if not money:
        return None
    currency = next(iter(money.values())).currency
    decimals = {name: EXACT.divide(Decimal(each.nanos), _NANOS) for name, each in money.items()}
    call = decimals.pop("call", Decimal(0))
    is_flat = not decimals or not any((call, *decimals.values()))
    units = {name: Rate(amount) for name, amount in decimals.items()}
    return Rates(units, currency, call, is_flat)


def _money(name: str, amount: Amount, currency: str | None) -> Money:
    try:
        if isinstance(amount, str) and currency is not None and not amount.strip()[-3:].isalpha():
            amount = f"{amount} {currency}"
        money = Money.parse(amount)
    except (ValueError, TypeError, AttributeError):
        raise ConfigError(
            f"{name}= is {amount!r}, which is no amount of money",
            f'Give it as text, for a million tokens: {name}="2.50 USD".',
        ) from None
    return money


def _factor(factor: str | Decimal) -> Decimal:
    try:
        number = Decimal(str(factor))
    except InvalidOperation:
        raise ConfigError(
            f"factor= is {factor!r}", 'Give it as text, such as factor="0.85" for 15 % off.'
        ) from None
    if not number.is_finite() or number < 0:
        raise ConfigError(f"factor= is {factor}", "Give it 0 or more.")
    return number


def _pattern(model: str) -> re.Pattern[str]:
    """A name in which `*` stands for anything, in small or capital letters."""
    return re.compile(".*".join(map(re.escape, model.split("*"))), re.IGNORECASE | re.DOTALL)
