"""Edge, inside `capture`: Mistral's wire format: OpenAI's, and conversations beside it.

Source: Mistral's API reference, "Chat completion stream" and "Conversation stream".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payonce.capture import openai
from payonce.capture.sse import Event
from payonce.capture.wire import Seen, Sign, Wire, read_data


def _event(event: Event, seen: Seen) -> Sign:
    data = read_data(event)
    if data.get("object") == "error":
        seen.fail(data)
        return Sign.ERROR
    match data.get("type"):
        case "message.output.delta" if isinstance(data.get("content"), str):
            seen.texts.append(data["content"])
        case "conversation.response.done":
            seen.take(None, data.get("usage"))
            return Sign.LAST
        case "conversation.response.error":
            seen.fail(data)
            return Sign.ERROR
        case _:
            return openai.read_event(event, seen)
    return Sign.GOES_ON


def _refusal(kind: str, message: str) -> Mapping[str, Any]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": kind}


WIRE = Wire(
    name="mistral",
    hosts=("api.mistral.ai", "codestral.mistral.ai"),
    paths=(
        *("/completions", "/embeddings", "/ocr", "/moderations", "/classifications"),
        *("/conversations", "/conversations/*", "/audio/transcriptions", "/audio/speech"),
        *("/batch/jobs", "/fine_tuning/jobs", ":rawPredict", ":streamRawPredict"),
    ),
    event=_event,
    refusal=_refusal,
    agents=("mistral-client-python/",),
)
