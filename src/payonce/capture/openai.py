"""Edge, inside `capture`: OpenAI's wire format, which many providers and gateways speak too.

Source: OpenAI's API reference, "Streaming events" of chat completions, responses, images and
audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from payonce.capture.sse import Event
from payonce.capture.wire import Seen, Sign, Wire, object_of, objects, read_data

_FINISHES = frozenset(
    {
        *("image_generation.completed", "image_edit.completed"),
        *("speech.audio.done", "transcript.text.done"),
    }
)


def read_event(event: Event, seen: Seen) -> Sign:
    """Read one event of a stream."""
    if event.data == b"[DONE]":
        return Sign.LAST
    data = read_data(event)
    kind = str(data.get("type", ""))
    if data.get("error") is not None or kind == "error":
        seen.fail(data.get("error") or data)
        return Sign.ERROR
    if kind.startswith("response."):
        return _of_response(kind, data, seen)
    seen.take(data.get("model"), data.get("usage"))
    if kind in _FINISHES:
        return Sign.FINISH
    return _of_chat(objects(data.get("choices")), seen)


def _of_chat(choices: list[dict[str, Any]], seen: Seen) -> Sign:
    for choice in choices:
        text = object_of(choice.get("delta")).get("content")
        if isinstance(text, str):
            seen.texts.append(text)
    finished = any(choice.get("finish_reason") is not None for choice in choices)
    return Sign.FINISH if finished else Sign.GOES_ON


def _of_response(kind: str, data: dict[str, Any], seen: Seen) -> Sign:
    if kind == "response.output_text.delta" and isinstance(data.get("delta"), str):
        seen.texts.append(data["delta"])
    if kind in ("response.completed", "response.incomplete"):
        response = object_of(data.get("response"))
        seen.take(response.get("model"), response.get("usage"))
        return Sign.LAST
    if kind == "response.failed":
        seen.fail(object_of(data.get("response")).get("error"))
        return Sign.ERROR
    return Sign.GOES_ON


def _refusal(kind: str, message: str) -> Mapping[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


WIRE = Wire(
    name="openai",
    hosts=("api.openai.com", "openai.azure.com"),
    paths=(
        *("/completions", "/responses", "/responses/compact", "/embeddings"),
        *("/images/generations", "/images/edits", "/images/variations"),
        *("/audio/speech", "/audio/transcriptions", "/audio/translations"),
        *("/batches", "/fine_tuning/jobs"),
    ),
    event=read_event,
    refusal=_refusal,
    root_error="openai:OpenAIError",
    agents=("OpenAI/", "AsyncOpenAI/", "AzureOpenAI/", "AsyncAzureOpenAI/"),
)
GROQ = replace(
    WIRE,
    name="groq",
    hosts=("api.groq.com",),
    root_error="groq:GroqError",
    agents=("Groq/", "AsyncGroq/"),
)
TOGETHER = replace(
    WIRE,
    name="together",
    hosts=("api.together.xyz", "api.together.ai"),
    paths=(*WIRE.paths, "/rerank", "/fine-tunes"),
    root_error="together:TogetherError",
    agents=("Together/", "AsyncTogether/"),
)
