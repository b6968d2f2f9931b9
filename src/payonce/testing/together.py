"""Testing: Together's wire format: OpenAI's, with ids and errors of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from payonce.testing.asking import Answer
from payonce.testing.faults import Fault
from payonce.testing.openai import ChatCompletions, OpenAIErrors
from payonce.testing.openai_embeddings import Embeddings
from payonce.testing.openai_images import Images
from payonce.testing.wire import Refusal, event, told

_TYPES = {
    401: "invalid_request_error",
    402: "credit_limit",
    429: "model_rate_limit",
    500: "server_error",
    503: "service_unavailable",
}
_CODES = {401: "invalid_api_key", 404: "model_not_available"}
_NO_CREDIT = "Credit limit exceeded."


class TogetherErrors(OpenAIErrors):
    """The errors of Together's endpoints."""

    provider = "together"

    def refusal(self, fault: Fault, id: str) -> Refusal:
        """`{"id", "error": {message, type, param, code}}`; used-up credit is a 402."""
        if fault.code == "insufficient_quota":
            fault = replace(fault, status=402, code=None, message=fault.message or _NO_CREDIT)
        kind = _TYPES.get(fault.status, "invalid_request_error")
        if fault.code in _TYPES.values():
            kind, fault = str(fault.code), replace(fault, code=None)
        code = fault.code or _CODES.get(fault.status)
        error = {"message": told(fault, code or kind), "type": kind, "param": None, "code": code}
        return Refusal(fault.status, {"id": id, "error": error})


class TogetherChat(TogetherErrors, ChatCompletions):
    """`POST /v1/chat/completions`."""

    def head(self, answer: Answer, kind: str) -> dict[str, Any]:
        """What an answer and each event of a stream begin with."""
        named = {"id": f"o{answer.id}", "object": kind, "model": answer.ask.model}
        return {**named, "created": answer.created, "prompt": []}

    def error_event(self, fault: Fault, id: str) -> bytes:
        """An error object in place of a chunk."""
        return event(self.refusal(fault, id).body)


class TogetherEmbeddings(TogetherErrors, Embeddings):
    """`POST /v1/embeddings`."""


class TogetherImages(TogetherErrors, Images):
    """`POST /v1/images/generations`."""
