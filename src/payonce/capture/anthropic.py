"""Edge, inside `capture`: Anthropic's wire format.

Source: Anthropic's API reference, "Streaming messages" and "Errors"; the paths of Vertex are
those that the SDK's client for it asks (`bedrock` has those of Bedrock).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payonce.capture import wire
from payonce.capture.sse import Event
from payonce.capture.wire import Seen, Sign, Wire, object_of, read_data, read_object


def _event(event: Event, seen: Seen) -> Sign:
    return read_message(read_data(event), seen)


def read_message(data: dict[str, Any], seen: Seen) -> Sign:
    """Read one event of a streamed message."""
    match data.get("type"):
        case "message_start":
            message = object_of(data.get("message"))
            seen.take(message.get("model"), message.get("usage"))
            seen.name(message.get("id"))
            _read_container(message, seen)
        case "content_block_delta":
            text = object_of(data.get("delta")).get("text")
            if isinstance(text, str):
                seen.texts.append(text)
        case "message_delta":
            seen.take(None, data.get("usage"))
            _read_container(object_of(data.get("delta")), seen)
            if (why := object_of(data.get("delta")).get("stop_reason")) is not None:
                seen.end(why)
                return Sign.FINISH
        case "message_stop":
            return Sign.LAST
        case "error":
            seen.fail(data.get("error"))
            return Sign.ERROR
    return Sign.GOES_ON


def read_whole(body: bytes, seen: Seen) -> None:
    """Read a message in one piece."""
    wire.read_whole(body, seen)
    if b'"container"' in body:
        _read_container(read_object(body), seen)


def _read_container(message: dict[str, Any], seen: Seen) -> None:
    """Code that Anthropic ran in a container is billed by the hour, which no usage tells."""
    if object_of(message.get("container")):
        seen.ran("containers")


def _refusal(kind: str, message: str) -> Mapping[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


WIRE = Wire(
    name="anthropic",
    hosts=("api.anthropic.com",),
    paths=(
        # Not only "/messages": OpenAI's threads have messages too, and nobody bills for those.
        *("/v1/messages", "/v1/messages/batches"),
        *(":rawPredict", ":streamRawPredict"),
    ),
    event=_event,
    refusal=_refusal,
    whole=read_whole,
    root_error="anthropic:AnthropicError",
    agents=("Anthropic", "AsyncAnthropic"),
)
