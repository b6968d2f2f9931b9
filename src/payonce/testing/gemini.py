"""Testing: Gemini's wire format: `generateContent`, `streamGenerateContent` and errors."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from payonce.testing.asking import Answer, Ask, Body, Request, Tool, demanded, texts_in
from payonce.testing.faults import Fault
from payonce.testing.wire import Refusal, Wire, Words, event, told

_RPC = "type.googleapis.com/google.rpc."
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_NAMES = {*_STATUSES.values(), "FAILED_PRECONDITION"}
_QUOTAS = {"PerMinute", "PerDay"}
_NO_CREDIT = "Your prepayment credits are depleted."
_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY", "tool_calls": "STOP"}
_SCHEMAS = ("responseJsonSchema", "responseSchema")


class GeminiErrors(Words):
    """The errors of Google's APIs."""

    provider = "gemini"

    def refusal(self, fault: Fault, id: str) -> Refusal:
        """`{"error": {code, message, status, details}}`.

        A code is a status such as `FAILED_PRECONDITION`, a quota (`PerMinute`, as a 429 has it, or
        `PerDay`), or a reason such as `API_KEY_INVALID`; prepaid credit that is gone is a 402.
        """
        if fault.code == "insufficient_quota":
            fault = replace(fault, status=402, code=None, message=fault.message or _NO_CREDIT)
        name = _STATUSES.get(fault.status, "INTERNAL" if fault.status >= 500 else "UNKNOWN")
        if fault.code in _NAMES:
            name = str(fault.code)
        error: dict[str, Any] = {"code": fault.status, "message": told(fault, name)}
        error["status"] = name
        details = list(_details(fault))
        if details:
            error["details"] = details
        return Refusal(fault.status, {"error": error})


class GenerateContent(GeminiErrors, Wire):
    """`POST /v1beta/models/{model}:generateContent` and `…:streamGenerateContent?alt=sse`."""

    def read(self, request: Request) -> Ask:
        """Read contents after the system's instruction; the model and the verb are in the path."""
        stream = request.names.get("verb") == "streamGenerateContent"
        body = {**request.json(), "model": request.names.get("model"), "stream": stream}
        contents = body.get("contents")
        if not isinstance(contents, list) or not contents:
            raise ValueError("* GenerateContentRequest.contents: contents is not specified")
        asked = [content for content in contents if content.get("role") != "model"]
        system = _in(body, "systemInstruction", {})
        texts = [text for one in [system, *asked] for text in texts_in(one.get("parts"))]
        return Ask.of(self.provider, body, texts, tool=_demanded(body), schema=_schema(body))

    def whole(self, answer: Answer) -> Body:
        """One candidate with one part."""
        return _response(answer, [_part(answer)], finished=True)

    def events(self, answer: Answer) -> Iterator[bytes]:
        """One response per piece; the last has the finish. There is no `[DONE]`."""
        if answer.tool_call is not None:
            yield _event(self.whole(answer))
            return
        for number, piece in enumerate(answer.pieces, start=1):
            finished = number == len(answer.pieces)
            yield _event(_response(answer, [{"text": piece}], finished=finished))

    def error_event(self, fault: Fault, id: str) -> bytes:
        """An error object in place of a response."""
        return _event(self.refusal(replace(fault, status=503), id).body)


def _event(data: Body) -> bytes:
    """Google ends the lines of its events as HTTP does."""
    return event(data).replace(b"\n", b"\r\n")


def _details(fault: Fault) -> Iterator[Body]:
    if fault.status == 429:
        quota = fault.code if fault.code in _QUOTAS else "PerMinute"
        violation = {
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
            "quotaId": f"GenerateRequests{quota}PerProjectPerModel",
            "quotaValue": "10",
        }
        yield {"@type": f"{_RPC}QuotaFailure", "violations": [violation]}
    elif fault.code is not None and fault.code not in _NAMES:
        reason = {"reason": fault.code, "domain": "googleapis.com"}
        yield {"@type": f"{_RPC}ErrorInfo", **reason}
    if fault.retry_after is not None:
        yield {"@type": f"{_RPC}RetryInfo", "retryDelay": f"{math.ceil(fault.retry_after)}s"}


def _response(answer: Answer, parts: list[Body], *, finished: bool) -> Body:
    asked, answered = answer.ask.input_tokens, answer.output_tokens
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finished:
        candidate["finishReason"] = _FINISH[answer.finish]
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": asked,
            "candidatesTokenCount": answered,
            "totalTokenCount": asked + answered,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": asked}],
        },
        "modelVersion": answer.ask.model,
        "responseId": answer.id,
    }


def _part(answer: Answer) -> Body:
    call = answer.tool_call
    if call is None:
        return {"text": answer.text}
    return {"functionCall": {"id": f"call-{answer.id}", "name": call.name, "args": call.parsed()}}


def _demanded(body: Body) -> Tool | None:
    offered = [f for tool in body.get("tools") or () for f in _in(tool, "functionDeclarations", [])]
    tools = {f["name"]: _in(f, "parametersJsonSchema") or _in(f, "parameters", {}) for f in offered}
    config = _in(_in(body, "toolConfig", {}), "functionCallingConfig", {})
    if config.get("mode") != "ANY":
        return None
    allowed = _in(config, "allowedFunctionNames")
    return demanded({n: tools.get(n, {}) for n in allowed or tools}, None, any_tool=True)


def _schema(body: Body) -> Body | None:
    config = _in(body, "generationConfig", {})
    return next((_in(config, name) for name in _SCHEMAS if _in(config, name)), None)


def _in(body: Body, name: str, otherwise: Any = None) -> Any:
    """A field by its name in camel case; Google takes snake case as well."""
    snake = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
    return body.get(name) or body.get(snake) or otherwise
