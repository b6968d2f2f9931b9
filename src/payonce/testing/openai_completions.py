"""Testing: OpenAI's wire format: the older `POST /v1/completions`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from payonce.testing.asking import Answer, Ask, Body, Request
from payonce.testing.openai import OpenAIErrors
from payonce.testing.wire import Wire, event


class Completions(OpenAIErrors, Wire):
    """`POST /v1/completions`."""

    def read(self, request: Request) -> Ask:
        """Read a prompt, or several."""
        body = request.json()
        prompt = body.get("prompt")
        texts = [prompt] if isinstance(prompt, str) else prompt
        if not isinstance(texts, list) or not texts:
            raise ValueError("Missing required parameter: 'prompt'.")
        return Ask.of(self.provider, body, [str(text) for text in texts])

    def whole(self, answer: Answer) -> Body:
        """A `text_completion`."""
        choices = [_choice(answer.text, answer.finish)]
        return {**_head(answer), "choices": choices, "usage": _usage(answer)}

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`text_completion` events, the usage when it was asked for, and `[DONE]`."""
        for piece in answer.pieces:
            yield event({**_head(answer), "choices": [_choice(piece, None)]})
        yield event({**_head(answer), "choices": [_choice("", answer.finish)]})
        if (answer.ask.body.get("stream_options") or {}).get("include_usage"):
            yield event({**_head(answer), "choices": [], "usage": _usage(answer)})
        yield b"data: [DONE]\n\n"


def _head(answer: Answer) -> dict[str, Any]:
    named = {"id": f"cmpl-{answer.id}", "object": "text_completion", "model": answer.ask.model}
    return {**named, "created": answer.created}


def _choice(text: str, finish: str | None) -> Body:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}


def _usage(answer: Answer) -> Body:
    asked, answered = answer.ask.input_tokens, answer.output_tokens
    counts = {"prompt_tokens": asked, "completion_tokens": answered}
    return {**counts, "total_tokens": asked + answered}
