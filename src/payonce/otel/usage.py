"""Edge, inside `otel`, pure: a provider's own usage object as numbers of tokens.

Sources: the API references of OpenAI, Anthropic, Google (Gemini and its interactions), Amazon
(Bedrock), Mistral and Cohere. Input includes what a cache gave or took, output includes reasoning,
as the GenAI conventions want it; where a provider tells both, what is billed counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_Paths = tuple[str, ...]
_INPUT: _Paths = (
    *("billed_units.input_tokens", "prompt_tokens", "input_tokens", "promptTokenCount"),
    *("inputTokens", "total_input_tokens", "tokens.input_tokens"),
)
_OUTPUT: _Paths = (
    *("billed_units.output_tokens", "completion_tokens", "output_tokens", "candidatesTokenCount"),
    *("outputTokens", "total_output_tokens", "tokens.output_tokens"),
)
_CACHE_READ: _Paths = (
    *("cache_read_input_tokens", "cacheReadInputTokens", "prompt_tokens_details.cached_tokens"),
    *("input_tokens_details.cached_tokens", "cachedContentTokenCount", "total_cached_tokens"),
)
_CACHE_WRITE: _Paths = ("cache_creation_input_tokens", "cacheWriteInputTokens")
_REASONING: _Paths = (
    *("completion_tokens_details.reasoning_tokens", "output_tokens_details.reasoning_tokens"),
    *("thoughtsTokenCount", "total_thought_tokens"),
)
# These count what a cache gave or took beside the input, and Gemini its thoughts beside the output.
_BESIDE_INPUT = ("cache_read_input_tokens", "cacheReadInputTokens", *_CACHE_WRITE)
_BESIDE_OUTPUT = ("thoughtsTokenCount", "total_thought_tokens")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Numbers of tokens; None where the provider says nothing."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


def tokens(usage: Mapping[str, Any] | None) -> Tokens:
    """Read what a receipt has kept of the provider's usage; what is not as expected is ignored."""
    if not usage:
        return Tokens()
    return Tokens(
        input=_sum(usage, _first(usage, _INPUT), _BESIDE_INPUT),
        output=_sum(usage, _first(usage, _OUTPUT), _BESIDE_OUTPUT),
        cache_read=_first(usage, _CACHE_READ),
        cache_write=_first(usage, _CACHE_WRITE),
        reasoning=_first(usage, _REASONING),
    )


def _sum(usage: Mapping[str, Any], found: int | None, beside: _Paths) -> int | None:
    if found is None:
        return None
    return found + sum(_at(usage, path) or 0 for path in beside)


def _first(usage: Mapping[str, Any], paths: _Paths) -> int | None:
    return next((found for path in paths if (found := _at(usage, path)) is not None), None)


def _at(usage: Mapping[str, Any], path: str) -> int | None:
    value: Any = usage
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    is_count = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return int(value) if is_count and value < 2**53 else None
