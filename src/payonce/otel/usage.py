"""Edge, inside `otel`, pure: a provider's own usage object as numbers of tokens.

`pricing` knows the dialects. It is strict, for a number that it doesn't understand could be money;
to be told of here, the two plain numbers will do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payonce.pricing.usage import Unpriced, counts_of

_INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens", "total_input_tokens")
_OUTPUT = (
    *("completion_tokens", "output_tokens", "candidatesTokenCount", "outputTokens"),
    "total_output_tokens",
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Numbers of tokens; None where the provider says nothing, or none.

    Input includes what a cache gave or took, output includes reasoning, as the GenAI conventions
    want it.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


def tokens(usage: Mapping[str, Any] | None) -> Tokens:
    """Read what a receipt has kept of the provider's usage."""
    if not usage:
        return Tokens()
    try:
        units = counts_of(usage).units
    except Unpriced:
        return Tokens(_first(usage, _INPUT), _first(usage, _OUTPUT))
    return Tokens(
        input=_sum(units, "input", "cache"),
        output=_sum(units, "output", "reasoning"),
        cache_read=_sum(units, "cached"),
        cache_write=_sum(units, "cache_write"),
        reasoning=_sum(units, "reasoning"),
    )


def _sum(units: Mapping[str, int], *kinds: str) -> int | None:
    return sum(number for unit, number in units.items() if unit.startswith(kinds)) or None


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = (value for name in names if isinstance(value := usage.get(name), int))
    return next(found, None)
