"""google-genai against the metered provider: Gemini's formats and errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from payonce.testing import (
    Fault,
    MeteredProvider,
    call_tool,
    error_event,
    insufficient_quota,
    reply,
    status,
)

ASK: dict[str, Any] = {"model": "gemini-2.5-flash", "contents": "[outline] of a book on bees"}
SYSTEM = types.GenerateContentConfig(system_instruction="You write.")


# What aiohttp says of the way in which google-genai uses it.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")


class Course(BaseModel):
    """A structured answer."""

    chapters: int
    titles: list[str]


def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


def test_content(provider: MeteredProvider, gemini: genai.Client) -> None:
    """Generated content has text, finish and usage; the bill has the model of its path."""
    answer = gemini.models.generate_content(**ASK, config=SYSTEM)
    [billed] = provider.bill
    assert answer.text is not None
    assert answer.text.startswith("Answer 1 · You write. outline of a book")
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.prompt_token_count == billed.input_tokens
    assert answer.usage_metadata.candidates_token_count == billed.output_tokens
    assert answer.response_id
    assert (billed.provider, billed.model) == ("gemini", "gemini-2.5-flash")
    assert (billed.label, billed.stream) == ("outline", False)


def test_content_stream(provider: MeteredProvider, gemini: genai.Client) -> None:
    """A stream brings the text in pieces; the last has the finish, each the usage."""
    parts = list(gemini.models.generate_content_stream(**ASK))
    text = "".join(part.text or "" for part in parts)
    finishes = [part.candidates[0].finish_reason for part in parts if part.candidates]
    assert text.startswith("Answer 1 · outline of a book")
    assert finishes == [None] * (len(parts) - 1) + [types.FinishReason.STOP]
    assert parts[-1].usage_metadata is not None
    assert parts[-1].usage_metadata.candidates_token_count == provider.bill[0].output_tokens
    assert provider.bill[0].stream


def test_asynchronous_client(provider: MeteredProvider, gemini: genai.Client) -> None:
    """The asynchronous client, which goes through aiohttp, gets the same."""

    async def ask() -> tuple[Any, list[Any]]:
        async with gemini.aio as client:
            whole = await client.models.generate_content(**ASK)
            stream = await client.models.generate_content_stream(**ASK)
            return whole, [part async for part in stream]

    whole, parts = asyncio.run(ask())
    assert whole.text.startswith("Answer 1")
    assert "".join(part.text for part in parts) == whole.text.replace("1", "2", 1)
    assert provider.billed() == 2


def test_function_call(provider: MeteredProvider, gemini: genai.Client) -> None:
    """A function is called when a test wants it, and the loop ends in a text."""
    provider.fail("outline", call_tool("weather", {"city": "Oslo"}))
    chat = gemini.chats.create(
        model="gemini-2.5-flash", config=types.GenerateContentConfig(tools=[weather])
    )
    answer = chat.send_message("[outline] of a book on bees")
    assert answer.text is not None
    assert answer.text.startswith("Answer 2")
    assert provider.billed("outline") == 2
    said = str(chat.get_history())
    assert "rain in Oslo" in said


def test_function_that_is_demanded(gemini: genai.Client) -> None:
    """With mode ANY the function is called without a test's word."""
    config = types.GenerateContentConfig(
        tools=[weather],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(
                mode=types.FunctionCallingConfigMode.ANY
            )
        ),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    [call] = gemini.models.generate_content(**ASK, config=config).function_calls or []
    assert (call.name, list(call.args or {})) == ("weather", ["city"])


def test_structured_content(gemini: genai.Client) -> None:
    """A schema of the response is followed."""
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=Course
    )
    course = gemini.models.generate_content(**ASK, config=config).parsed
    assert isinstance(course, Course)
    assert (course.chapters, len(course.titles)) == (1, 1)


def test_embeddings(provider: MeteredProvider, gemini: genai.Client) -> None:
    """Embeddings have the size asked for and are billed by their input."""
    answer = gemini.models.embed_content(
        model="gemini-embedding-001",
        contents=["[vector] one", "two"],
        config=types.EmbedContentConfig(output_dimensionality=4),
    )
    first, second = answer.embeddings or []
    assert first.values is not None
    assert len(first.values) == 4
    assert first.values != second.values
    [billed] = provider.bill
    assert (billed.label, billed.output_tokens) == ("vector", 0)


def test_length_stops_content(provider: MeteredProvider, gemini: genai.Client) -> None:
    """A text that was cut off says so."""
    provider.fail("outline", reply("half an", finish="length"))
    [candidate] = gemini.models.generate_content(**ASK).candidates or []
    assert candidate.finish_reason is types.FinishReason.MAX_TOKENS


@pytest.mark.parametrize(
    ("fault", "answered", "name", "detail"),
    [
        (status(400), 400, "INVALID_ARGUMENT", ""),
        (status(400, code="API_KEY_INVALID"), 400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
        (status(400, code="FAILED_PRECONDITION"), 400, "FAILED_PRECONDITION", ""),
        (status(403), 403, "PERMISSION_DENIED", ""),
        (status(404), 404, "NOT_FOUND", ""),
        (insufficient_quota(), 402, "RESOURCE_EXHAUSTED", ""),
        (status(429, retry_after=7), 429, "RESOURCE_EXHAUSTED", "'retryDelay': '7s'"),
        (status(429, code="PerDay"), 429, "RESOURCE_EXHAUSTED", "RequestsPerDay"),
        (status(500), 500, "INTERNAL", ""),
        (status(503), 503, "UNAVAILABLE", ""),
        (status(504), 504, "DEADLINE_EXCEEDED", ""),
    ],
)
def test_refusal_in_geminis_words(
    provider: MeteredProvider,
    gemini: genai.Client,
    fault: Fault,
    answered: int,
    name: str,
    detail: str,
) -> None:
    """A refused call raises the SDK's own error with Google's status, and is not billed."""
    provider.fail("outline", fault)
    with pytest.raises(errors.APIError) as caught:
        gemini.models.generate_content(**ASK)
    assert (caught.value.code, caught.value.status) == (answered, name)
    assert detail in str(caught.value.details["error"].get("details"))
    assert (provider.billed(), provider.received()) == (0, 1)


def test_error_within_a_stream(provider: MeteredProvider, gemini: genai.Client) -> None:
    """A stream can end in an error after status 200."""
    provider.fail("outline", error_event(after_events=2))
    parts: list[Any] = []
    with pytest.raises(errors.ServerError, match="UNAVAILABLE"):
        parts.extend(gemini.models.generate_content_stream(**ASK))
    assert (provider.requests[0].status, provider.billed()) == (200, 1)


def test_what_is_no_request(provider: MeteredProvider, gemini: genai.Client) -> None:
    """An unknown path is refused in Google's words."""
    with pytest.raises(errors.ClientError) as caught:
        gemini.models.get(model="nobody")
    assert caught.value.status == "NOT_FOUND"
    assert provider.billed() == 0
