"""Testing: Bedrock's wire format: `converse`, `converse-stream` and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from payonce.testing.asking import Answer, Ask, Body, Request, Tool, asked_texts, demanded, texts_in
from payonce.testing.event_stream import KIND, framed, framed_exception
from payonce.testing.faults import Fault
from payonce.testing.wire import Refusal, Wire, Words, told

_EXCEPTIONS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    409: "ConflictException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_STATUSES = {
    **{name: status for status, name in _EXCEPTIONS.items()},
    "ExpiredTokenException": 403,
    "ModelNotReadyException": 429,
    "ModelStreamErrorException": 424,
    "ServiceQuotaExceededException": 400,
    "UnrecognizedClientException": 403,
}
_BROKEN_OFF = "ModelStreamErrorException"
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "content_filtered",
    "tool_calls": "tool_use",
}
_LATENCY = 12


class BedrockErrors(Words):
    """The exceptions of Bedrock's runtime; signatures are not looked at."""

    provider = "bedrock"
    id_header = "x-amzn-requestid"

    def refusal(self, fault: Fault, id: str) -> Refusal:
        """`{"message"}`, and the exception's name in `x-amzn-errortype`.

        A code that is the name of an exception brings its own status; a used-up quota is a
        `ServiceQuotaExceededException`.
        """
        name = fault.code or _EXCEPTIONS.get(fault.status)
        if name == "insufficient_quota":
            name = "ServiceQuotaExceededException"
        if name is None:
            name = "InternalServerException" if fault.status >= 500 else "ValidationException"
        fault = replace(fault, status=_STATUSES.get(name, fault.status))
        return Refusal(fault.status, {"message": told(fault, name)}, {"x-amzn-errortype": name})


class BedrockStream(BedrockErrors, Wire):
    """What Bedrock's endpoints share; the model and whether it streams are in the path."""

    stream_kind = KIND

    def error_event(self, fault: Fault, id: str) -> bytes:
        """An exception inside the stream: `modelStreamErrorException` where no code is given."""
        name = fault.code or _BROKEN_OFF
        return framed_exception(name[0].lower() + name[1:], {"message": told(fault, name)})


class Converse(BedrockStream):
    """`POST /model/{model}/converse` and `…/converse-stream`."""

    def read(self, request: Request) -> Ask:
        """Read a conversation, with the tool or the schema that it demands."""
        body = model_body(request, "converse-stream")
        texts = texts_in(body.get("system")) + asked_texts(body.get("messages"))
        return Ask.of(self.provider, body, texts, tool=_demanded(body), schema=_schema(body))

    def whole(self, answer: Answer) -> Body:
        """The message, why it ended, and what it used."""
        return {
            "output": {"message": {"role": "assistant", "content": [_block(answer)]}},
            "stopReason": _STOP_REASONS[answer.finish],
            "usage": converse_usage(answer),
            "metrics": {"latencyMs": _LATENCY},
        }

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`messageStart` to `messageStop`, then `metadata` with the usage."""
        for name, payload in converse_steps(answer):
            yield framed(name, payload)


def model_body(request: Request, streaming: str) -> dict[str, Any]:
    """The body, with the model and the stream that its path asks for."""
    verb = request.names.get("verb")
    model = unquote(request.names.get("model", ""))
    return {**request.json(), "model": model, "stream": verb == streaming}


def converse_steps(answer: Answer) -> Iterator[tuple[str, Body]]:
    """The events of a conversation before they are framed."""
    at = {"contentBlockIndex": 0}
    call = answer.tool_call
    yield "messageStart", {"role": "assistant"}
    if call is not None:
        used = {"toolUseId": f"tooluse_{answer.id}", "name": call.name}
        yield "contentBlockStart", {"start": {"toolUse": used}, **at}
    for piece in answer.pieces if call is None else call.pieces:
        delta: Body = {"text": piece} if call is None else {"toolUse": {"input": piece}}
        yield "contentBlockDelta", {"delta": delta, **at}
    yield "contentBlockStop", at
    yield "messageStop", {"stopReason": _STOP_REASONS[answer.finish]}
    yield "metadata", {"usage": converse_usage(answer), "metrics": {"latencyMs": _LATENCY}}


def converse_usage(answer: Answer) -> Body:
    """The tokens that are billed."""
    asked, answered = answer.ask.input_tokens, answer.output_tokens
    return {"inputTokens": asked, "outputTokens": answered, "totalTokens": asked + answered}


def _block(answer: Answer) -> Body:
    call = answer.tool_call
    if call is None:
        return {"text": answer.text}
    used = {"toolUseId": f"tooluse_{answer.id}", "name": call.name, "input": call.parsed()}
    return {"toolUse": used}


def _demanded(body: Body) -> Tool | None:
    config = body.get("toolConfig") or {}
    specs = [tool["toolSpec"] for tool in config.get("tools") or () if "toolSpec" in tool]
    tools = {spec["name"]: (spec.get("inputSchema") or {}).get("json") or {} for spec in specs}
    choice = config.get("toolChoice") or {}
    return demanded(tools, (choice.get("tool") or {}).get("name"), any_tool="any" in choice)


def _schema(body: Body) -> Body | None:
    wanted = (body.get("outputConfig") or {}).get("textFormat") or {}
    given = (wanted.get("structure") or {}).get("jsonSchema") or {}
    schema = json.loads(given.get("schema") or "null")
    return schema if isinstance(schema, dict) else None
