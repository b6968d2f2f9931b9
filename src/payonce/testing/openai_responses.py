"""Testing: OpenAI's wire format: `POST /v1/responses`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from payonce.testing.openai import OpenAIErrors
from payonce.testing.wire import Answer, Ask, Body, asked_texts, event

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Responses(OpenAIErrors):
    """`POST /v1/responses`."""

    def read(self, body: Body) -> Ask:
        """Read a responses request: a text or a list of input items, after the instructions."""
        given = body.get("input")
        texts = [given] if isinstance(given, str) else asked_texts(given)
        instructions = body.get("instructions")
        system = [instructions] if isinstance(instructions, str) else []
        return Ask.of(self.provider, body, system + texts)

    def output_tokens(self, answer: Answer) -> int:
        """The tokens of the text."""
        return answer.output_tokens

    def whole(self, answer: Answer) -> Body:
        """A `response` with one message."""
        reason = _INCOMPLETE.get(answer.finish)
        return {
            **_response(answer, "incomplete" if reason else "completed"),
            "output": [_message(answer, _status(answer), [_part(answer.text)])],
            "incomplete_details": {"reason": reason} if reason else None,
            "usage": _usage(answer),
        }

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`response.created` to `response.completed` (or `response.incomplete`), numbered."""
        for number, data in enumerate(self._steps(answer)):
            yield event({**data, "sequence_number": number}, data["type"])

    def error_event(self, code: str | None, message: str | None, id: str) -> bytes:
        """An `error` event."""
        said = message or "The metered provider was told to break off."
        data = {"type": "error", "code": code or "server_error", "message": said}
        return event({**data, "param": None, "sequence_number": 0}, "error")

    def _steps(self, answer: Answer) -> Iterator[dict[str, Any]]:
        item = _message(answer, "in_progress", [])
        opened = _response(answer, "in_progress")
        at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        yield {"type": "response.created", "response": opened}
        yield {"type": "response.in_progress", "response": opened}
        yield {"type": "response.output_item.added", "output_index": 0, "item": item}
        yield {"type": "response.content_part.added", **at, "part": _part("")}
        for piece in answer.pieces:
            yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
        whole = self.whole(answer)
        text = {"text": answer.text, "logprobs": []}
        yield {"type": "response.output_text.done", **at, **text}
        yield {"type": "response.content_part.done", **at, "part": _part(answer.text)}
        done = {"output_index": 0, "item": whole["output"][0]}
        yield {"type": "response.output_item.done", **done}
        yield {"type": f"response.{_status(answer)}", "response": whole}


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish in _INCOMPLETE else "completed"


def _response(answer: Answer, status: str) -> dict[str, Any]:
    body = answer.ask.body
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": answer.ask.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": 1.0,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _message(answer: Answer, status: str, content: list[Body]) -> Body:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _part(text: str) -> Body:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(answer: Answer) -> Body:
    asked, answered = answer.ask.input_tokens, answer.output_tokens
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answered,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": asked + answered,
    }
