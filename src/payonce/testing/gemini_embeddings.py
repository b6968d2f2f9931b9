"""Testing: Gemini's wire format: `embedContent` and `batchEmbedContents`."""

from __future__ import annotations

from typing import Any

from payonce.testing.asking import Answer, Ask, Body, Request, texts_in
from payonce.testing.gemini import GeminiErrors
from payonce.testing.openai_embeddings import DIMENSIONS, vector
from payonce.testing.wire import Wire


class EmbedContents(GeminiErrors, Wire):
    """`POST /v1beta/models/{model}:embedContent` and `…:batchEmbedContents`."""

    def read(self, request: Request) -> Ask:
        """Read one content, or the contents of several requests."""
        batch = request.names.get("verb") == "batchEmbedContents"
        given = request.json()
        body = {"model": request.names.get("model"), "batch": batch, "requests": [given]}
        if batch:
            body["requests"] = given.get("requests")
        if not isinstance(body["requests"], list) or not body["requests"]:
            raise ValueError("* BatchEmbedContentsRequest.requests: must not be empty")
        return Ask.of(self.provider, body, [_text(one) for one in body["requests"]])

    def output_tokens(self, answer: Answer) -> int:
        """Embeddings are billed by their input alone."""
        return 0

    def whole(self, answer: Answer) -> Body:
        """The vector, or one for each request."""
        body = answer.ask.body
        vectors = [{"values": _values(answer, one)} for one in body["requests"]]
        return {"embeddings": vectors} if body["batch"] else {"embedding": vectors[0]}


def _text(one: Any) -> str:
    texts = texts_in((one.get("content") or {}).get("parts"))
    if not texts:
        raise ValueError("* EmbedContentRequest.content: content is not specified")
    return "\n".join(texts)


def _values(answer: Answer, one: Body) -> list[float]:
    config = one.get("embedContentConfig") or {}
    size = one.get("outputDimensionality") or config.get("outputDimensionality")
    return vector(answer, _text(one), int(size or DIMENSIONS))
