"""Providers that speak OpenAI's format with an accent: Groq and Together."""

from __future__ import annotations

from typing import Any

import groq
import openai
import pytest

from payonce.testing import (
    Fault,
    MeteredProvider,
    call_tool,
    error_event,
    insufficient_quota,
    status,
)

ASK: dict[str, Any] = {
    "model": "llama-3.3-70b",
    "messages": [{"role": "user", "content": "[outline] of a book on bees"}],
}


def test_groq(provider: MeteredProvider, llama: groq.Groq) -> None:
    """Groq's chat has its usage with times, in a stream within `x_groq`."""
    answer = llama.chat.completions.create(**ASK)
    assert answer.usage is not None
    assert answer.usage.total_time
    chunks = list(llama.chat.completions.create(**ASK, stream=True))
    used: Any = chunks[-1].x_groq and chunks[-1].x_groq.usage
    assert used.completion_tokens == provider.bill[1].output_tokens
    provider.fail("outline", call_tool("weather", {"city": "Oslo"}))
    choice = llama.chat.completions.create(**ASK).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    text = llama.audio.transcriptions.create(file=("[clip].wav", b"x"), model="whisper-large-v3")
    assert "clip.wav" in text.text
    assert {call.provider for call in provider.bill} == {"groq"}
    assert (provider.billed("outline"), provider.billed("clip")) == (3, 1)


def test_together(provider: MeteredProvider, together: openai.OpenAI) -> None:
    """Together's chat, embeddings and images."""
    answer = together.chat.completions.create(**ASK)
    assert answer.id.startswith("o0")
    chunks = list(together.chat.completions.create(**ASK, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert together.embeddings.create(model="m2", input="[vector]").data[0].embedding
    assert together.images.generate(model="flux", prompt="[bee]").data
    assert [call.label for call in provider.bill] == ["outline", "outline", "vector", "bee"]
    assert {call.provider for call in provider.bill} == {"together"}


@pytest.mark.parametrize(
    ("fault", "answered", "kind", "code"),
    [
        (status(401), 401, "invalid_request_error", "invalid_api_key"),
        (insufficient_quota(), 400, "invalid_request_error", "blocked_api_access"),
        (status(413), 413, "invalid_request_error", "rate_limit_exceeded"),
        (status(429, code="tokens_per_day"), 429, "tokens", "rate_limit_exceeded"),
        (status(498), 498, "invalid_request_error", "capacity_exceeded"),
        (status(503), 503, "internal_server_error", None),
    ],
)
def test_refusal_in_groqs_words(
    provider: MeteredProvider,
    llama: groq.Groq,
    fault: Fault,
    answered: int,
    kind: str,
    code: str | None,
) -> None:
    """A refused call raises the SDK's own error with Groq's type and code."""
    provider.fail("outline", fault)
    with pytest.raises(groq.APIStatusError) as caught:
        llama.chat.completions.create(**ASK)
    body: Any = caught.value.body
    assert caught.value.status_code == answered
    assert (body["error"]["type"], body["error"].get("code")) == (kind, code)
    assert provider.billed() == 0


@pytest.mark.parametrize(
    ("fault", "answered", "kind"),
    [
        (status(401), 401, "invalid_request_error"),
        (insufficient_quota(), 402, "credit_limit"),
        (status(429), 429, "model_rate_limit"),
        (status(503), 503, "service_unavailable"),
    ],
)
def test_refusal_in_togethers_words(
    provider: MeteredProvider, together: openai.OpenAI, fault: Fault, answered: int, kind: str
) -> None:
    """A refused call has Together's type; used-up credit is a 402."""
    provider.fail("outline", fault)
    with pytest.raises(openai.APIStatusError) as caught:
        together.chat.completions.create(**ASK)
    assert (caught.value.status_code, caught.value.type) == (answered, kind)
    assert provider.billed() == 0


def test_error_within_a_stream(
    provider: MeteredProvider, llama: groq.Groq, together: openai.OpenAI
) -> None:
    """A stream can end in an error after status 200."""
    provider.fail("outline", error_event(after_events=2), times=2)
    with pytest.raises(groq.APIError):
        list(llama.chat.completions.create(**ASK, stream=True))
    with pytest.raises(openai.APIError):
        list(together.chat.completions.create(**ASK, stream=True))
    assert (provider.billed(), {seen.status for seen in provider.requests}) == (2, {200})
