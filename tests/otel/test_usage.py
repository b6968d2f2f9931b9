"""Providers' usage objects in the numbers of the GenAI conventions."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.otel.usage import Tokens, tokens

CASES = {
    "nothing": ({}, Tokens()),
    "OpenAI's chat": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        Tokens(100, 50, cache_read=64, reasoning=30),
    ),
    "OpenAI's embeddings": ({"prompt_tokens": 8, "total_tokens": 8}, Tokens(8)),
    "Anthropic": (
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 200,
            "cache_read_input_tokens": 3000,
            "output_tokens": 7,
        },
        Tokens(3210, 7, cache_read=3000, cache_write=200),
    ),
    "Gemini": (
        {
            "promptTokenCount": 20,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 40,
            "cachedContentTokenCount": 12,
            "totalTokenCount": 65,
        },
        Tokens(20, 45, cache_read=12, reasoning=40),
    ),
    "Bedrock": (
        {"inputTokens": 3, "outputTokens": 4, "cacheReadInputTokens": 90, "totalTokens": 97},
        Tokens(93, 4, cache_read=90),
    ),
    "Cohere, by what is billed": (
        {
            "billed_units": {"input_tokens": 5.0, "output_tokens": 6.0},
            "tokens": {"input_tokens": 70, "output_tokens": 8},
        },
        Tokens(5, 6),
    ),
    "a field that nobody knows": (
        {"input_tokens": 5, "output_tokens": 6, "premium_tokens": 7},
        Tokens(5, 6),
    ),
    "not numbers": ({"input_tokens": "many", "output_tokens": None}, Tokens()),
}


@pytest.mark.parametrize(("usage", "expected"), CASES.values(), ids=CASES)
def test_usage_is_read(usage: dict[str, Any], expected: Tokens) -> None:
    """Input includes what a cache gave or took, output includes reasoning."""
    assert tokens(usage) == expected
