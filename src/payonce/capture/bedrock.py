"""Edge, inside `capture`: the wire format of Amazon Bedrock's runtime.

Source: Amazon's API reference, "ConverseStream" and "InvokeModelWithResponseStream"; the chunks of
the latter hold what the model's own provider streams.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from payonce.capture import anthropic
from payonce.capture.sse import Event
from payonce.capture.wire import Seen, Sign, Wire, object_of, read_data, read_object, read_whole

_FINISHES = ("stop_reason", "stopReason", "completionReason", "finish_reason")


def _event(event: Event, seen: Seen) -> Sign:
    if event.name in ("exception", "error"):
        seen.fail(event.code)
        return Sign.ERROR
    data = read_data(event)
    match event.name:
        case "chunk":
            return _of_model(_unpacked(data), seen)
        case "contentBlockDelta":
            text = object_of(data.get("delta")).get("text")
            if isinstance(text, str):
                seen.texts.append(text)
        case "messageStop":
            seen.end(data.get("stopReason"))
            return Sign.FINISH
        case "metadata":
            seen.take(None, data.get("usage"))
            _read_serving(data, seen)
            return Sign.LAST
    return Sign.GOES_ON


def _whole(body: bytes, seen: Seen) -> None:
    read_whole(body, seen)
    _read_serving(read_object(body), seen)


def _read_serving(answer: dict[str, Any], seen: Seen) -> None:
    """Read how it was served, where that has a price of its own."""
    seen.serve(answer.get("serviceTier"))
    if object_of(answer.get("performanceConfig")).get("latency") == "optimized":
        seen.serve("latency_optimized")


def _unpacked(data: dict[str, Any]) -> dict[str, Any]:
    try:
        return read_object(base64.b64decode(data.get("bytes", "")))
    except (TypeError, ValueError):
        return {}


def _of_model(data: dict[str, Any], seen: Seen) -> Sign:
    """What the model's provider says; Amazon adds its count to the last chunk."""
    sign = anthropic.read_message(data, seen)
    count = object_of(data.get("amazon-bedrock-invocationMetrics"))
    if count:
        seen.take(None, count)
        return Sign.LAST
    if sign is Sign.GOES_ON and any(data.get(name) is not None for name in _FINISHES):
        return Sign.FINISH
    return sign


def _refusal(kind: str, message: str) -> Mapping[str, Any]:
    return {"__type": kind, "message": message}


WIRE = Wire(
    name="bedrock",
    hosts=("amazonaws.com", "amazonaws.com.cn", "api.aws"),
    paths=(
        *("/model/*/converse", "/model/*/converse-stream", "/async-invoke"),
        *("/model/*/invoke", "/model/*/invoke-with-response-stream", "/model-invocation-job"),
    ),
    event=_event,
    refusal=_refusal,
    whole=_whole,
    agents=("Boto3/", "Botocore/", "aiobotocore/"),
    model_in=re.compile(r"/model/([^/]+)/"),
)
OF_ANTHROPIC = replace(
    anthropic.WIRE, paths=WIRE.paths, event=_event, hosts=(), model_in=WIRE.model_in
)
"""What Anthropic's own client for Bedrock sends."""
