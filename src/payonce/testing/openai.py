"""Testing: OpenAI's wire format: chat completions, embeddings and errors."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator
from typing import Any

from payonce.testing.wire import Answer, Ask, Body, Refusal, asked_texts, event

_DIMENSIONS = 8
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
_QUOTA = {"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"}


class OpenAIErrors:
    """The errors that all of OpenAI's endpoints share."""

    provider = "openai"

    def refusal(self, status: int, code: str | None, message: str | None, id: str) -> Refusal:
        """`{"error": {message, type, param, code}}`, typed as the status and code are."""
        code = code or _ERROR_CODES.get(status)
        kind = _ERROR_TYPES.get(status, "invalid_request_error")
        if code in _QUOTA:
            kind = "insufficient_quota"
        said = message or f"The metered provider was told to answer {status} ({code or kind})."
        return Refusal(
            status, {"error": {"message": said, "type": kind, "param": None, "code": code}}
        )

    def error_event(self, code: str | None, message: str | None, id: str) -> bytes:
        """A `data:` line with an error object, as a chat stream breaks off."""
        return event(self.refusal(500, code or "server_error", message, id).body)


class ChatCompletions(OpenAIErrors):
    """`POST /v1/chat/completions`."""

    def read(self, body: Body) -> Ask:
        """Read a chat request."""
        return Ask.of(self.provider, body, asked_texts(body.get("messages")))

    def output_tokens(self, answer: Answer) -> int:
        """The tokens of the text."""
        return answer.output_tokens

    def whole(self, answer: Answer) -> Body:
        """A `chat.completion`."""
        message: Body = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "annotations": [],
        }
        return {
            **_head(answer, "chat.completion"),
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "logprobs": None,
                    "finish_reason": answer.finish,
                }
            ],
            "usage": _usage(answer),
        }

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`chat.completion.chunk` events, the usage when it was asked for, and `[DONE]`."""
        options = answer.ask.body.get("stream_options") or {}
        with_usage = bool(options.get("include_usage"))
        extra: dict[str, Any] = {"usage": None} if with_usage else {}
        head = {**_head(answer, "chat.completion.chunk"), **extra}
        yield event({**head, "choices": [_delta({"role": "assistant", "content": ""})]})
        for piece in answer.pieces:
            yield event({**head, "choices": [_delta({"content": piece})]})
        yield event({**head, "choices": [_delta({}, answer.finish)]})
        if with_usage:
            yield event({**head, "choices": [], "usage": _usage(answer)})
        yield b"data: [DONE]\n\n"


class Embeddings(OpenAIErrors):
    """`POST /v1/embeddings`."""

    def read(self, body: Body) -> Ask:
        """Read an embeddings request: one text, several, or tokens; it never streams."""
        return Ask.of(self.provider, {**body, "stream": False}, _inputs(body.get("input")))

    def output_tokens(self, answer: Answer) -> int:
        """Embeddings are billed by their input alone."""
        return 0

    def whole(self, answer: Answer) -> Body:
        """A list of vectors, as numbers or in base64 as the request asks."""
        body = answer.ask.body
        size = int(body.get("dimensions") or _DIMENSIONS)
        coded = body.get("encoding_format") == "base64"
        vectors = [_vector(f"{answer.n}:{text}", size) for text in _inputs(body.get("input"))]
        tokens = answer.ask.input_tokens
        return {
            "object": "list",
            "model": answer.ask.model,
            "data": [
                {"object": "embedding", "index": i, "embedding": _coded(v) if coded else v}
                for i, v in enumerate(vectors)
            ],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def events(self, answer: Answer) -> Iterator[bytes]:
        """Embeddings have no stream."""
        raise NotImplementedError("embeddings are not streamed")


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": kind,
        "created": answer.created,
        "model": answer.ask.model,
        "service_tier": "default",
        "system_fingerprint": "fp_metered",
    }


def _delta(delta: Body, finish: str | None = None) -> Body:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _usage(answer: Answer) -> Body:
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


def _inputs(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        raise ValueError("input must be a text or a list that is not empty")
    if isinstance(value[0], int):
        return [" ".join(map(str, value))]
    return [one if isinstance(one, str) else " ".join(map(str, one)) for one in value]


def _vector(seed: str, size: int) -> list[float]:
    """Numbers that single precision holds exactly, so that both encodings say the same."""
    stretched = hashlib.shake_256(seed.encode()).digest(size)
    return [byte / 128 - 1 for byte in stretched]


def _coded(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
