"""Testing: Anthropic's wire format: `POST /v1/messages` and its errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from payonce.testing.asking import (
    Answer,
    Ask,
    Body,
    Request,
    Tool,
    ToolCall,
    asked_texts,
    demanded,
    texts_in,
)
from payonce.testing.faults import Fault
from payonce.testing.wire import Refusal, Wire, Words, event, told

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
}
_NO_CREDIT = "Your credit balance is too low to access the Anthropic API."


class AnthropicErrors(Words):
    """The errors of Anthropic's endpoints."""

    provider = "anthropic"
    id_header = "request-id"

    def refusal(self, fault: Fault, id: str) -> Refusal:
        """`{"type": "error", "error": {type, message}, "request_id"}`, typed as the status is.

        A code that is an error type of Anthropic's takes its place; other codes go to `details`;
        used-up credit is a 400, whatever status was asked for.
        """
        if fault.code == "insufficient_quota":
            fault = replace(fault, status=400, message=fault.message or _NO_CREDIT)
        status, code = fault.status, fault.code
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        if code in _ERROR_TYPES.values():
            kind = str(code)
        error: dict[str, Any] = {"type": kind, "message": told(fault, kind)}
        if code not in (None, kind, "insufficient_quota"):
            error["details"] = {"error_code": code}
        return Refusal(status, {"type": "error", "error": error, "request_id": id})


class Messages(AnthropicErrors, Wire):
    """`POST /v1/messages`."""

    def read(self, request: Request) -> Ask:
        """Read a messages request; as the real one does, it insists on `max_tokens`."""
        return self.read_body(request.json())

    def read_body(self, body: Body) -> Ask:
        """The same where a cloud carries the message."""
        if not isinstance(body.get("max_tokens"), int):
            raise ValueError("max_tokens: Field required")
        texts = texts_in(body.get("system")) + asked_texts(body.get("messages"))
        return Ask.of(self.provider, body, texts, tool=_demanded(body), schema=_schema(body))

    def whole(self, answer: Answer) -> Body:
        """A `message` with one block: a text, or the use of a tool."""
        return {
            **_message(answer),
            "content": [_block(answer)],
            "stop_reason": _STOP_REASONS[answer.finish],
            "usage": _usage(answer, answer.output_tokens),
        }

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`message_start` to `message_stop`, each a named event."""
        for data in self.steps(answer):
            yield event(data, data["type"])

    def steps(self, answer: Answer) -> Iterator[Body]:
        """The events before they are framed."""
        call = answer.tool_call
        yield {"type": "message_start", "message": _message(answer)}
        opening = {"type": "text", "text": ""} if call is None else {**_block(answer), "input": {}}
        yield {"type": "content_block_start", "index": 0, "content_block": opening}
        yield {"type": "ping"}
        for piece in answer.pieces if call is None else call.pieces:
            yield {"type": "content_block_delta", "index": 0, "delta": _delta(piece, call)}
        yield {"type": "content_block_stop", "index": 0}
        ending = {"stop_reason": _STOP_REASONS[answer.finish], "stop_sequence": None}
        usage = {"output_tokens": answer.output_tokens}
        yield {"type": "message_delta", "delta": ending, "usage": usage}
        yield {"type": "message_stop"}

    def error_event(self, fault: Fault, id: str) -> bytes:
        """An `error` event."""
        return event(self.refusal(replace(fault, status=529), id).body, "error")


class VertexMessages(Messages):
    """Messages on Google's Vertex: `…/models/{model}:rawPredict` and `…:streamRawPredict`."""

    provider = "vertex"

    def read(self, request: Request) -> Ask:
        """Read a message whose model is in the path."""
        return self.read_body({**request.json(), "model": request.names.get("model")})


def _demanded(body: Body) -> Tool | None:
    offered = [tool for tool in body.get("tools") or () if "input_schema" in tool]
    tools = {tool["name"]: tool["input_schema"] for tool in offered}
    choice = body.get("tool_choice") or {}
    return demanded(tools, choice.get("name"), any_tool=choice.get("type") == "any")


def _schema(body: Body) -> Body | None:
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return wanted.get("schema") if wanted.get("type") == "json_schema" else None


def _block(answer: Answer) -> dict[str, Any]:
    call = answer.tool_call
    if call is None:
        return {"type": "text", "text": answer.text, "citations": None}
    caller = {"type": "direct"}
    used = {"name": call.name, "input": call.parsed(), "caller": caller}
    return {"type": "tool_use", "id": f"toolu_{answer.id}", **used}


def _delta(piece: str, call: ToolCall | None) -> Body:
    if call is None:
        return {"type": "text_delta", "text": piece}
    return {"type": "input_json_delta", "partial_json": piece}


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.ask.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(answer, 1),
    }


def _usage(answer: Answer, output_tokens: int) -> Body:
    return {
        "input_tokens": answer.ask.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
