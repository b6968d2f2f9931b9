"""Costs are exact: those of genai-prices itself, and sums of their parts."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot
from hypothesis import assume, given
from hypothesis import strategies as st

from payonce.errors import ConfigError
from payonce.money import Money
from payonce.pricing import Prices

AT = 1_795_500_000.0
PROVIDERS = ("openai", "anthropic", "google", "aws", "mistral", "groq", "cohere", "deepseek")
LISTED = [
    (provider.id, model.id)
    for provider in get_snapshot().providers
    if provider.id in PROVIDERS
    for model in provider.models
]
MOMENTS = st.integers(1_700_000_000, 1_800_000_000)
COUNTS = st.integers(0, 2_000_000)
AMOUNTS = st.decimals(0, 1000, places=9).map(lambda number: f"{number:f} EUR")
PRICES = Prices()


@given(st.sampled_from(LISTED), MOMENTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_cost_is_that_of_the_list(
    listed: tuple[str, str], at: int, read: int, cached: int, written: int, thought: int
) -> None:
    """For each listed model, time and count, steps by length included, to the nano."""
    provider, model = listed
    told: dict[str, Any] = {"input_tokens": read + cached, "cached_input_tokens": cached}
    told |= {"output_tokens": written + thought, "reasoning_tokens": thought}
    cost = PRICES.cost(provider, model, told, at=at)
    assume(cost is not None)
    listed_price = calc_price(
        Usage(
            input_tokens=read + cached,
            cache_read_tokens=cached,
            output_tokens=written + thought,
            output_reasoning_tokens=thought,
        ),
        model,
        provider_id=provider,
        genai_request_timestamp=datetime.fromtimestamp(at // 60 * 60, UTC),
    )
    assert cost == Money.of(listed_price.total_price, rounded=True)


def test_each_listed_model_of_text_has_a_cost() -> None:
    """Strictness costs nothing there; only models that search for each call are unknown."""
    usage = {"input_tokens": 100, "output_tokens": 100}
    now = datetime.fromtimestamp(AT, UTC)
    unknown = {
        model.id
        for provider in get_snapshot().providers
        if provider.id in PROVIDERS
        for model in provider.models
        if model.is_match(model.id)
        and model.get_prices(now).input_mtok is not None
        and model.get_prices(now).output_mtok is not None
        and PRICES.cost(provider.id, model.id, usage, at=AT) is None
    }
    assert unknown == {"gpt-4o-search-preview", "gpt-5-search-api"}


@given(AMOUNTS, AMOUNTS, COUNTS, COUNTS, COUNTS)
def test_a_sum_of_parts_is_off_by_less_than_a_nano_each(
    one: str, other: str, read: int, cached: int, written: int
) -> None:
    """What is added up by parts differs from the whole by rounding alone."""
    prices = Prices()
    prices.add("m", input=one, output=other, cached=other)
    told = {"input_tokens": read + cached, "cached_input_tokens": cached, "output_tokens": written}
    parts = [
        {"input_tokens": read, "output_tokens": 0},
        {"input_tokens": cached, "cached_input_tokens": cached, "output_tokens": 0},
        {"input_tokens": 0, "output_tokens": written},
    ]
    whole = prices.cost("openai", "m", told, at=AT)
    pieces = [prices.cost("openai", "m", part, at=AT) for part in parts]
    assert whole is not None
    assert abs(whole.nanos - sum(piece.nanos for piece in pieces if piece)) <= 2
    exact = sum(
        Decimal(amount.removesuffix(" EUR")) * count / 1_000_000
        for amount, count in ((one, read), (other, cached), (other, written))
    )
    assert whole == Money.of(Decimal(exact), "EUR", rounded=True)


@given(st.decimals(0, 2, places=6), COUNTS)
def test_a_contracts_factor_is_exact(factor: Decimal, read: int) -> None:
    """A factor on the list is the list's amount times it, rounded once."""
    prices = Prices()
    prices.add("gpt-5*", provider="openai", factor=f"{factor:f}")
    told = {"input_tokens": read, "output_tokens": 0}
    expected = Money.of(Decimal("1.25") * factor * read / 1_000_000, rounded=True)
    assert prices.cost("openai", "gpt-5", told, at=AT) == expected
    assert prices.cost("anthropic", "gpt-5", told, at=AT) is None


def test_half_a_nano_goes_to_the_even_one() -> None:
    """Rounding has no drift: halves go to the even neighbour."""
    prices = Prices()
    prices.add("m", input="0.0005 USD", output="0 USD")
    costs = [prices.cost("x", "m", {"input_tokens": n, "output_tokens": 0}, at=AT) for n in (1, 3)]
    assert [cost.nanos for cost in costs if cost] == [0, 2]


def test_the_last_price_told_counts() -> None:
    """A pattern, then an exact name; a provider's own; a host's."""
    prices = Prices()
    told = {"input_tokens": 1_000_000, "output_tokens": 0}
    prices.add("*", input="1 USD", output="1 USD")
    prices.add("our-*", input="2 USD", output="2 USD")
    prices.add("our-*", provider="gpu.example", input="0 USD", output="0 USD")
    prices(model="our-BIG", provider="openai", input="3", output="3", currency="EUR")
    assert str(prices.cost("openai", "else", told, at=AT)) == "1.00 USD"
    assert str(prices.cost("mistral", "our-big", told, at=AT)) == "2.00 USD"
    assert str(prices.cost("openai", "our-big", told, at=AT, host="gpu.example")) == "3.00 EUR"
    assert str(prices.cost("openai", "our-small", told, at=AT, host="gpu.example")) == "0.00 USD"


def test_a_free_model_is_free_whatever_it_counts() -> None:
    """Zero is a price when it is told: a model of one's own has no bill for any unit."""
    prices = Prices()
    prices.add("llama*", input="0 USD", output="0 USD")
    odd = {"input_tokens": 5, "cache_write_tokens": 5, "output_tokens": 2, "speed": "fast"}
    assert prices.cost("openai", "llama3.1:8b", odd, at=AT) == Money(0)
    assert prices.ceiling("openai", "llama3.1:8b", None, 10, at=AT) == Money(0)


def test_another_api_is_priced_by_the_call() -> None:
    """A host that is no model has a price for each call, and no usage."""
    prices = Prices()
    prices.add("*", provider="api.example.com", call="0.05 USD")
    at_host = {"host": "api.example.com", "at": AT}
    assert prices.cost("api.example.com", None, None, **at_host) == Money.parse("0.05 USD")
    assert prices.ceiling("api.example.com", None, {"any": 1}, 9, **at_host) == (
        Money.parse("0.05 USD")
    )
    assert prices.cost("openai", None, None, at=AT) is None
    assert prices.step("send_invoice") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": "2.50"},
        {"input": "-1 USD"},
        {"input": "1 USD", "output": "1 EUR"},
        {"input": 2.5},
        {"factor": "a tenth"},
        {"factor": "-1"},
        {"factor": "NaN"},
    ],
)
def test_what_is_no_price_is_refused(wrong: dict[str, Any]) -> None:
    """With what to write in its place."""
    with pytest.raises(ConfigError):
        Prices().add("m", **wrong)


def test_new_lists_are_used_at_once() -> None:
    """What genai-prices' own updates bring in goes before what was found in older lists."""
    told = {"input_tokens": 1_000_000, "output_tokens": 0}
    assert PRICES.cost("openai", "gpt-5", told, at=AT) == Money.parse("1.25 USD")
    kept = [each for each in get_snapshot().providers if each.id != "openai"]
    set_custom_snapshot(DataSnapshot(providers=kept, from_auto_update=True))
    try:
        assert PRICES.cost("openai", "gpt-5", told, at=AT) is None
    finally:
        set_custom_snapshot(None)
    assert PRICES.cost("openai", "gpt-5", told, at=AT) == Money.parse("1.25 USD")


def test_without_the_lists_ones_own_prices_hold() -> None:
    """Where genai-prices is missing, listed models are unknown, and the reason says what to do."""
    program = """
import sys
sys.modules["genai_prices"] = None
from payonce.pricing import Prices
prices = Prices()
told = {"input_tokens": 1, "output_tokens": 1}
prices.warm()
print(prices.price("openai", "gpt-5", told, at=0).why)
prices.add("gpt-5", input="1 USD", output="1 USD")
print(prices.cost("openai", "gpt-5", told, at=0))
print(prices.ceiling("openai", "gpt-4", {"max_tokens": 1}, 9, at=0))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == [
        "genai-prices is not installed (pip install genai-prices)",
        "0.000002 USD",
        "None",
    ]
