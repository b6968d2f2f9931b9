"""Testing: Mistral's wire format: chat, embeddings and errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from payonce.testing.asking import Answer, Body
from payonce.testing.faults import Fault
from payonce.testing.openai import ChatCompletions, OpenAIErrors, called
from payonce.testing.openai_embeddings import Embeddings
from payonce.testing.wire import Refusal, event, told

_TYPES = {429: "rate_limited", 503: "service_tier_capacity_exceeded"}
_CODES = {429: "1300", 503: "3505"}
_USED_UP = "Inactive subscription or usage limit reached"
_FINISH = {"content_filter": "error"}


class MistralErrors(OpenAIErrors):
    """The errors of Mistral's endpoints."""

    provider = "mistral"
    id_header = "mistral-correlation-id"

    def refusal(self, fault: Fault, id: str) -> Refusal:
        """`{"object": "error", message, type, param, code, raw_status_code}`.

        Keys are refused with a bare `detail`, bodies with a list of them; a usage limit that is
        reached is a 401 with a message.
        """
        if fault.code == "insufficient_quota":
            return Refusal(401, {"message": fault.message or _USED_UP, "request_id": id})
        if fault.status == 401:
            return Refusal(401, {"detail": fault.message or "Unauthorized"})
        if fault.status in (400, 422) and fault.code is None:
            detail = {"type": "value_error", "loc": ["body"], "msg": told(fault, "value_error")}
            return Refusal(422, {"detail": [detail]})
        server = "internal_server_error" if fault.status >= 500 else "invalid_request_error"
        kind = _TYPES.get(fault.status, server)
        error = {"message": told(fault, kind), "type": kind, "param": None}
        code = fault.code or _CODES.get(fault.status)
        numbers = {"code": code, "raw_status_code": fault.status}
        return Refusal(fault.status, {"object": "error", **error, **numbers})

    def error_event(self, fault: Fault, id: str) -> bytes:
        """An error object in place of a chunk."""
        return event(self.refusal(replace(fault, status=503), id).body)


class MistralChat(MistralErrors, ChatCompletions):
    """`POST /v1/chat/completions`.

    A stream has its usage in the last chunk without being asked, and a tool's call in one piece.
    """

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`chat.completion.chunk` events, the finish with the usage, and `[DONE]`."""
        head = self.head(answer, "chat.completion.chunk")
        yield event({**head, "choices": [_choice({"role": "assistant", "content": ""}, None)]})
        last: Body = {"content": ""}
        if answer.tool_call is None:
            for piece in answer.pieces:
                yield event({**head, "choices": [_choice({"content": piece}, None)]})
        else:
            last = {"content": "", "tool_calls": called(answer)}
        finish = _FINISH.get(answer.finish, answer.finish)
        yield event({**head, "choices": [_choice(last, finish)], "usage": self.usage(answer)})
        yield b"data: [DONE]\n\n"

    def head(self, answer: Answer, kind: str) -> dict[str, Any]:
        """What an answer and each event of a stream begin with."""
        named = {"id": answer.id, "object": kind, "model": answer.ask.model}
        return {**named, "created": answer.created}

    def usage(self, answer: Answer) -> Body:
        """The tokens that are billed."""
        asked, answered = answer.ask.input_tokens, answer.output_tokens
        counts = {"prompt_tokens": asked, "completion_tokens": answered}
        return {**counts, "total_tokens": asked + answered}


class MistralEmbeddings(MistralErrors, Embeddings):
    """`POST /v1/embeddings`."""

    def whole(self, answer: Answer) -> Body:
        """A list of vectors with an id."""
        whole = super().whole(answer)
        usage = {**whole["usage"], "completion_tokens": 0}
        return {"id": answer.id, **whole, "usage": usage}


def _choice(delta: Body, finish: str | None) -> Body:
    return {"index": 0, "delta": delta, "finish_reason": finish}
