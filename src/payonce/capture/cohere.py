"""Edge, inside `capture`: Cohere's wire formats, version 2 and version 1.

Source: Cohere's API reference, "Chat (V2)", "Chat with Streaming" and "Errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payonce.capture.sse import Event
from payonce.capture.wire import Seen, Sign, Wire, object_of, read_data, read_object


def _event(event: Event, seen: Seen) -> Sign:
    data = read_data(event)
    if "event_type" in data:
        return _of_version_1(data, seen)
    delta = object_of(data.get("delta"))
    seen.name(data.get("id"))
    match data.get("type"):
        case "content-delta":
            message = object_of(delta.get("message"))
            _say(object_of(message.get("content")).get("text"), seen)
        case "message-end":
            seen.take(None, delta.get("usage"))
            if delta.get("error") is None:
                seen.end(delta.get("finish_reason"))
                return Sign.FINISH
            seen.fail(delta.get("error"))
            return Sign.ERROR
    return Sign.LAST if event.data == b"[DONE]" else Sign.GOES_ON


def _of_version_1(data: dict[str, Any], seen: Seen) -> Sign:
    if data["event_type"] == "text-generation":
        _say(data.get("text"), seen)
    if data["event_type"] != "stream-end":
        return Sign.GOES_ON
    _take_meta(object_of(data.get("response")), seen)
    if data.get("finish_reason") not in ("ERROR", "ERROR_TOXIC"):
        return Sign.LAST
    seen.fail(data.get("error") or data["finish_reason"])
    return Sign.ERROR


def _say(text: Any, seen: Seen) -> None:
    if isinstance(text, str):
        seen.texts.append(text)


def _whole(body: bytes, seen: Seen) -> None:
    answer = read_object(body)
    seen.take(None, answer.get("usage"))
    _take_meta(answer, seen)
    seen.name(answer.get("id") or answer.get("generation_id"))
    seen.end(answer.get("finish_reason"))


def _take_meta(answer: dict[str, Any], seen: Seen) -> None:
    meta = object_of(answer.get("meta"))
    seen.take(None, {key: meta[key] for key in ("billed_units", "tokens") if key in meta} or None)


def _refusal(kind: str, message: str) -> Mapping[str, Any]:
    return {"message": message, "code": kind}


WIRE = Wire(
    name="cohere",
    hosts=("api.cohere.com", "api.cohere.ai"),
    paths=(
        *("/v1/chat", "/v2/chat", "/generate", "/embed", "/rerank", "/classify", "/summarize"),
        *("/embed-jobs", "/finetuned-models", "/audio/transcriptions"),
    ),
    event=_event,
    refusal=_refusal,
    agents=("cohere/",),
    whole=_whole,
)
