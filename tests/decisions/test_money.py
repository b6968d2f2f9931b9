"""Money is whole nano-units of one currency."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce import Money

AMOUNTS = st.integers(-(10**24), 10**24)
CURRENCIES = st.sampled_from(["USD", "EUR", "JPY"])


@given(st.integers(0, 2**61), CURRENCIES)
def test_what_is_printed_can_be_read(nanos: int, currency: str) -> None:
    """An amount and its text are the same amount."""
    money = Money(nanos, currency)
    assert Money.parse(str(money)) == money
    assert Money.parse(money) is money


@given(AMOUNTS)
def test_an_amount_is_exact(nanos: int) -> None:
    """The text is the decimal number, with two places or more, and never in exponents."""
    text = Money(nanos).amount
    assert Decimal(text) * 10**9 == nanos
    assert len(text.partition(".")[2]) >= 2
    assert "E" not in text


@given(AMOUNTS, AMOUNTS, CURRENCIES)
def test_adding_and_comparing_are_those_of_integers(a: int, b: int, currency: str) -> None:
    """No amount is lost or made."""
    one, other = Money(a, currency), Money(b, currency)
    assert (one + other).nanos == a + b
    assert ((one < other), (one >= other), (one == other)) == (a < b, a >= b, a == b)


@given(st.lists(AMOUNTS, min_size=1), CURRENCIES, st.randoms(use_true_random=False))
def test_a_sum_does_not_depend_on_its_order(
    parts: list[int], currency: str, chance: Random
) -> None:
    """Added up in any order and in any groups, a sum is that of the nanos, exactly."""
    amounts = [Money(nanos, currency) for nanos in parts]
    chance.shuffle(amounts)
    while len(amounts) > 1:
        at = chance.randrange(len(amounts) - 1)
        amounts[at : at + 2] = [amounts[at] + amounts[at + 1]]
    assert amounts == [Money(sum(parts), currency)]
    assert type(amounts[0].nanos) is int


@given(AMOUNTS, AMOUNTS)
def test_currencies_do_not_mix(a: int, b: int) -> None:
    """Two currencies neither add up nor compare, and are never equal."""
    one, other = Money(a, "USD"), Money(b, "EUR")
    assert one != other
    with pytest.raises(ValueError, match="don't add up"):
        one + other
    with pytest.raises(ValueError, match="don't add up"):
        assert one < other


@given(st.decimals(-(10**6), 10**6, places=12))
def test_more_than_nine_places_are_rounded_only_if_asked(amount: Decimal) -> None:
    """What can't be held exactly is refused, or rounded to the nearest nano."""
    exact = amount * 10**9 == (amount * 10**9).to_integral_value()
    rounded = Money.of(amount, rounded=True)
    assert abs(Decimal(rounded.nanos) - amount * 10**9) <= Decimal("0.5")
    if exact:
        assert Money.of(amount) == rounded
    else:
        with pytest.raises(ValueError, match="nine decimal places"):
            Money.of(amount)


@pytest.mark.parametrize(
    ("text", "nanos", "currency"),
    [
        ("0.02 USD", 20_000_000, "USD"),
        ("5 USD", 5_000_000_000, "USD"),
        ("0.000000001 EUR", 1, "EUR"),
        ("  7.5JPY ", 7_500_000_000, "JPY"),
    ],
)
def test_an_amount_is_read(text: str, nanos: int, currency: str) -> None:
    """A number and three capital letters."""
    assert Money.parse(text) == Money(nanos, currency)


@pytest.mark.parametrize(
    "text",
    ["", "USD", "5", "5 usd", "-5 USD", "5 US", "$5", "1e3 USD", "5. USD", "1,5 USD", "5 USDT"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    """With an example of what is."""
    with pytest.raises(ValueError, match=r"0\.02 USD"):
        Money.parse(text)


@pytest.mark.parametrize(
    "amount", [Money(-1), "9999999999 USD", Money(2**61 + 1), "9" * 99 + " USD"]
)
def test_an_amount_that_no_journal_can_count_is_refused(amount: str | Money) -> None:
    """Negative ones, and those of which two are too much for a database's whole numbers."""
    with pytest.raises(ValueError, match="less than nothing, or more than can be counted"):
        Money.parse(amount)


def test_too_many_places_are_refused() -> None:
    """A text is never rounded."""
    with pytest.raises(ValueError, match="nine decimal places"):
        Money.parse("0.0000000001 USD")
