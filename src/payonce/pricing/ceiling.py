"""Decision, inside `pricing`: the most that a request can use, read from the request alone.

A list of what is understood, on purpose: a field, a part of a message or a tool that is not on it
could bring in what is billed and can't be counted from here (an image, a file by its id, a stored
conversation, a web search), so the request then has no known limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from payonce.money import Money
from payonce.pricing.rates import Rates
from payonce.pricing.usage import STANDARD, Unpriced, named_tier

HIDDEN = 1000
"""Tokens that a provider may put before a request that has tools or a schema, to explain them."""

_AUTO, _ONLY_STANDARD = ("", "auto"), ("default", "standard", "standard_only")
_LIMITS = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxOutputTokens",
    "maxTokens",
)
_TIMES = ("n", "best_of", "candidateCount", "candidate_count", "num_generations")
_HARMLESS = frozenset(
    {
        *("model", "stream", "stream_options", "temperature", "top_p", "top_k", "topP", "topK"),
        *("stop", "stop_sequences", "stopSequences", "seed", "random_seed", "p", "k"),
        *("frequency_penalty", "presence_penalty", "repetition_penalty", "min_p"),
        *("frequencyPenalty", "presencePenalty", "logit_bias", "logprobs", "top_logprobs"),
        *("responseLogprobs", "user", "metadata", "labels", "requestMetadata", "store"),
        *("safety_identifier", "prompt_cache_key", "prompt_cache_retention", "cache_control"),
        *("tool_choice", "toolChoice", "toolConfig.toolChoice", "tool_config"),
        *("parallel_tool_calls", "function_call", "strict_tools", "verbosity", "truncation"),
        *("reasoning", "reasoning_effort", "reasoning_format", "include_reasoning", "include"),
        *("safe_prompt", "prompt_mode", "safety_mode", "safetySettings", "suffix", "echo"),
        *("anthropic_version", "additionalModelResponseFieldPaths", "system", "instructions"),
        *("systemInstruction", "system_instruction", "responseMimeType", "encoding_format"),
        *("dimensions", "input_type", "truncate", "embedding_types"),
    }
)
_READ_APART = frozenset(
    {
        *(*_LIMITS, *_TIMES, "generationConfig", "generation_config", "inferenceConfig"),
        *("messages", "input", "prompt", "contents", "texts", "tools", "functions", "toolConfig"),
        *("response_format", "output_format", "output_config", "text", "responseSchema"),
        *("responseJsonSchema", "thinking", "thinkingConfig", "service_tier", "serviceTier"),
        *("speed", "inference_geo", "modalities", "responseModalities"),
    }
)
_WITH_SCHEMA = (
    *("tools", "functions", "toolConfig", "response_format", "output_format", "output_config"),
    *("text", "responseSchema", "responseJsonSchema"),
)
_OF_MESSAGE = frozenset(
    {
        *("role", "content", "parts", "name", "type", "id", "status", "refusal", "prefix"),
        *("tool_calls", "tool_call_id", "tool_plan", "function_call", "reasoning_content"),
        *("cache_control", "call_id", "arguments", "output", "phase"),
    }
)
_TYPES = frozenset(
    {
        *("text", "input_text", "output_text", "refusal", "message", "tool_use", "tool_result"),
        *("function", "function_call", "function_call_output"),
        *("custom_tool_call", "custom_tool_call_output"),
    }
)
_OF_UNTYPED = frozenset(
    {"text", "json", "functionCall", "functionResponse", "toolUse", "toolResult", "cachePoint"}
)
_EMBEDDING = ("encoding_format", "dimensions", "input_type", "embedding_types")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many tokens a request can read and write at most, and how it may be served."""

    input_tokens: int
    output_tokens: int
    tier: str
    for_an_hour: bool = False

    def cost(self, rates: Rates) -> Money:
        """What that costs by these rates, each token at the dearest that it may be billed by.

        Raises:
            Unpriced: something of it has no rate.
        """
        if rates.told:
            raise Unpriced("its seller may ask for more than the list")
        kinds = ["input", "cached", "cache_write"] + ["cache_write_1h"] * self.for_an_hour
        amount = rates.call
        for count, units in (
            (self.input_tokens, kinds),
            (self.output_tokens, ("output", "reasoning")),
        ):
            if not count:
                continue
            found = [rates.of(unit) for unit in units]
            if found[0] is None or (self.for_an_hour and found[-1] is None):
                raise Unpriced("a price is not known")
            dearest = max(r.most(self.input_tokens) / r.per for r in found if r is not None)
            amount += dearest * count
        return Money.of(amount, rates.currency, rounded=True)


def bounds_of(request: Mapping[str, Any] | None, size: int) -> Bounds:
    """The limits of a request of so many bytes.

    Raises:
        Unpriced: it has none, or something in it is not understood.
    """
    if request is None:
        raise Unpriced("the request is no JSON object")
    try:
        return _bounds(_flat(request), request, size)
    except (TypeError, AttributeError, RecursionError):  # no provider has such a request
        raise Unpriced("the request is not understood") from None


def _bounds(told: Mapping[str, Any], request: Mapping[str, Any], size: int) -> Bounds:
    _refuse_unknown(told)
    for name in ("messages", "input", "contents", "system", "systemInstruction"):
        _look_at(told.get(name))
    _look_at(told.get("system_instruction"))
    _look_at_tools(told)
    hidden = HIDDEN if any(told.get(name) for name in _WITH_SCHEMA) else 0
    tier = str(told.get("service_tier") or told.get("serviceTier") or "").lower()
    speed = str(told.get("speed") or "").lower()
    if speed not in ("", STANDARD):
        tier = f"speed:{speed}"
    return Bounds(size + hidden, _output(told), tier, _for_an_hour(request))


def tiers_that_may_serve(asked: str, priced: frozenset[str]) -> frozenset[str]:
    """The tiers that a request may be billed by; a project's settings can choose a dear one."""
    if asked in _ONLY_STANDARD:
        return frozenset({STANDARD})
    if asked in _AUTO:
        return frozenset({STANDARD}) | (priced & {"priority"})
    return frozenset({STANDARD, named_tier(asked)})


def _flat(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request with its settings in one row; Google and Amazon nest them."""
    told = dict(request)
    for name in ("generationConfig", "generation_config", "inferenceConfig"):
        nested = told.pop(name, None)
        if nested is not None and not isinstance(nested, Mapping):
            raise Unpriced(f"{name} is no object")
        told.update(nested or {})
    return told


def _refuse_unknown(told: Mapping[str, Any]) -> None:
    for name, value in told.items():
        if value is not None and name not in _HARMLESS and name not in _READ_APART:
            raise Unpriced(f"{name} in the request may bring in more")
    if str(told.get("inference_geo") or "global").lower() != "global":
        raise Unpriced("the region has a price of its own")
    for name in ("modalities", "responseModalities"):
        if any(str(each).lower() != "text" for each in told.get(name) or ()):
            raise Unpriced("more than text is asked for")


def _output(told: Mapping[str, Any]) -> int:
    if any(told.get(name) is not None for name in _EMBEDDING) or told.get("texts") is not None:
        return 0
    limits = [_count(name, told[name]) for name in _LIMITS if told.get(name) is not None]
    if not limits:
        raise Unpriced("the request sets no limit to its output")
    limit = max(limits)
    thinking = _thinking(told)
    if thinking >= limit:  # its budget is no part of the limit then
        limit += thinking
    for name in _TIMES:
        if told.get(name) is not None:
            limit *= max(1, _count(name, told[name]))
    return limit * _prompts(told.get("prompt"))


def _thinking(told: Mapping[str, Any]) -> int:
    for name in ("thinking", "thinkingConfig"):
        given = told.get(name)
        if isinstance(given, Mapping):
            for key in ("budget_tokens", "token_budget", "thinkingBudget"):
                if (budget := given.get(key)) is not None:
                    return _count(key, budget) if budget != -1 else 0
    return 0


def _prompts(prompt: Any) -> int:
    """How many prompts a request for completions has: each gets an answer of its own."""
    if prompt is None or isinstance(prompt, str):
        return 1
    if not isinstance(prompt, list):
        raise Unpriced("the prompt is not understood")
    return 1 if all(isinstance(each, int) for each in prompt) else max(1, len(prompt))


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Unpriced(f"{name} in the request is {value!r}")
    return value


def _look_at(content: Any) -> None:
    """Refuse what is no text in messages and their parts."""
    if isinstance(content, Mapping):
        _look_at_one(content)
    elif isinstance(content, list):
        for each in content:
            if not isinstance(each, str | int | list):
                _look_at(each)
    elif content is not None and not isinstance(content, str):
        raise Unpriced("a message is not understood")


def _look_at_one(each: Mapping[str, Any]) -> None:
    kind = each.get("type")
    if kind is not None and kind not in _TYPES:
        raise Unpriced(f"{kind} in a message can't be counted")
    if kind is None and "role" not in each and "parts" not in each and not set(each) <= _OF_UNTYPED:
        raise Unpriced(f"{', '.join(map(str, each))} in a message can't be counted")
    if "role" in each and not set(each) <= _OF_MESSAGE:
        raise Unpriced(f"{', '.join(map(str, each))} in a message can't be counted")
    _look_at(each.get("content"))
    _look_at(each.get("parts"))
    output = each.get("output")
    if isinstance(output, list):
        _look_at(output)
    for name in ("toolResult", "functionResponse"):
        inner = each.get(name)
        if isinstance(inner, Mapping):
            _look_at(inner.get("content"))
            _look_at(inner.get("parts"))


def _look_at_tools(told: Mapping[str, Any]) -> None:
    config = told.get("toolConfig")
    tools = [*(told.get("tools") or ())]
    if isinstance(config, Mapping):
        tools += config.get("tools") or ()
    for tool in tools:
        if not isinstance(tool, Mapping) or not _is_own(tool):
            raise Unpriced("a tool of the provider's may be billed for itself")


def _is_own(tool: Mapping[str, Any]) -> bool:
    """Whether a tool is the caller's own function, which the provider doesn't run."""
    if tool.get("type") in ("function", "custom"):
        return True
    if "type" in tool:
        return False
    return "input_schema" in tool or set(tool) <= {
        *("functionDeclarations", "function_declarations", "toolSpec", "cachePoint"),
    }


def _for_an_hour(value: Any) -> bool:
    """Whether a cache is asked for that lasts longer than the usual one, and costs more."""
    found: Iterable[Any] = ()
    if isinstance(value, Mapping):
        if value.get("ttl") not in (None, "5m"):
            return True
        found = value.values()
    elif isinstance(value, list):
        found = value
    return any(_for_an_hour(each) for each in found if isinstance(each, Mapping | list))
