"""Testing: OpenAI's wire format: chat completions and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from payonce.testing.asking import Answer, Ask, Body, Request, Tool, asked_texts, demanded
from payonce.testing.faults import Fault
from payonce.testing.wire import Refusal, Wire, Words, event, told

JSON_OBJECT: Body = {"type": "object", "properties": {"text": {"type": "string"}}}
_ERROR_TYPES = {
    429: "requests",
    500: "server_error",
    502: "server_error",
    503: "service_unavailable_error",
    504: "server_error",
}
_ERROR_CODES = {
    401: "invalid_api_key",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    503: "server_is_overloaded",
}
_QUOTA = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "project_spend_limit_exceeded",
}


class OpenAIErrors(Words):
    """The errors that all of OpenAI's endpoints share."""

    provider = "openai"

    def refusal(self, fault: Fault, id: str) -> Refusal:
        """`{"error": {message, type, param, code}}`, typed as the status and code are."""
        code = fault.code or _ERROR_CODES.get(fault.status)
        kind = _ERROR_TYPES.get(fault.status, "invalid_request_error")
        if code in _QUOTA:
            kind = "insufficient_quota"
        error = {"message": told(fault, code or kind), "type": kind, "param": None, "code": code}
        return Refusal(fault.status, {"error": error})

    def error_event(self, fault: Fault, id: str) -> bytes:
        """A `data:` line with an error object, as a chat stream breaks off."""
        body = dict(self.refusal(fault, id).body["error"])
        return event({"error": {**body, "code": fault.code or "server_error"}})


class ChatCompletions(OpenAIErrors, Wire):
    """`POST /v1/chat/completions`."""

    def read(self, request: Request) -> Ask:
        """Read a chat request, with the tool or the schema that it demands."""
        body = request.json()
        return Ask.of(
            self.provider,
            body,
            asked_texts(body.get("messages")),
            tool=_demanded(body),
            schema=_schema(body.get("response_format")),
        )

    def whole(self, answer: Answer) -> Body:
        """A `chat.completion`."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "annotations": [],
        }
        if answer.tool_call is not None:
            message |= {"content": None, "tool_calls": called(answer)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
        return {
            **self.head(answer, "chat.completion"),
            "choices": [choice],
            "usage": self.usage(answer),
        }

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`chat.completion.chunk` events, the usage when it was asked for, and `[DONE]`."""
        options = answer.ask.body.get("stream_options") or {}
        with_usage = bool(options.get("include_usage"))
        extra: dict[str, Any] = {"usage": None} if with_usage else {}
        head = {**self.head(answer, "chat.completion.chunk"), **extra}
        for delta in deltas(answer):
            yield event({**head, "choices": [_choice(delta)]})
        yield event({**head, "choices": [_choice({}, answer.finish)]})
        if with_usage:
            yield event({**head, "choices": [], "usage": self.usage(answer)})
        yield b"data: [DONE]\n\n"

    def head(self, answer: Answer, kind: str) -> dict[str, Any]:
        """What an answer and each event of a stream begin with."""
        return {
            "id": f"chatcmpl-{answer.id}",
            "object": kind,
            "created": answer.created,
            "model": answer.ask.model,
            "service_tier": "default",
            "system_fingerprint": "fp_metered",
        }

    def usage(self, answer: Answer) -> Body:
        """The tokens that are billed."""
        asked, answered = answer.ask.input_tokens, answer.output_tokens
        return {
            "prompt_tokens": asked,
            "completion_tokens": answered,
            "total_tokens": asked + answered,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def deltas(answer: Answer) -> Iterator[Body]:
    """The parts of a message as a chat stream adds them up."""
    call = answer.tool_call
    if call is None:
        yield {"role": "assistant", "content": ""}
        for piece in answer.pieces:
            yield {"content": piece}
        return
    function = {"name": call.name, "arguments": ""}
    opening = {"index": 0, "id": f"call_{answer.id}", "type": "function", "function": function}
    yield {"role": "assistant", "content": None, "tool_calls": [opening]}
    for piece in call.pieces:
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def called(answer: Answer) -> list[Body]:
    """The tool's call as a message has it whole."""
    assert answer.tool_call is not None
    function = {"name": answer.tool_call.name, "arguments": answer.tool_call.arguments}
    return [{"id": f"call_{answer.id}", "type": "function", "function": function}]


def functions(tools: Any) -> Mapping[str, Body]:
    """The schemas of the functions that a chat request offers, by name."""
    offered = [tool.get("function") for tool in tools or () if isinstance(tool, dict)]
    return {f["name"]: f.get("parameters") or {} for f in offered if f and "name" in f}


def _demanded(body: Body) -> Tool | None:
    choice = body.get("tool_choice")
    named = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    # Mistral, Groq and Together say "any" where OpenAI says "required".
    return demanded(functions(body.get("tools")), named, any_tool=choice in ("required", "any"))


def _schema(wanted: Any) -> Body | None:
    if not isinstance(wanted, dict):
        return None
    if wanted.get("type") == "json_object":
        return JSON_OBJECT
    given = wanted.get("json_schema")
    if not isinstance(given, dict):
        return None
    schema = given.get("schema") or given.get("schema_definition")
    return schema if isinstance(schema, dict) else JSON_OBJECT


def _choice(delta: Body, finish: str | None = None) -> Body:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
