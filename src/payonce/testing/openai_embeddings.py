"""Testing: OpenAI's wire format: `POST /v1/embeddings`, and the vectors of every provider."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any

from payonce.testing.asking import Answer, Ask, Body, Request
from payonce.testing.openai import OpenAIErrors
from payonce.testing.wire import Wire

DIMENSIONS = 8


class Embeddings(OpenAIErrors, Wire):
    """`POST /v1/embeddings`."""

    def read(self, request: Request) -> Ask:
        """Read an embeddings request: one text, several, or tokens; it never streams."""
        body = request.json()
        return Ask.of(self.provider, {**body, "stream": False}, _inputs(body.get("input")))

    def output_tokens(self, answer: Answer) -> int:
        """Embeddings are billed by their input alone."""
        return 0

    def whole(self, answer: Answer) -> Body:
        """A list of vectors, as numbers or in base64 as the request asks."""
        body = answer.ask.body
        size = int(body.get("dimensions") or body.get("output_dimension") or DIMENSIONS)
        coded = body.get("encoding_format") == "base64"
        vectors = [vector(answer, text, size) for text in _inputs(body.get("input"))]
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


def vector(answer: Answer, text: str, size: int = DIMENSIONS) -> list[float]:
    """Numbers that single precision holds exactly, so that every encoding says the same."""
    stretched = hashlib.shake_256(f"{answer.n}:{text}".encode()).digest(size)
    return [byte / 128 - 1 for byte in stretched]


def _inputs(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        raise ValueError("input must be a text or a list that is not empty")
    if isinstance(value[0], int):
        return [" ".join(map(str, value))]
    return [one if isinstance(one, str) else " ".join(map(str, one)) for one in value]


def _coded(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
