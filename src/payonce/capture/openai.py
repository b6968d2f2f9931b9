"""Edge, inside `capture`: OpenAI's wire format, which many providers and gateways speak too.

Source: OpenAI's API reference, "Streaming events" of chat completions, responses, images and
audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from payonce.capture import wire
from payonce.capture.sse import Event
from payonce.capture.wire import Seen, Sign, Wire, object_of, objects, read_data, read_object

_FINISHES = frozenset(
    {
        *("image_generation.completed", "image_edit.completed"),
        *("speech.audio.done", "transcript.text.done"),
    }
)
_TOOLS = {
    "web_search_call": "web_searches",
    "file_search_call": "file_searches",
    "code_interpreter_call": "code_executions",
}
_OWN_CALLS = frozenset(
    {
        *("function_call", "custom_tool_call", "computer_call", "local_shell_call"),
        *("apply_patch_call", "mcp_call"),
    }
)
"""What the caller runs, and what others than OpenAI bill for."""


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
    seen.take(data.get("model"), data.get("usage") or object_of(data.get("x_groq")).get("usage"))
    seen.serve(data.get("service_tier"))
    seen.name(data.get("id"))
    if kind in _FINISHES:
        return Sign.FINISH
    return _of_chat(objects(data.get("choices")), seen)


def _of_chat(choices: list[dict[str, Any]], seen: Seen) -> Sign:
    for choice in choices:
        text = object_of(choice.get("delta")).get("content")
        if isinstance(text, str):
            seen.texts.append(text)
        seen.end(choice.get("finish_reason"))
    finished = any(choice.get("finish_reason") is not None for choice in choices)
    return Sign.FINISH if finished else Sign.GOES_ON


def _of_response(kind: str, data: dict[str, Any], seen: Seen) -> Sign:
    if kind == "response.output_text.delta" and isinstance(data.get("delta"), str):
        seen.texts.append(data["delta"])
    if kind in ("response.completed", "response.incomplete"):
        response = object_of(data.get("response"))
        seen.take(response.get("model"), response.get("usage"))
        seen.name(response.get("id"))
        seen.end(object_of(response.get("incomplete_details")).get("reason"))
        read_beside(response, seen)
        return Sign.LAST
    if kind == "response.failed":
        seen.fail(object_of(data.get("response")).get("error"))
        return Sign.ERROR
    return Sign.GOES_ON


def read_whole(body: bytes, seen: Seen) -> None:
    """Read an answer in one piece, and what it tells of its bill beside its usage."""
    wire.read_whole(body, seen)
    if b'"service_tier"' in body or b'_call"' in body or b'"url_citation"' in body:
        read_beside(read_object(body), seen)


def read_beside(answer: dict[str, Any], seen: Seen) -> None:
    """Read the service tier, and the tools that OpenAI ran."""
    seen.serve(answer.get("service_tier"))
    for item in objects(answer.get("output")):
        kind = str(item.get("type", ""))
        if kind.endswith("_call") and kind not in _OWN_CALLS:
            seen.ran(_TOOLS.get(kind, kind))


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
    whole=read_whole,
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
