"""A provider's usage is read as counts, each token once; what isn't understood is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.money import Money
from payonce.pricing import Prices
from payonce.pricing.usage import Unpriced, counts_of

AT = 1_795_500_000.0
NAMES = st.sampled_from(
    [
        *("prompt_tokens", "input_tokens", "output_tokens", "total_tokens", "cost", "modality"),
        *("promptTokenCount", "promptTokensDetails", "service_tier", "speed", "cached_tokens"),
        *("prompt_tokens_details", "server_tools", "inference_geo", "billed_units", "seconds"),
    ]
)
USAGES: dict[str, tuple[Mapping[str, Any], dict[str, int]]] = {
    "openai chat": (
        {
            "prompt_tokens": 1000,
            "completion_tokens": 300,
            "total_tokens": 1300,
            "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 200,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 7,
                "rejected_prediction_tokens": 3,
            },
            "service_tier": "default",
        },
        {"input": 600, "cached": 400, "output": 100, "reasoning": 200},
    ),
    "openai audio": (
        {
            "prompt_tokens": 120,
            "completion_tokens": 80,
            "total_tokens": 200,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 100, "text_tokens": 20},
            "completion_tokens_details": {"audio_tokens": 60, "text_tokens": 20},
        },
        {"input": 20, "input_audio": 100, "output": 20, "output_audio": 60},
    ),
    "openai responses": (
        {
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100},
            "output_tokens": 300,
            "output_tokens_details": {"reasoning_tokens": 200},
            "total_tokens": 1300,
        },
        {"input": 500, "cached": 400, "cache_write": 100, "output": 100, "reasoning": 200},
    ),
    "openai images": (
        {
            "input_tokens": 50,
            "input_tokens_details": {"text_tokens": 20, "image_tokens": 30},
            "output_tokens": 4000,
            "output_tokens_details": {"image_tokens": 4000, "text_tokens": 0},
            "total_tokens": 4050,
        },
        {"input": 20, "input_image": 30, "output_image": 4000},
    ),
    "openai transcription by time": ({"type": "duration", "seconds": 61}, {"seconds": 61}),
    "anthropic": (
        {
            "input_tokens": 100,
            "cache_creation_input_tokens": 50,
            "cache_read_input_tokens": 700,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
            "output_tokens": 300,
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
            "service_tier": "standard",
            "inference_geo": "not_available",
        },
        {
            "input": 100,
            "cached": 700,
            "cache_write": 20,
            "cache_write_1h": 30,
            "output": 300,
            "web_searches": 2,
        },
    ),
    "anthropic streamed on bedrock": (
        {
            "input_tokens": 100,
            "output_tokens": 300,
            "inputTokenCount": 100,
            "outputTokenCount": 300,
            "invocationLatency": 812,
            "firstByteLatency": 311,
        },
        {"input": 100, "output": 300},
    ),
    "gemini": (
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 400,
            "candidatesTokenCount": 100,
            "thoughtsTokenCount": 200,
            "toolUsePromptTokenCount": 50,
            "totalTokenCount": 1350,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 700},
                {"modality": "AUDIO", "tokenCount": 300},
            ],
            "cacheTokensDetails": [
                {"modality": "TEXT", "tokenCount": 150},
                {"modality": "AUDIO", "tokenCount": 250},
            ],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 100}],
            "trafficType": "ON_DEMAND",
        },
        {
            "input": 550,
            "input_audio": 50,
            "cached": 150,
            "cached_audio": 250,
            "input_tool": 50,
            "output": 100,
            "reasoning": 200,
        },
    ),
    "gemini interactions": (
        {
            "total_input_tokens": 100,
            "total_output_tokens": 20,
            "total_cached_tokens": 10,
            "total_thought_tokens": 30,
            "total_tool_use_tokens": 0,
            "total_tokens": 150,
            "input_tokens_by_modality": [{"modality": "text", "tokens": 100}],
        },
        {"input": 90, "cached": 10, "output": 20, "reasoning": 30},
    ),
    "bedrock converse": (
        {
            "inputTokens": 100,
            "outputTokens": 300,
            "totalTokens": 1150,
            "cacheReadInputTokens": 700,
            "cacheWriteInputTokens": 50,
            "cacheReadInputTokenCount": 700,
            "cacheWriteInputTokenCount": 50,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 20}],
        },
        {"input": 100, "cached": 700, "cache_write": 20, "cache_write_1h": 30, "output": 300},
    ),
    "bedrock by headers": (
        {"inputTokenCount": 100, "outputTokenCount": 300},
        {"input": 100, "output": 300},
    ),
    "cohere": (
        {
            "billed_units": {"input_tokens": 100, "output_tokens": 30},
            "tokens": {"input_tokens": 166, "output_tokens": 32},
            "cached_tokens": 64,
        },
        {"input": 100, "output": 30},
    ),
    "cohere rerank": ({"billed_units": {"search_units": 2}}, {"rerank_searches": 2}),
    "groq": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 30,
            "total_tokens": 130,
            "queue_time": 0.031,
            "prompt_time": 0.002,
            "completion_time": 0.5,
            "total_time": 0.502,
        },
        {"input": 100, "output": 30},
    ),
    "deepseek": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 30,
            "total_tokens": 130,
            "prompt_tokens_details": {"cached_tokens": 64},
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
        },
        {"input": 36, "cached": 64, "output": 30},
    ),
    "xai, reasoning beside the output": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 30,
            "total_tokens": 330,
            "prompt_tokens_details": {"text_tokens": 100, "cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 200},
            "num_sources_used": 0,
        },
        {"input": 36, "cached": 64, "output": 30, "reasoning": 200},
    ),
    "litellm over anthropic": (
        {
            "prompt_tokens": 850,
            "completion_tokens": 300,
            "total_tokens": 1150,
            "prompt_tokens_details": {"cached_tokens": 700, "cache_creation_tokens": 50},
            "cache_read_input_tokens": 700,
            "cache_creation_input_tokens": 50,
        },
        {"input": 100, "cached": 700, "cache_write": 50, "output": 300},
    ),
    "plain counts": (
        {
            "input_tokens": 1000,
            "cached_input_tokens": 400,
            "cache_write_tokens": 100,
            "output_tokens": 300,
            "reasoning_tokens": 200,
        },
        {"input": 500, "cached": 400, "cache_write": 100, "output": 100, "reasoning": 200},
    ),
    "embeddings": ({"prompt_tokens": 9, "total_tokens": 9}, {"input": 9}),
}


@pytest.mark.parametrize("name", USAGES)
def test_each_dialect_is_understood(name: str) -> None:
    """Cached, written, heard, seen and thought tokens have units of their own, counted once."""
    usage, units = USAGES[name]
    assert dict(counts_of(usage).units) == units


@pytest.mark.parametrize(
    ("usage", "why"),
    [
        ({}, "no count"),
        ({"prompt_tokens": 10, "novel_tokens": 3}, "novel_tokens"),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"smell_tokens": 3}}, "smell_tokens"),
        ({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 12}, "1 of them"),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}, "don't add up"),
        ({"prompt_tokens": -1, "completion_tokens": 1}, "-1"),
        ({"prompt_tokens": 1.5, "completion_tokens": 1}, "1.5"),
        ({"input_tokens": 10, "server_tool_use": {"code_execution_requests": 1}}, "code_exec"),
        ({"input_tokens": 10, "server_tools": {"image_generation_call": 1}}, "image_generation"),
        ({"input_tokens": 10, "inference_geo": "us"}, "inference_geo"),
        ({"promptTokenCount": 9, "promptTokensDetails": [{"modality": "TASTE", "n": 9}]}, "TASTE"),
        ({"prompt_tokens": 10, "connectors": {"web_search": 2}}, "connectors"),
    ],
)
def test_what_is_not_understood_is_unknown(usage: Mapping[str, Any], why: str) -> None:
    """A number that could be money is never left out; the reason names it."""
    with pytest.raises(Unpriced, match=why):
        counts_of(usage)


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({"service_tier": "default"}, "standard"),
        ({"service_tier": "flex"}, "flex"),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "batch"}, "batch"),
        ({"serviceTier": {"type": "flex"}}, "flex"),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned_throughput"),
        ({"speed": "fast", "service_tier": "standard"}, "speed:fast"),
    ],
)
def test_the_tier_is_read(said: Mapping[str, Any], tier: str) -> None:
    """Each provider's word for how a call was served is one of ours."""
    assert counts_of({"input_tokens": 1, **said}).tier == tier


@pytest.mark.parametrize(
    ("provider", "model", "usage", "amount"),
    [
        ("openai", "gpt-5", {"service_tier": "flex"}, "0.0105"),
        ("openai", "gpt-5", {"service_tier": "default"}, "0.021"),
        ("openai", "gpt-5", {"service_tier": "priority"}, "0.042"),
        ("openai", "gpt-5", {"service_tier": "scale"}, None),
        ("anthropic", "claude-sonnet-4-5", {"service_tier": "batch"}, "0.0162"),
        ("anthropic", "claude-sonnet-4-5", {"service_tier": "priority"}, None),
    ],
)
def test_a_tier_has_its_own_price_or_none(
    provider: str, model: str, usage: Mapping[str, Any], amount: str | None
) -> None:
    """800 tokens read and 2,000 written by the list of the tier; without one, unknown."""
    counts = {"input_tokens": 800, "output_tokens": 2000, **usage}
    cost = Prices().cost(provider, model, counts, at=AT)
    assert cost == (None if amount is None else Money.of(Decimal(amount)))


def test_the_callers_word_for_a_tier_goes_first() -> None:
    """A batch's answers don't say that they are of a batch: who reads them does."""
    usage = {"input_tokens": 1_000_000, "output_tokens": 0}
    prices = Prices()
    assert prices.cost("openai", "gpt-5", usage, at=AT) == Money.parse("1.25 USD")
    assert prices.cost("openai", "gpt-5", usage, at=AT, tier="batch") == Money.parse("0.625 USD")


@pytest.mark.parametrize(
    ("provider", "host", "model", "known"),
    [
        ("openai", "api.openai.com", "gpt-5", True),
        ("openai", "127.0.0.1", "gpt-5", True),
        ("openai", "api.deepseek.com", "deepseek-chat", True),
        ("openai", "api.deepseek.com", "gpt-5", False),
        ("openai", "mine.openai.azure.com", "gpt-5", True),
        ("openai", "gateway.example", "anthropic/claude-sonnet-4-5", True),
        ("groq", "api.groq.com", "openai/gpt-oss-20b", True),
        ("anthropic", "us-east5-aiplatform.googleapis.com", "claude-sonnet-4-5", True),
        ("gemini", None, "gemini-2.5-flash", True),
        ("bedrock", None, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("aws.bedrock", None, "anthropic.claude-3-haiku-20240307-v1:0", True),
        ("gcp.vertex_ai", None, "gemini-2.5-flash", True),
        (None, None, "claude-sonnet-4-5", True),
        (None, None, "llama-of-our-own", False),
        ("openai", "127.0.0.1", "meta-llama/Llama-3.1-8B-Instruct", False),
        ("openai", None, "gpt-4o-search-preview", False),
        ("nobody", None, "gpt-5", False),
    ],
)
def test_whose_model_it_is(provider: str | None, host: str | None, model: str, known: bool) -> None:
    """The host decides where it is a provider's, else the format; no name is guessed at."""
    usage = {"input_tokens": 100, "output_tokens": 10}
    assert (Prices().cost(provider, model, usage, at=AT, host=host) is not None) == known


def test_what_has_no_rate_makes_it_unknown() -> None:
    """One web search, one unpriced cache: the whole is unknown, with the reason."""
    prices = Prices()
    searched = {"input_tokens": 10, "output_tokens": 10, "server_tools": {"web_searches": 1}}
    assert prices.price("mistral", "mistral-large-latest", searched, at=AT).why == (
        "the price of its web searches is not known"
    )
    written = {"input_tokens": 10, "cache_write_tokens": 5, "output_tokens": 1}
    assert prices.price("openai", "gpt-4o", written, at=AT).why == (
        "the price of its cache write is not known"
    )
    both = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "promptTokensDetails": [
            {"modality": "AUDIO", "tokenCount": 50},
            {"modality": "TEXT", "tokenCount": 50},
        ],
    }
    assert "cached tokens" in (prices.price("gemini", "gemini-2.5-flash", both, at=AT).why or "")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
        max_leaves=20,
    )
)
def test_an_odd_usage_raises_nothing(odd: Any) -> None:
    """A usage of any shape has a cost or a reason why not, and no cost is negative."""
    usage = odd if isinstance(odd, dict) else {"prompt_tokens": odd, "cost": odd}
    priced = Prices().price("openai", "gpt-5", usage, at=AT)
    assert (priced.money is None) == (priced.why is not None)
    assert priced.money is None or priced.money.nanos >= 0


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 10**25, "output_tokens": 1},
        {"prompt_tokens": 1, "completion_tokens": 1, "cost": 1e300},
    ],
)
def test_what_no_journal_could_count_is_unknown(usage: Mapping[str, Any]) -> None:
    """An amount that no database has room for doesn't keep a receipt from being written."""
    priced = Prices().price("openai", "gpt-5" if "cost" not in usage else "no/list", usage, at=AT)
    assert priced.money is None
    assert "more than a journal can count" in (priced.why or "")


def test_a_request_without_a_sane_limit_has_no_known_ceiling() -> None:
    """Then it is held for all that is left, as any request without a limit is."""
    request = {"model": "gpt-5", "input": "x", "service_tier": "default"}
    ceilings = [
        Prices().ceiling("openai", "gpt-5", request | {"max_output_tokens": most}, 60, at=AT)
        for most in (1000, 10**25)
    ]
    assert ceilings == [Money(10_075_000), None]


def test_costs_are_exact_whatever_digits_the_caller_works_with() -> None:
    """A program may have set its own decimal context, for its own sums."""
    prices, usage = Prices(), {"input_tokens": 123_456, "output_tokens": 789}
    with localcontext(prec=3):
        prices.add("own", input="1.23456789 USD", output="9.87654321 USD")
        own = prices.cost("openai", "own", usage, at=AT)
        listed = prices.cost("openai", "gpt-5", usage, at=AT + 3600)
        parsed = Money.parse("1234.56789 USD")
    assert own == prices.cost("openai", "own", usage, at=AT) == Money(160_207_406)
    assert listed == Money(162_210_000)
    assert parsed == Money(1_234_567_890_000)


def test_a_cost_that_the_provider_tells_is_taken() -> None:
    """OpenRouter bills what it says, whatever a list has; others where no list has the model."""
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13, "cost": 0.00014}
    prices, router = Prices(), {"at": AT, "host": "openrouter.ai"}
    assert prices.cost("openai", "openai/gpt-5", usage, **router) == Money(140_000)
    assert prices.ceiling("openai", "openai/gpt-5", {"max_tokens": 9}, 9, **router) is None
    own_key = {**usage, "is_byok": True}
    assert prices.cost("openai", "openai/gpt-5", own_key, **router) is None
    searched = {"prompt_tokens": 9, "num_search_queries": 2, "cost": {"total_cost": 0.006}}
    assert prices.cost("openai", "sonar", searched, at=AT, host="api.perplexity.ai") == (
        Money(6_000_000)
    )
    assert prices.cost("openai", "gpt-5", usage, at=AT) == Money(42_500)
    assert prices.cost("openai", "any/model", usage, at=AT) == Money(140_000)
    prices.add("any/*", input="1 USD", output="1 USD")
    assert prices.cost("openai", "any/model", usage, at=AT) == Money(13_000)
