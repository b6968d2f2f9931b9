"""Testing: Bedrock's wire format: `invoke`, where each family of models has a body of its own."""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from payonce.testing.anthropic import Messages
from payonce.testing.asking import Answer, Ask, Body, Request, asked_texts, texts_in
from payonce.testing.bedrock import BedrockStream, Converse, converse_steps, model_body
from payonce.testing.event_stream import framed
from payonce.testing.openai_embeddings import DIMENSIONS, vector


class _Family(ABC):
    """The bodies of one family of models."""

    @abstractmethod
    def texts(self, body: Body) -> list[str]:
        """What is asked; ValueError says what is wrong."""

    @abstractmethod
    def whole(self, answer: Answer) -> Body:
        """The answer in one piece."""

    def steps(self, answer: Answer) -> Iterator[Body]:
        """The answer in the chunks of a stream."""
        raise ValueError("this model does not stream")


class _Claude(_Family):
    """Anthropic's messages."""

    def texts(self, body: Body) -> list[str]:
        return texts_in(body.get("system")) + asked_texts(body.get("messages"))

    def whole(self, answer: Answer) -> Body:
        return Messages().whole(answer)

    def steps(self, answer: Answer) -> Iterator[Body]:
        *others, last = Messages().steps(answer)
        yield from others
        yield {**last, **_metrics(answer)}


class _Nova(_Family):
    """Amazon's Nova: the bodies of `converse`."""

    def texts(self, body: Body) -> list[str]:
        return texts_in(body.get("system")) + asked_texts(body.get("messages"))

    def whole(self, answer: Answer) -> Body:
        return {k: v for k, v in Converse().whole(answer).items() if k != "metrics"}

    def steps(self, answer: Answer) -> Iterator[Body]:
        *others, (name, payload) = converse_steps(answer)
        for one, said in others:
            yield {one: said}
        yield {name: payload, **_metrics(answer)}


class _Llama(_Family):
    """Meta's Llama: a prompt and its continuation."""

    def texts(self, body: Body) -> list[str]:
        return [_text(body, "prompt")]

    def whole(self, answer: Answer) -> Body:
        return {
            "generation": answer.text,
            "prompt_token_count": answer.ask.input_tokens,
            "generation_token_count": answer.output_tokens,
            "stop_reason": "length" if answer.finish == "length" else "stop",
        }

    def steps(self, answer: Answer) -> Iterator[Body]:
        for number, piece in enumerate(answer.pieces, start=1):
            count = answer.ask.input_tokens if number == 1 else None
            used = {"prompt_token_count": count, "generation_token_count": number}
            yield {"generation": piece, **used, "stop_reason": None}
        yield {**self.whole(answer), "generation": "", **_metrics(answer)}


class _TitanEmbedding(_Family):
    """Amazon's Titan embeddings."""

    def texts(self, body: Body) -> list[str]:
        return [_text(body, "inputText")]

    def whole(self, answer: Answer) -> Body:
        body = answer.ask.body
        numbers = vector(answer, str(body["inputText"]), int(body.get("dimensions") or DIMENSIONS))
        tokens = answer.ask.input_tokens
        named = {"embeddingsByType": {"float": numbers}}
        return {"embedding": numbers, **named, "inputTextTokenCount": tokens}


_FAMILIES = {
    "anthropic.": _Claude(),
    "amazon.nova": _Nova(),
    "meta.llama": _Llama(),
    "amazon.titan-embed": _TitanEmbedding(),
}


class InvokeModel(BedrockStream):
    """`POST /model/{model}/invoke` and `…/invoke-with-response-stream`.

    The model's id chooses the bodies: those of Claude, Nova, Llama and Titan embeddings are known.
    """

    def read(self, request: Request) -> Ask:
        """Read a body as the model's family writes it."""
        body = model_body(request, "invoke-with-response-stream")
        family = _family(body["model"])
        if isinstance(family, _Claude):
            ask = Messages().read_body(body)
            return Ask.of(self.provider, body, [ask.prompt], tool=ask.tool, schema=ask.schema)
        if body["stream"] and isinstance(family, _TitanEmbedding):
            raise ValueError("The model is unsupported for streaming")
        return Ask.of(self.provider, body, family.texts(body))

    def output_tokens(self, answer: Answer) -> int:
        """The tokens of the text; embeddings have none."""
        embeds = isinstance(_family(answer.ask.model), _TitanEmbedding)
        return 0 if embeds else answer.output_tokens

    def whole(self, answer: Answer) -> Body:
        """The body of the model's family."""
        return _family(answer.ask.model).whole(answer)

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`chunk` events with the family's own events in base64."""
        for step in _family(answer.ask.model).steps(answer):
            packed = base64.b64encode(json.dumps(step, ensure_ascii=False).encode()).decode()
            yield framed("chunk", {"bytes": packed})


def _family(model: str) -> _Family:
    for name, family in _FAMILIES.items():
        if name in model:
            return family
    raise ValueError(f"The provided model identifier is invalid: {model}")


def _text(body: Body, name: str) -> str:
    text = body.get(name)
    if not isinstance(text, str) or not text:
        raise ValueError(f"required key [{name}] not found")
    return text


def _metrics(answer: Answer) -> dict[str, Any]:
    return {
        "amazon-bedrock-invocationMetrics": {
            "inputTokenCount": answer.ask.input_tokens,
            "outputTokenCount": answer.output_tokens,
            "invocationLatency": 12,
            "firstByteLatency": 5,
        }
    }
