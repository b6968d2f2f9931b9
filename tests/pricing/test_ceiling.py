"""No call costs more than its ceiling, whatever the provider makes of the request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.money import Money
from payonce.pricing import Prices
from payonce.pricing.ceiling import HIDDEN

AT = 1_795_500_000.0
MODELS = {
    provider.id: [model.id for model in provider.models]
    for provider in get_snapshot().providers
    if provider.id in ("openai", "anthropic", "google", "aws", "mistral", "groq", "deepseek")
}
ALIASES = {"google": "gemini", "aws": "bedrock"}
LIMITS = st.integers(1, 200_000)
TEXTS = st.text(min_size=0, max_size=400)
MANY = st.integers(1, 8)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@st.composite
def chats(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A chat completion of OpenAI's, and how many tokens it may write."""
    limit, n = draw(LIMITS), draw(MANY)
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": draw(TEXTS)}]}
    asked[draw(st.sampled_from(["max_tokens", "max_completion_tokens"]))] = limit
    if draw(st.booleans()):
        asked["n"] = n
    else:
        n = 1
    if draw(st.booleans()):
        asked["tools"] = [TOOL]
    if tier := draw(st.sampled_from([None, "auto", "default", "flex", "priority"])):
        asked["service_tier"] = tier
    return asked, limit * n


@st.composite
def responses(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A response of OpenAI's."""
    limit = draw(LIMITS)
    asked = {"input": draw(TEXTS), "instructions": draw(TEXTS), "max_output_tokens": limit}
    return asked, limit


@st.composite
def messages(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A message of Anthropic's, which may be written to a cache, and think."""
    limit = draw(LIMITS)
    part: dict[str, Any] = {"type": "text", "text": draw(TEXTS)}
    ttl = draw(st.sampled_from([None, "5m", "1h"]))
    if ttl is not None:
        part["cache_control"] = {"type": "ephemeral", "ttl": ttl}
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": [part]}]}
    asked |= {"max_tokens": limit, "system": draw(TEXTS)}
    budget = 0
    if draw(st.booleans()):
        budget = draw(LIMITS)
        asked["thinking"] = {"type": "enabled", "budget_tokens": budget}
    if draw(st.booleans()):
        asked["speed"] = draw(st.sampled_from(["standard", "fast"]))
    return asked, limit if budget < limit else limit + budget


@st.composite
def contents(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """Content of Gemini's."""
    limit, n = draw(LIMITS), draw(MANY)
    settings = {"maxOutputTokens": limit, "candidateCount": n}
    return {
        "contents": [{"parts": [{"text": draw(TEXTS)}]}],
        "generationConfig": settings,
    }, limit * n


@st.composite
def conversations(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A conversation of Bedrock's."""
    limit = draw(LIMITS)
    told = [
        {"role": "user", "content": [{"text": draw(TEXTS)}, {"cachePoint": {"type": "default"}}]}
    ]
    return {"messages": told, "inferenceConfig": {"maxTokens": limit}}, limit


REQUESTS = {
    "openai": chats() | responses(),
    "deepseek": chats(),
    "mistral": chats(),
    "groq": chats(),
    "anthropic": messages(),
    "google": contents(),
    "aws": conversations(),
}
AMOUNTS = st.decimals(0, 100, places=4).map(lambda number: f"{number:f} USD")


def _served(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How the provider may serve it, by its own word in the usage."""
    tier = asked.get("service_tier")
    if asked.get("speed") == "fast":
        return [{"speed": "fast"}, {"speed": "standard"}]
    if tier in (None, "auto"):
        return [{}, {"service_tier": "default"}, {"service_tier": "priority"}]
    return [{"service_tier": "default"}, {"service_tier": tier}]


@st.composite
def answered(draw: st.DrawFn, provider: str) -> tuple[dict[str, Any], int, dict[str, Any]]:
    """A request, its length in bytes, and a usage that it allows, as a normalised one."""
    asked, most = draw(REQUESTS[provider])
    size = len(json.dumps(asked).encode())
    read = draw(st.integers(0, size + (HIDDEN if "tools" in asked else 0)))
    cached = draw(st.integers(0, read))
    wrote_cache = draw(st.integers(0, read - cached))
    written = draw(st.integers(0, most))
    usage: dict[str, Any] = {
        "input_tokens": read,
        "cached_input_tokens": cached,
        "cache_write_tokens": wrote_cache,
        "output_tokens": written,
        "reasoning_tokens": draw(st.integers(0, written)),
        **draw(st.sampled_from(_served(asked))),
    }
    if '"ttl": "1h"' in json.dumps(asked):
        for_an_hour = draw(st.integers(0, wrote_cache))
        usage["cache_creation"] = {"ephemeral_1h_input_tokens": for_an_hour}
    return asked, size, usage


@pytest.mark.parametrize("provider", REQUESTS)
@given(data=st.data())
@settings(max_examples=150)
def test_no_cost_is_above_its_ceiling(provider: str, data: st.DataObject) -> None:
    """By the public lists, for each usage and tier that a request allows."""
    prices = Prices()
    asked, size, usage = data.draw(answered(provider))
    model = data.draw(st.sampled_from(MODELS[provider]))
    name = ALIASES.get(provider, provider)
    ceiling = prices.ceiling(name, model, asked, size, at=AT)
    cost = prices.cost(name, model, usage, at=AT)
    if ceiling is not None and cost is not None:
        assert cost <= ceiling


@pytest.mark.parametrize("provider", REQUESTS)
@given(data=st.data())
@settings(max_examples=60)
def test_ones_own_prices_have_ceilings_too(provider: str, data: st.DataObject) -> None:
    """Always known there, whatever is dearer: to read from a cache, or to write to one."""
    prices = Prices()
    names = ("input", "output", "cached", "cache_write", "cache_write_1h", "reasoning", "call")
    prices.add("*", **{name: data.draw(AMOUNTS) for name in names}, factor="1.10")
    asked, size, usage = data.draw(answered(provider))
    ceiling = prices.ceiling(provider, "m", asked, size, at=AT)
    cost = prices.cost(provider, "m", usage, at=AT)
    assert ceiling is not None
    assert cost is not None
    assert cost <= ceiling


@pytest.mark.parametrize(
    ("provider", "model", "asked", "amount"),
    [
        # 1,000 bytes at 1.25 or, by priority, 2.50; 4,000 tokens at 10 or 20 for a million
        ("openai", "gpt-5", {"messages": [], "max_tokens": 4000}, "0.0825"),
        (
            "openai",
            "gpt-5",
            {"messages": [], "max_tokens": 4000, "service_tier": "default"},
            "0.04125",
        ),
        # 1,000 bytes, written to a cache at 3.75; 4,000 tokens at 15
        (
            "anthropic",
            "claude-sonnet-4-5",
            {"messages": [], "max_tokens": 4000},
            "0.06375",
        ),
        (
            "openai",
            "text-embedding-3-small",
            {"input": "x", "encoding_format": "base64"},
            "0.00002",
        ),
    ],
)
def test_a_ceiling_is_no_more_than_it_has_to_be(
    provider: str, model: str, asked: dict[str, Any], amount: str
) -> None:
    """Each byte a token, each at the dearest rate that it may be billed by."""
    assert Prices().ceiling(provider, model, asked, 1000, at=AT) == Money.parse(f"{amount} USD")


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
UNBOUNDED: dict[str, dict[str, Any] | None] = {
    "no JSON": None,
    "no limit": {"messages": [{"role": "user", "content": "x"}]},
    "an image": {"messages": [{"role": "user", "content": [IMAGE]}], "max_tokens": 9},
    "a file": {"input": [{"type": "input_file", "file_id": "f"}], "max_output_tokens": 9},
    "an image of Gemini's": {
        "contents": [{"parts": [{"fileData": {"fileUri": "gs://a"}}]}],
        "generationConfig": {"maxOutputTokens": 9},
    },
    "a document of Bedrock's": {
        "messages": [{"role": "user", "content": [{"document": {"name": "a"}}]}],
        "inferenceConfig": {"maxTokens": 9},
    },
    "an image in a tool's result": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "tool_result", "content": [{"type": "image"}]}],
            }
        ],
        "max_tokens": 9,
    },
    "an image that a function gives": {
        "contents": [
            {"parts": [{"functionResponse": {"name": "f", "parts": [{"inlineData": {}}]}}]}
        ],
        "generationConfig": {"maxOutputTokens": 9},
    },
    "audio of before": {
        "messages": [{"role": "assistant", "audio": {"id": "a"}}],
        "max_tokens": 9,
    },
    "a stored conversation": {"input": "x", "previous_response_id": "r", "max_output_tokens": 9},
    "a stored prompt": {"prompt": {"id": "p"}, "max_output_tokens": 9},
    "a stored item": {"input": [{"type": "item_reference", "id": "i"}], "max_output_tokens": 9},
    "a cache by its name": {
        "contents": "x",
        "cachedContent": "c",
        "generationConfig": {"maxOutputTokens": 9},
    },
    "a web search": {"input": "x", "tools": [{"type": "web_search"}], "max_output_tokens": 9},
    "a web search of Anthropic's": {
        "messages": [],
        "max_tokens": 9,
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    },
    "a web search of Google's": {
        "contents": "x",
        "tools": [{"googleSearch": {}}],
        "generationConfig": {"maxOutputTokens": 9},
    },
    "a search in chat": {"messages": [], "web_search_options": {}, "max_tokens": 9},
    "speech": {"messages": [], "modalities": ["text", "audio"], "max_tokens": 9},
    "a region": {"messages": [], "inference_geo": "us", "max_tokens": 9},
    "what nobody knows": {"messages": [], "max_tokens": 9, "novelty": True},
    "an odd limit": {"messages": [], "max_tokens": "9"},
    "less than none": {"messages": [], "max_tokens": -1},
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_what_cannot_be_bounded_has_no_ceiling(name: str) -> None:
    """A limit that isn't there, or what may bring in more than its own bytes."""
    prices = Prices()
    prices.add("*", input="1 USD", output="1 USD")
    assert prices.ceiling("openai", "m", UNBOUNDED[name], 1000, at=AT) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["messages", "content", "type", "max_tokens", "tools", "role", "parts"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_an_odd_request_raises_nothing(odd: Any) -> None:
    """A request of any shape has a ceiling or none."""
    asked = odd if isinstance(odd, dict) else {"messages": odd, "max_tokens": 1}
    Prices().ceiling("openai", "gpt-5", asked, 100, at=AT)
