"""Testing: Anthropic's wire format: `POST /v1/messages` and its errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from payonce.testing.wire import Answer, Ask, Body, Refusal, asked_texts, event, texts_in

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
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
_NO_CREDIT = "Your credit balance is too low to access the Anthropic API."


class Messages:
    """`POST /v1/messages`."""

    provider = "anthropic"

    def read(self, body: Body) -> Ask:
        """Read a messages request; as the real one does, it insists on `max_tokens`."""
        if not isinstance(body.get("max_tokens"), int):
            raise ValueError("max_tokens: Field required")
        texts = texts_in(body.get("system")) + asked_texts(body.get("messages"))
        return Ask.of(self.provider, body, texts)

    def output_tokens(self, answer: Answer) -> int:
        """The tokens of the text."""
        return answer.output_tokens

    def whole(self, answer: Answer) -> Body:
        """A `message` with one text block."""
        return {
            **_message(answer),
            "content": [{"type": "text", "text": answer.text, "citations": None}],
            "stop_reason": _STOP_REASONS[answer.finish],
            "usage": _usage(answer, answer.output_tokens),
        }

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`message_start` to `message_stop`, with the text in `content_block_delta` events."""
        yield _named("message_start", message=_message(answer))
        block = {"type": "text", "text": ""}
        yield _named("content_block_start", index=0, content_block=block)
        yield _named("ping")
        for piece in answer.pieces:
            delta = {"type": "text_delta", "text": piece}
            yield _named("content_block_delta", index=0, delta=delta)
        yield _named("content_block_stop", index=0)
        yield _named(
            "message_delta",
            delta={"stop_reason": _STOP_REASONS[answer.finish], "stop_sequence": None},
            usage={"output_tokens": answer.output_tokens},
        )
        yield _named("message_stop")

    def refusal(self, status: int, code: str | None, message: str | None, id: str) -> Refusal:
        """`{"type": "error", "error": {type, message}, "request_id"}`, typed as the status is.

        A code that is an error type of Anthropic's takes its place; a spend limit's code goes to
        `details`; used-up credit is a 400, whatever status was asked for.
        """
        if code == "insufficient_quota":
            status, message = 400, message or _NO_CREDIT
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        if code in _ERROR_TYPES.values():
            kind = str(code)
        said = message or f"The metered provider was told to answer {status} ({kind})."
        error: dict[str, Any] = {"type": kind, "message": said}
        if code is not None and code.endswith("_limit_reached"):
            error["details"] = {"error_code": code}
        return Refusal(status, {"type": "error", "error": error, "request_id": id})

    def error_event(self, code: str | None, message: str | None, id: str) -> bytes:
        """An `error` event."""
        return event(self.refusal(529, code, message, id).body, "error")


def _named(name: str, **data: Any) -> bytes:
    return event({"type": name, **data}, name)


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
