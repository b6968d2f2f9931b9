"""Testing: OpenAI's wire format: `POST /v1/responses`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from payonce.testing.asking import Answer, Ask, Body, Request, Tool, asked_texts, demanded
from payonce.testing.faults import Fault
from payonce.testing.openai import JSON_OBJECT, OpenAIErrors
from payonce.testing.wire import Wire, event, told

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Responses(OpenAIErrors, Wire):
    """`POST /v1/responses`."""

    def read(self, request: Request) -> Ask:
        """Read a responses request: a text or a list of input items, after the instructions."""
        body = request.json()
        given = body.get("input")
        texts = [given] if isinstance(given, str) else asked_texts(given)
        instructions = body.get("instructions")
        system = [instructions] if isinstance(instructions, str) else []
        tool, schema = _demanded(body), _schema(body.get("text"))
        return Ask.of(self.provider, body, system + texts, tool=tool, schema=schema)

    def whole(self, answer: Answer) -> Body:
        """A `response` with one message, or one call of a function."""
        reason = _INCOMPLETE.get(answer.finish)
        return {
            **_response(answer, "incomplete" if reason else "completed"),
            "output": [_item(answer, _status(answer), done=True)],
            "incomplete_details": {"reason": reason} if reason else None,
            "usage": _usage(answer),
        }

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`response.created` to `response.completed` (or `response.incomplete`), numbered."""
        for number, data in enumerate(self._steps(answer)):
            yield event({**data, "sequence_number": number}, data["type"])

    def error_event(self, fault: Fault, id: str) -> bytes:
        """An `error` event."""
        code = fault.code or "server_error"
        data = {"type": "error", "code": code, "message": told(fault, code)}
        return event({**data, "param": None, "sequence_number": 0}, "error")

    def _steps(self, answer: Answer) -> Iterator[dict[str, Any]]:
        opened = _response(answer, "in_progress")
        item = _item(answer, "in_progress", done=False)
        yield {"type": "response.created", "response": opened}
        yield {"type": "response.in_progress", "response": opened}
        yield {"type": "response.output_item.added", "output_index": 0, "item": item}
        yield from _call_steps(answer) if answer.tool_call else _text_steps(answer)
        whole = self.whole(answer)
        done = {"output_index": 0, "item": whole["output"][0]}
        yield {"type": "response.output_item.done", **done}
        yield {"type": f"response.{_status(answer)}", "response": whole}


def _text_steps(answer: Answer) -> Iterator[dict[str, Any]]:
    at = {"item_id": f"msg_{answer.id}", "output_index": 0, "content_index": 0}
    yield {"type": "response.content_part.added", **at, "part": _part("")}
    for piece in answer.pieces:
        yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
    text = {"text": answer.text, "logprobs": []}
    yield {"type": "response.output_text.done", **at, **text}
    yield {"type": "response.content_part.done", **at, "part": _part(answer.text)}


def _call_steps(answer: Answer) -> Iterator[dict[str, Any]]:
    assert answer.tool_call is not None
    at = {"item_id": f"fc_{answer.id}", "output_index": 0}
    kind = "response.function_call_arguments"
    for piece in answer.tool_call.pieces:
        yield {"type": f"{kind}.delta", **at, "delta": piece}
    call = {"name": answer.tool_call.name, "arguments": answer.tool_call.arguments}
    yield {"type": f"{kind}.done", **at, **call}


def _demanded(body: Body) -> Tool | None:
    offered = [tool for tool in body.get("tools") or () if tool.get("type") == "function"]
    tools = {tool["name"]: tool.get("parameters") or {} for tool in offered if "name" in tool}
    choice = body.get("tool_choice")
    named = choice.get("name") if isinstance(choice, dict) else None
    return demanded(tools, named, any_tool=choice == "required")


def _schema(text: Any) -> Body | None:
    wanted = (text.get("format") if isinstance(text, dict) else None) or {}
    kind = wanted.get("type")
    if kind == "json_object":
        return JSON_OBJECT
    return wanted.get("schema") if kind == "json_schema" else None


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
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _item(answer: Answer, status: str, *, done: bool) -> Body:
    if answer.tool_call is not None:
        return {
            "id": f"fc_{answer.id}",
            "type": "function_call",
            "status": status,
            "call_id": f"call_{answer.id}",
            "name": answer.tool_call.name,
            "arguments": answer.tool_call.arguments if done else "",
        }
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [_part(answer.text)] if done else [],
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
