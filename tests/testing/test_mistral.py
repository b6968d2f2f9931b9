"""mistralai against the metered provider: Mistral's formats and errors."""

from __future__ import annotations

from typing import Any

import pytest
from mistralai.client import Mistral, errors
from pydantic import BaseModel

from payonce.testing import (
    Fault,
    MeteredProvider,
    call_tool,
    error_event,
    insufficient_quota,
    status,
)

ASK: dict[str, Any] = {
    "model": "mistral-small-latest",
    "messages": [{"role": "user", "content": "[outline] of a book on bees"}],
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class Course(BaseModel):
    """A structured answer."""

    chapters: int


def test_chat(provider: MeteredProvider, mistral: Mistral) -> None:
    """A chat has its text and usage."""
    answer = mistral.chat.complete(**ASK)
    [billed] = provider.bill
    assert str(answer.choices[0].message.content).startswith("Answer 1 · outline of a book")
    assert answer.usage.prompt_tokens == billed.input_tokens
    assert answer.usage.completion_tokens == billed.output_tokens
    assert (billed.provider, billed.label) == ("mistral", "outline")


def test_chat_stream(provider: MeteredProvider, mistral: Mistral) -> None:
    """A stream has its finish and its usage in the last chunk."""
    with mistral.chat.stream(**ASK) as stream:
        chunks = [event.data for event in stream]
    text = "".join(str(chunk.choices[0].delta.content) for chunk in chunks)
    assert text.startswith("Answer 1 · outline of a book")
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == provider.bill[0].output_tokens


def test_tools_and_schemas(provider: MeteredProvider, mistral: Mistral) -> None:
    """A tool is called where it is demanded or wanted, and a schema is followed."""
    answer = mistral.chat.complete(**ASK, tools=[WEATHER], tool_choice="any")
    [call] = answer.choices[0].message.tool_calls
    assert (call.function.name, answer.choices[0].finish_reason) == ("weather", "tool_calls")
    provider.fail("outline", call_tool("weather", {"city": "Oslo"}))
    with mistral.chat.stream(**ASK, tools=[WEATHER]) as stream:
        last = list(stream)[-1].data.choices[0]
    assert last.delta.tool_calls[0].function.arguments == '{"city": "Oslo"}'
    assert mistral.chat.parse(Course, **ASK).choices[0].message.parsed.chapters == 1


def test_embeddings(provider: MeteredProvider, mistral: Mistral) -> None:
    """Embeddings are billed by their input."""
    answer = mistral.embeddings.create(model="mistral-embed", inputs=["[vector] one", "two"])
    assert answer.data[0].embedding != answer.data[1].embedding
    assert (provider.billed("vector"), provider.bill[0].output_tokens) == (1, 0)


@pytest.mark.parametrize(
    ("fault", "answered", "words"),
    [
        (status(400), 422, "value_error"),
        (status(401), 401, '{"detail": "Unauthorized"}'),
        (insufficient_quota(), 401, "usage limit reached"),
        (status(429), 429, '"code": "1300"'),
        (status(500), 500, "internal_server_error"),
        (status(503), 503, '"code": "3505"'),
    ],
)
def test_refusal_in_mistrals_words(
    provider: MeteredProvider, mistral: Mistral, fault: Fault, answered: int, words: str
) -> None:
    """A refused call raises the SDK's own error with Mistral's body, and is not billed."""
    provider.fail("outline", fault)
    with pytest.raises(errors.MistralError) as caught:
        mistral.chat.complete(**ASK)
    assert caught.value.status_code == answered
    assert words in caught.value.body
    assert (provider.billed(), provider.received()) == (0, 1)


def test_error_within_a_stream(provider: MeteredProvider, mistral: Mistral) -> None:
    """A stream can end in an error after status 200."""
    provider.fail("outline", error_event(after_events=2))
    with mistral.chat.stream(**ASK) as stream, pytest.raises(errors.MistralError):
        list(stream)
    assert (provider.requests[0].status, provider.billed()) == (200, 1)
