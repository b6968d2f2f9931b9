"""Testing: Cohere's wire format: chat, embed and rerank of its version 2, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from payonce.testing.asking import Answer, Ask, Body, Request, Tool, asked_texts, demanded
from payonce.testing.faults import Fault
from payonce.testing.openai import JSON_OBJECT, functions
from payonce.testing.openai_embeddings import DIMENSIONS, vector
from payonce.testing.wire import Refusal, Wire, Words, event, told

_FINISH = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "content_filter": "ERROR",
    "tool_calls": "TOOL_CALL",
}
_BILLING_LIMIT = "The account has reached its billing limit."
_TRIAL = "You are using a Trial key, which is limited to 1000 API calls / month."


class CohereErrors(Words):
    """The errors of Cohere's endpoints."""

    provider = "cohere"

    def refusal(self, fault: Fault, id: str) -> Refusal:
        """`{"id", "message"}`; a billing limit that is reached is a 402.

        A code of `trial_limit` makes the 429 say that the trial key's month is used up.
        """
        if fault.code == "insufficient_quota":
            fault = replace(fault, status=402, message=fault.message or _BILLING_LIMIT)
        elif fault.code == "trial_limit":
            fault = replace(fault, message=fault.message or _TRIAL)
        return Refusal(fault.status, {"id": id, "message": told(fault, fault.code or "error")})


class CohereChat(CohereErrors, Wire):
    """`POST /v2/chat`."""

    def read(self, request: Request) -> Ask:
        """Read a chat request, with the tool or the schema that it demands."""
        body = request.json()
        texts = asked_texts(body.get("messages"))
        return Ask.of(self.provider, body, texts, tool=_demanded(body), schema=_schema(body))

    def whole(self, answer: Answer) -> Body:
        """A message with a text, or with a tool's call and its plan."""
        message: dict[str, Any] = {"role": "assistant"}
        if answer.tool_call is None:
            message["content"] = [{"type": "text", "text": answer.text}]
        else:
            message |= {"tool_plan": "I will use a tool.", "tool_calls": [_call(answer, True)]}
        finish = {"finish_reason": _FINISH[answer.finish]}
        return {"id": answer.id, **finish, "message": message, "usage": _usage(answer)}

    def events(self, answer: Answer) -> Iterator[bytes]:
        """`message-start` to `message-end`, each a named event, and `[DONE]`."""
        opening = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
        yield _named("message-start", opening, id=answer.id)
        yield from _call_events(answer) if answer.tool_call else _text_events(answer)
        ending = {"finish_reason": _FINISH[answer.finish], "usage": _usage(answer)}
        yield event({"type": "message-end", "id": answer.id, "delta": ending}, "message-end")
        yield b"data: [DONE]\n\n"

    def error_event(self, fault: Fault, id: str) -> bytes:
        """A `message-end` whose finish is an error."""
        said = told(fault, fault.code or "error")
        ending = {"finish_reason": "ERROR", "error": said}
        return event({"type": "message-end", "id": id, "delta": ending}, "message-end")


class CohereEmbed(CohereErrors, Wire):
    """`POST /v2/embed`."""

    def read(self, request: Request) -> Ask:
        """Read texts to embed."""
        body = request.json()
        texts = body.get("texts")
        if not isinstance(texts, list) or not texts:
            raise ValueError("invalid request: texts must be a list that is not empty")
        return Ask.of(self.provider, {**body, "stream": False}, [str(text) for text in texts])

    def output_tokens(self, answer: Answer) -> int:
        """Embeddings are billed by their input alone."""
        return 0

    def whole(self, answer: Answer) -> Body:
        """The vectors, under the types that were asked for."""
        body = answer.ask.body
        size = int(body.get("output_dimension") or DIMENSIONS)
        vectors = [vector(answer, str(text), size) for text in body["texts"]]
        small = [[round(number * 127) for number in one] for one in vectors]
        by_type = {
            kind: vectors if kind == "float" else small
            for kind in body.get("embedding_types") or ["float"]
        }
        return {
            "id": answer.id,
            "embeddings": by_type,
            "texts": body["texts"],
            "meta": _meta({"input_tokens": answer.ask.input_tokens}),
            "response_type": "embeddings_by_type",
        }


class CohereRerank(CohereErrors, Wire):
    """`POST /v2/rerank`."""

    def read(self, request: Request) -> Ask:
        """Read a query and documents."""
        body = request.json()
        documents = body.get("documents")
        if not isinstance(documents, list) or not documents:
            raise ValueError("invalid request: documents must be a list that is not empty")
        texts = [str(body.get("query", "")), *map(str, documents)]
        return Ask.of(self.provider, {**body, "stream": False}, texts)

    def output_tokens(self, answer: Answer) -> int:
        """Nothing is written."""
        return 0

    def whole(self, answer: Answer) -> Body:
        """The documents' places, each less relevant than the one before."""
        documents = answer.ask.body["documents"]
        top = int(answer.ask.body.get("top_n") or len(documents))
        results = [{"index": i, "relevance_score": 1 / (i + 2)} for i in range(len(documents))]
        return {"id": answer.id, "results": results[:top], "meta": _meta({"search_units": 1})}


def _text_events(answer: Answer) -> Iterator[bytes]:
    text = {"content": {"type": "text", "text": ""}}
    yield _named("content-start", text, index=0)
    for piece in answer.pieces:
        yield _named("content-delta", {"content": {"text": piece}}, index=0)
    yield event({"type": "content-end", "index": 0}, "content-end")


def _call_events(answer: Answer) -> Iterator[bytes]:
    assert answer.tool_call is not None
    yield _named("tool-plan-delta", {"tool_plan": "I will use a tool."})
    yield _named("tool-call-start", {"tool_calls": _call(answer, False)}, index=0)
    for piece in answer.tool_call.pieces:
        arguments = {"function": {"arguments": piece}}
        yield _named("tool-call-delta", {"tool_calls": arguments}, index=0)
    yield event({"type": "tool-call-end", "index": 0}, "tool-call-end")


def _named(name: str, message: Body, **data: Any) -> bytes:
    return event({"type": name, **data, "delta": {"message": message}}, name)


def _call(answer: Answer, done: bool) -> Body:
    assert answer.tool_call is not None
    arguments = answer.tool_call.arguments if done else ""
    function = {"name": answer.tool_call.name, "arguments": arguments}
    return {"id": f"{answer.tool_call.name}_{answer.id}", "type": "function", "function": function}


def _usage(answer: Answer) -> Body:
    counts = {"input_tokens": answer.ask.input_tokens, "output_tokens": answer.output_tokens}
    return {"billed_units": counts, "tokens": counts}


def _meta(units: Body) -> Body:
    return {"api_version": {"version": "2"}, "billed_units": units}


def _demanded(body: Body) -> Tool | None:
    any_tool = body.get("tool_choice") == "REQUIRED"
    return demanded(functions(body.get("tools")), None, any_tool=any_tool)


def _schema(body: Body) -> Body | None:
    wanted = body.get("response_format") or {}
    if wanted.get("type") != "json_object":
        return None
    return wanted.get("json_schema") or wanted.get("schema") or JSON_OBJECT
