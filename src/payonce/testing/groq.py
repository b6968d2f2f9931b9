"""Testing: Groq's wire format: OpenAI's under `/openai`, with usage and errors of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from payonce.testing.asking import Answer, Body
from payonce.testing.faults import Fault
from payonce.testing.openai import ChatCompletions, OpenAIErrors, deltas
from payonce.testing.openai_audio import Transcriptions
from payonce.testing.wire import Refusal, event, told

_TYPES = {429: "tokens", 500: "internal_server_error", 503: "internal_server_error"}
_CODES = {
    401: "invalid_api_key",
    404: "model_not_found",
    413: "rate_limit_exceeded",
    429: "rate_limit_exceeded",
    498: "capacity_exceeded",
}
_BLOCKED = "API access is blocked: a spend alert threshold was met."
_SECONDS = 0.012


class GroqErrors(OpenAIErrors):
    """The errors of Groq's endpoints."""

    provider = "groq"

    def refusal(self, fault: Fault, id: str) -> Refusal:
        """`{"error": {message, type, code}}`; a spend limit that is met is a 400.

        A code of `tokens_per_day` makes the 429 say that the day's tokens are used.
        """
        code = fault.code or _CODES.get(fault.status)
        if code == "insufficient_quota":
            code = "blocked_api_access"
            fault = replace(fault, status=400, message=fault.message or _BLOCKED)
        if code in ("tokens_per_day", "tokens_per_minute"):
            said = f"Rate limit reached on {code.replace('_', ' ')}: Limit 100000, Used 99000."
            code, fault = "rate_limit_exceeded", replace(fault, message=fault.message or said)
        kind = _TYPES.get(fault.status, "invalid_request_error")
        error = {"message": told(fault, code or kind), "type": kind}
        return Refusal(fault.status, {"error": {**error, **({"code": code} if code else {})}})


class GroqChat(GroqErrors, ChatCompletions):
    """`POST /openai/v1/chat/completions`."""

    def whole(self, answer: Answer) -> Body:
        """A `chat.completion` with Groq's id of the request."""
        return {**super().whole(answer), "x_groq": {"id": f"req_{answer.id}"}}

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`chat.completion.chunk` events; the usage is in the last one's `x_groq`."""
        head = self.head(answer, "chat.completion.chunk")
        opening = {"x_groq": {"id": f"req_{answer.id}"}}
        for number, delta in enumerate(deltas(answer)):
            yield event({**head, "choices": [_choice(delta)], **(opening if not number else {})})
        used = {"id": f"req_{answer.id}", "usage": self.usage(answer)}
        last = {**head, "choices": [_choice({}, answer.finish)], "x_groq": used}
        options = answer.ask.body.get("stream_options") or {}
        yield event({**last, **({"usage": used["usage"]} if options.get("include_usage") else {})})
        yield b"data: [DONE]\n\n"

    def error_event(self, fault: Fault, id: str) -> bytes:
        """An `error` event."""
        return event(self.refusal(fault, id).body, "error")

    def usage(self, answer: Answer) -> Body:
        """The tokens that are billed, and the time they took in seconds."""
        asked, answered = answer.ask.input_tokens, answer.output_tokens
        times: dict[str, Any] = {
            "queue_time": _SECONDS,
            "prompt_time": _SECONDS,
            "completion_time": _SECONDS,
            "total_time": 2 * _SECONDS,
        }
        counts = {"prompt_tokens": asked, "completion_tokens": answered}
        return {**times, **counts, "total_tokens": asked + answered}


class GroqTranscriptions(GroqErrors, Transcriptions):
    """`POST /openai/v1/audio/transcriptions`."""


def _choice(delta: Body, finish: str | None = None) -> Body:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
