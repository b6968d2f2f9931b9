"""Decision, inside `pricing`: which field of a provider's usage counts what; data.

A path is a field's place in the usage, its parts joined by dots; of a list of counts by modality
the modality is a part of the path. Its meaning is a unit and, where the provider counted the same
tokens before under another unit, that one. `None` says that a field is no matter of money.

Sources: the API references of OpenAI, Anthropic, Google, Amazon, Cohere, Groq, Mistral, DeepSeek
and xAI, each for the usage of an answer; LiteLLM's `Usage`.
"""

from __future__ import annotations

from collections.abc import Mapping

Meaning = tuple[str, str | None] | None
Table = Mapping[str, Meaning]

TOTAL = "total"
"""The unit of a provider's own sum over all tokens."""
COSTS = ("cost", "cost_details", "cost_in_usd_ticks", "is_byok")
"""Fields, with all in them, by which a seller tells a cost of its own."""


def _modalities(path: str, of: str, units: Mapping[str, str | None]) -> dict[str, Meaning]:
    """The fields of a list by modality: each is a part of `of`, under a unit of its own."""
    return {
        f"{path}.{word}": None if unit is None else (unit, of)
        for name, unit in units.items()
        for word in (name, name.lower())
    }


_READ = {
    "MODALITY_UNSPECIFIED": None,
    "TEXT": None,
    "AUDIO": "input_audio",
    "IMAGE": "input_image",
    "DOCUMENT": "input_document",
    "VIDEO": "input_video",
}
_CACHED = {name: unit and unit.replace("input", "cached") for name, unit in _READ.items()}
_WRITTEN = {
    "MODALITY_UNSPECIFIED": None,
    "TEXT": None,
    "AUDIO": "output_audio",
    "IMAGE": "output_image",
    "VIDEO": "output_video",
}

_CHAT: Table = {
    "prompt_tokens": ("input", None),
    "prompt_tokens_details.text_tokens": None,
    "prompt_tokens_details.cached_tokens": ("cached", "input"),
    "prompt_tokens_details.cache_write_tokens": ("cache_write", "input"),
    "prompt_tokens_details.cache_creation_tokens": ("cache_write", "input"),
    "prompt_tokens_details.cache_creation_token_details.ephemeral_5m_input_tokens": None,
    "prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens": (
        "cache_write_1h",
        "cache_write",
    ),
    "prompt_tokens_details.audio_tokens": ("input_audio", "input"),
    "prompt_tokens_details.image_tokens": ("input_image", "input"),
    "prompt_token_details.cached_tokens": ("cached", "input"),
    "num_cached_tokens": ("cached", "input"),
    "cached_tokens": ("cached", "input"),
    "cache_read_input_tokens": ("cached", "input"),
    "cache_creation_input_tokens": ("cache_write", "input"),
    "prompt_cache_hit_tokens": ("cached", "input"),
    "prompt_cache_miss_tokens": None,
    "completion_tokens": ("output", None),
    "completion_tokens_details.text_tokens": None,
    "completion_tokens_details.accepted_prediction_tokens": None,
    "completion_tokens_details.rejected_prediction_tokens": None,
    "completion_tokens_details.reasoning_tokens": ("reasoning", "output"),
    "completion_tokens_details.audio_tokens": ("output_audio", "output"),
    "completion_tokens_details.image_tokens": ("output_image", "output"),
    "reasoning_tokens": ("reasoning", "output"),
    "total_tokens": (TOTAL, None),
}
_MESSAGES: Table = {
    "input_tokens": ("input", None),
    "input_tokens_details.text_tokens": None,
    "input_tokens_details.cached_tokens": ("cached", "input"),
    "input_tokens_details.cache_write_tokens": ("cache_write", "input"),
    "input_tokens_details.audio_tokens": ("input_audio", "input"),
    "input_tokens_details.image_tokens": ("input_image", "input"),
    "input_token_details.text_tokens": None,
    "input_token_details.cached_tokens": ("cached", "input"),
    "input_token_details.audio_tokens": ("input_audio", "input"),
    "input_token_details.image_tokens": ("input_image", "input"),
    "cache_read_input_tokens": ("cached", None),
    "cache_creation_input_tokens": ("cache_write", None),
    "cache_creation.ephemeral_5m_input_tokens": None,
    "cache_creation.ephemeral_1h_input_tokens": ("cache_write_1h", "cache_write"),
    "cached_input_tokens": ("cached", "input"),
    "cache_write_tokens": ("cache_write", "input"),
    "output_tokens": ("output", None),
    "output_tokens_details.text_tokens": None,
    "output_tokens_details.reasoning_tokens": ("reasoning", "output"),
    "output_tokens_details.thinking_tokens": ("reasoning", "output"),
    "output_tokens_details.audio_tokens": ("output_audio", "output"),
    "output_tokens_details.image_tokens": ("output_image", "output"),
    "output_token_details.text_tokens": None,
    "output_token_details.audio_tokens": ("output_audio", "output"),
    "reasoning_tokens": ("reasoning", "output"),
    "server_tool_use.web_search_requests": ("web_searches", None),
    "server_tool_use.web_fetch_requests": None,
    "total_tokens": (TOTAL, None),
    "inputTokenCount": None,
    "outputTokenCount": None,
    "cacheReadInputTokenCount": None,
    "cacheWriteInputTokenCount": None,
}
_GEMINI: Table = {
    "promptTokenCount": ("input", None),
    "cachedContentTokenCount": ("cached", "input"),
    "toolUsePromptTokenCount": ("input_tool", None),
    "candidatesTokenCount": ("output", None),
    "responseTokenCount": ("output", None),
    "thoughtsTokenCount": ("reasoning", None),
    "totalTokenCount": (TOTAL, None),
    **_modalities("promptTokensDetails", "input", _READ),
    **_modalities("cacheTokensDetails", "cached", _CACHED),
    **_modalities("candidatesTokensDetails", "output", _WRITTEN),
    **_modalities("toolUsePromptTokensDetails", "input_tool", {"TEXT": None}),
}
_INTERACTIONS: Table = {
    "total_input_tokens": ("input", None),
    "total_cached_tokens": ("cached", "input"),
    "total_tool_use_tokens": ("input_tool", None),
    "total_output_tokens": ("output", None),
    "total_thought_tokens": ("reasoning", None),
    "total_reasoning_tokens": ("reasoning", None),
    "total_tokens": (TOTAL, None),
    **_modalities("input_tokens_by_modality", "input", _READ),
    **_modalities("cached_tokens_by_modality", "cached", _CACHED),
    **_modalities("output_tokens_by_modality", "output", _WRITTEN),
    **_modalities("tool_use_tokens_by_modality", "input_tool", {"TEXT": None}),
}
_CONVERSE: Table = {
    "inputTokens": ("input", None),
    "cacheReadInputTokens": ("cached", None),
    "cacheReadInputTokenCount": ("cached", None),
    "cacheReadInputTokensCount": None,
    "cacheWriteInputTokens": ("cache_write", None),
    "cacheWriteInputTokenCount": ("cache_write", None),
    "cacheWriteInputTokensCount": None,
    "cacheDetails.5m": None,
    "cacheDetails.1h": ("cache_write_1h", "cache_write"),
    "outputTokens": ("output", None),
    "totalTokens": (TOTAL, None),
}
_INVOKED: Table = {
    "inputTokenCount": ("input", None),
    "cacheReadInputTokenCount": ("cached", None),
    "cacheWriteInputTokenCount": ("cache_write", None),
    "outputTokenCount": ("output", None),
    "invocationLatency": None,
    "firstByteLatency": None,
}
_COHERE: Table = {
    "billed_units.input_tokens": ("input", None),
    "billed_units.output_tokens": ("output", None),
    "billed_units.search_units": ("rerank_searches", None),
    "billed_units.classifications": ("classifications", None),
    "billed_units.images": ("images", None),
    "billed_units.image_tokens": ("input_image", None),
    "tokens.input_tokens": None,
    "tokens.output_tokens": None,
    "cached_tokens": None,
}
_SPOKEN: Table = {"seconds": ("seconds", None)}

TABLES: tuple[tuple[str, Table], ...] = (
    ("prompt_tokens", _CHAT),
    ("completion_tokens", _CHAT),
    ("promptTokenCount", _GEMINI),
    ("candidatesTokenCount", _GEMINI),
    ("totalTokenCount", _GEMINI),
    ("total_input_tokens", _INTERACTIONS),
    ("inputTokens", _CONVERSE),
    ("outputTokens", _CONVERSE),
    ("billed_units", _COHERE),
    ("input_tokens", _MESSAGES),
    ("output_tokens", _MESSAGES),
    ("inputTokenCount", _INVOKED),
    ("seconds", _SPOKEN),
)
"""Each dialect with a field that tells it; the first that is there decides."""

OF_ANY: Table = {
    "server_tools.web_searches": ("web_searches", None),
    "server_tools.file_searches": ("storage_searches", None),
    "server_tools.code_executions": ("code_executions", None),
}
"""What capture adds where an answer tells it outside of its usage."""

TIMES = ("_time", "Latency", "latency", "_ms")
"""How fields end that tell how long something took."""
