"""What an answer says of itself: its id, and why it ended, as its SDK has them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from tests.otel.asking import MODEL, WORDS, chat, message
from tests.otel.conftest import Telemetry

import payonce
from payonce.capture import answers, bedrock, cohere, gemini
from payonce.capture import openai as of_openai
from payonce.capture.wire import Wire
from payonce.model import Said

Asked = Callable[[openai.OpenAI, anthropic.Anthropic], tuple[str, str | None]]


def _chat(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> tuple[str, str | None]:
    answer = chat(gpt)
    return answer.id, answer.choices[0].finish_reason


def _chat_streamed(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> tuple[str, str | None]:
    with chat(gpt, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    return chunks[0].id, reasons[-1]


def _response(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> tuple[str, str | None]:
    return gpt.responses.create(model=MODEL, input=WORDS).id, None


def _response_streamed(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> tuple[str, str | None]:
    with gpt.responses.create(model=MODEL, input=WORDS, stream=True) as stream:
        [last] = [e.response for e in stream if e.type == "response.completed"]
    return last.id, None


def _message(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> tuple[str, str | None]:
    answer = message(claude)
    return answer.id, answer.stop_reason


def _message_streamed(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> tuple[str, str | None]:
    with message(claude, stream=True) as stream:
        events = list(stream)
    [started] = [e.message.id for e in events if e.type == "message_start"]
    [reason] = [e.delta.stop_reason for e in events if e.type == "message_delta"]
    return started, reason


@pytest.mark.parametrize(
    "ask", [_chat, _chat_streamed, _response, _response_streamed, _message, _message_streamed]
)
def test_a_span_tells_what_the_sdk_tells(
    app: payonce.Payonce,
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    claude: anthropic.Anthropic,
    ask: Asked,
) -> None:
    """The id, and the reason where the format has one; a replay has no span to tell it on."""
    told: list[tuple[str, str | None]] = []

    @app.job(key="k", backoff=0, wait=1)
    def job() -> None:
        told.append(ask(gpt, claude))
        if len(told) == 1:
            raise ConnectionError("try again")

    with pytest.raises(payonce.RetryLater):
        job()
    job()
    [call] = telemetry.spans("chat")
    has = dict(call.attributes or {})
    first, again = told
    assert first == again
    reasons = None if first[1] is None else (first[1],)
    assert (has["gen_ai.response.id"], has.get("gen_ai.response.finish_reasons")) == (
        first[0],
        reasons,
    )


def _sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


JSON, SSE = [("content-type", "application/json")], [("content-type", "text/event-stream")]
STOPPED = [{"finishReason": "STOP", "content": {}}]
CASES: dict[str, tuple[Wire, list[tuple[str, str]], bytes, Said | None]] = {
    "Gemini": (
        gemini.WIRE,
        JSON,
        json.dumps({"responseId": "r-1", "candidates": [*STOPPED, *STOPPED]}).encode(),
        Said("r-1", ("STOP", "STOP")),
    ),
    "Gemini, streamed": (
        gemini.WIRE,
        SSE,
        _sse(
            {"responseId": "r-2", "candidates": [{}]}, {"responseId": "r-2", "candidates": STOPPED}
        ),
        Said("r-2", ("STOP",)),
    ),
    "Bedrock's converse": (
        bedrock.WIRE,
        JSON,
        json.dumps({"stopReason": "end_turn", "usage": {"inputTokens": 1}}).encode(),
        Said(None, ("end_turn",)),
    ),
    "Cohere": (
        cohere.WIRE,
        JSON,
        json.dumps({"id": "c-1", "finish_reason": "COMPLETE"}).encode(),
        Said("c-1", ("COMPLETE",)),
    ),
    "OpenAI's, cut short": (
        of_openai.WIRE,
        JSON,
        json.dumps({"id": "o-1", "incomplete_details": {"reason": "max_output_tokens"}}).encode(),
        Said("o-1", ("max_output_tokens",)),
    ),
    "nothing of it": (of_openai.WIRE, JSON, b'{"data": []}', None),
    "no text": (of_openai.WIRE, JSON, b'{"id": 7, "choices": [{"finish_reason": {}}]}', None),
    "too long": (
        of_openai.WIRE,
        JSON,
        json.dumps({"id": base64.b64encode(b"x" * 900).decode()}).encode(),
        None,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_format_has_its_place_for_it(
    case: tuple[Wire, list[tuple[str, str]], bytes, Said | None],
) -> None:
    """Read where the provider puts it; what is not as expected is ignored."""
    wire, headers, body, said = case
    assert answers.read_answer(wire, 200, headers, body).seen.said == said
