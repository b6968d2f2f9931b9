"""cohere against the metered provider: the formats of its second version, and errors."""

from __future__ import annotations

import json
from typing import Any

import cohere
import pytest
from cohere.core import ApiError

from payonce.testing import (
    Fault,
    MeteredProvider,
    call_tool,
    error_event,
    insufficient_quota,
    status,
)

ONCE: Any = {"max_retries": 0}
ASK: dict[str, Any] = {
    "model": "command-a-03-2025",
    "messages": [{"role": "user", "content": "[outline] of a book on bees"}],
    "request_options": ONCE,
}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def test_chat(provider: MeteredProvider, command: cohere.ClientV2) -> None:
    """A chat has its text and its billed units."""
    answer = command.chat(**ASK)
    [billed] = provider.bill
    assert answer.message.content is not None
    assert "outline of a book" in str(answer.message.content[0])
    assert answer.finish_reason == "COMPLETE"
    units: Any = answer.usage and answer.usage.billed_units
    assert (units.input_tokens, units.output_tokens) == (billed.input_tokens, billed.output_tokens)
    assert (billed.provider, billed.label) == ("cohere", "outline")


def test_chat_stream(provider: MeteredProvider, command: cohere.ClientV2) -> None:
    """A stream goes from `message-start` to `message-end` with the usage."""
    events: list[Any] = list(command.chat_stream(**ASK))
    text = "".join(e.delta.message.content.text for e in events if e.type == "content-delta")
    assert (events[0].type, events[-1].type) == ("message-start", "message-end")
    assert text.startswith("Answer 1 · outline of a book")
    assert events[-1].delta.usage.billed_units.output_tokens == provider.bill[0].output_tokens


def test_tools_and_schemas(provider: MeteredProvider, command: cohere.ClientV2) -> None:
    """A tool is called where it is demanded or wanted, and a schema is followed."""
    answer = command.chat(**ASK, tools=[WEATHER], tool_choice="REQUIRED")
    assert answer.finish_reason == "TOOL_CALL"
    assert answer.message.tool_calls is not None
    provider.fail("outline", call_tool("weather", {"city": "Oslo"}))
    events: list[Any] = list(command.chat_stream(**ASK, tools=[WEATHER]))
    given = [e.delta.message.tool_calls for e in events if e.type == "tool-call-delta"]
    assert json.loads("".join(one.function.arguments for one in given)) == {"city": "Oslo"}
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted: Any = {"type": "json_object", "json_schema": schema}
    content: Any = command.chat(**ASK, response_format=wanted).message.content
    assert json.loads(content[0].text) == {"n": 1}


def test_embed_and_rerank(provider: MeteredProvider, command: cohere.ClientV2) -> None:
    """Embeddings come in the types asked for; documents in an order, the best of them."""
    embedded = command.embed(
        model="embed-v4.0",
        input_type="search_query",
        texts=["[vector] one", "two"],
        embedding_types=["float", "int8"],
        output_dimension=4,
    )
    assert embedded.embeddings.float_ is not None
    assert embedded.embeddings.int8 is not None
    assert [len(one) for one in embedded.embeddings.float_] == [4, 4]
    ranked = command.rerank(model="rerank-v4", query="[rank] bees", documents=["a", "b"], top_n=1)
    assert [result.index for result in ranked.results] == [0]
    assert [(call.label, call.output_tokens) for call in provider.bill] == [
        ("vector", 0),
        ("rank", 0),
    ]


@pytest.mark.parametrize(
    ("fault", "answered", "words"),
    [
        (status(400), 400, "told to answer 400"),
        (status(401), 401, "told to answer 401"),
        (insufficient_quota(), 402, "billing limit"),
        (status(429), 429, "told to answer 429"),
        (status(429, code="trial_limit"), 429, "API calls / month"),
        (status(500), 500, "told to answer 500"),
        (status(503), 503, "told to answer 503"),
    ],
)
def test_refusal_in_coheres_words(
    provider: MeteredProvider, command: cohere.ClientV2, fault: Fault, answered: int, words: str
) -> None:
    """A refused call raises the SDK's own error with Cohere's message, and is not billed."""
    provider.fail("outline", fault)
    with pytest.raises(ApiError) as caught:
        command.chat(**ASK)
    assert caught.value.status_code == answered
    assert words in str(caught.value.body)
    assert (provider.billed(), provider.received()) == (0, 1)


def test_error_within_a_stream(provider: MeteredProvider, command: cohere.ClientV2) -> None:
    """A stream can end in an error, which this SDK hands over as an event like any other."""
    provider.fail("outline", error_event(after_events=2))
    events: list[Any] = list(command.chat_stream(**ASK))
    assert (len(events), events[-1].delta.finish_reason) == (3, "ERROR")
    assert provider.billed() == 1
