"""The metered provider's own prices: told to an app, and taken from the public lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from openai import OpenAI

from payonce.money import Money
from payonce.pricing import Prices
from payonce.testing import MeteredProvider, Price, listed, spawn_provider


def test_a_provider_in_another_process_has_its_own_prices(tmp_path: Path) -> None:
    """What it was given is what it bills by, and what it tells."""
    table = {"m": Price("3", "7", call="0.5")}
    prices = Prices()
    with spawn_provider(tmp_path / "bill", prices=table) as provider:
        provider.tell(prices)
        with OpenAI(base_url=provider.openai_url, api_key="k") as client:
            for model in ("m", "another"):
                client.responses.create(model=model, input="[ask] something")
        for call in provider.bill:
            used = {"input_tokens": call.input_tokens, "output_tokens": call.output_tokens}
            assert prices.cost("openai", call.model, used, at=call.at) == call.cost
        assert provider.cost > Money.parse("0.5 USD")


def test_a_provider_can_bill_by_the_public_lists() -> None:
    """Then what it bills is what an app reckons that was told nothing."""
    table = listed("gpt-5-mini", "claude-opus-5")
    with MeteredProvider(prices=table) as provider:
        with OpenAI(base_url=provider.openai_url, api_key="k") as client:
            client.responses.create(model="gpt-5-mini", input="[ask] something")
        (call,) = provider.bill
        used = {"input_tokens": call.input_tokens, "output_tokens": call.output_tokens}
        assert Prices().cost("openai", "gpt-5-mini", used, at=call.at) == call.cost
    assert {name: price.input for name, price in table.items()}.keys() == {
        "gpt-5-mini",
        "claude-opus-5",
    }


def test_an_unlisted_model_has_no_listed_price() -> None:
    """A test would rather fail than bill by a guess."""
    with pytest.raises(ValueError, match="the price of our-own-13b is not known"):
        listed("our-own-13b")
