"""A stream is known in each provider's framing: to its end, cut, failing within, left early."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from tests.capture.asking import PROMPT
from tests.capture.conftest import Batch

import payonce
from payonce.model import Call, CallState
from payonce.testing import MeteredProvider, cut, error_event

CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
Calls = Callable[[], list[Call]]


@pytest.fixture(autouse=True)
def environ(provider: MeteredProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs find the provider."""
    for name, value in provider.environ().items():
        monkeypatch.setenv(name, value)


def gemini() -> Iterator[Any]:
    """google-genai: server-sent events without a last one."""
    from google import genai

    with genai.Client() as client:
        for chunk in client.models.generate_content_stream(
            model="gemini-2.5-flash", contents=PROMPT
        ):
            yield chunk.model_dump(mode="json", exclude={"sdk_http_response"})


def bedrock() -> Iterator[Any]:
    """boto3: Amazon's binary event stream."""
    import boto3

    messages = [{"role": "user", "content": [{"text": PROMPT}]}]
    with closing(boto3.client("bedrock-runtime")) as client:
        answer = client.converse_stream(modelId=CLAUDE, messages=messages)
        with closing(answer["stream"]) as stream:
            yield from stream


def bedrock_invoke() -> Iterator[Any]:
    """The same with the events of the model's own provider in it."""
    import boto3

    asked = {"max_tokens": 99, "messages": [{"role": "user", "content": PROMPT}]}
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", **asked})
    with closing(boto3.client("bedrock-runtime")) as client:
        answer = client.invoke_model_with_response_stream(modelId=CLAUDE, body=body)
        with closing(answer["body"]) as stream:
            yield from stream


def mistral() -> Iterator[Any]:
    """mistralai: OpenAI's chat."""
    from mistralai.client import Mistral

    keys = {"api_key": "metered", "server_url": os.environ["MISTRAL_SERVER_URL"]}
    messages: Any = [{"role": "user", "content": PROMPT}]
    with (
        Mistral(**keys) as client,
        client.chat.stream(model="mistral-small-latest", messages=messages) as events,
    ):
        for event in events:
            yield event.model_dump()


def cohere() -> Iterator[Any]:
    """cohere: events of its own."""
    import cohere

    messages: Any = [{"role": "user", "content": PROMPT}]
    with httpx.Client() as http:
        client = cohere.ClientV2(base_url=os.environ["CO_API_URL"], httpx_client=http)
        for event in client.chat_stream(model="command-a-03-2025", messages=messages):
            yield event.dict()


STREAMS = [gemini, bedrock, bedrock_invoke, mistral, cohere]
in_each_framing = pytest.mark.parametrize("stream", STREAMS, ids=lambda each: each.__name__)


@in_each_framing
def test_a_stream_has_its_model_and_usage(
    app: payonce.Payonce, calls: Calls, stream: Callable[[], Iterator[Any]]
) -> None:
    """The receipt of a stream has what the provider counted, whatever its framing."""
    first, second = Batch(app, lambda: list(stream())).twice()
    assert first == second
    (call,) = calls()
    assert call.state is CallState.PAID
    assert call.model
    assert call.usage


@in_each_framing
def test_a_stream_that_is_cut_is_in_doubt(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Calls,
    stream: Callable[[], Iterator[Any]],
) -> None:
    """Without its finish event an answer is none; the next delivery repeats the call once."""
    provider.fail("outline", cut(2))
    batch = Batch(app, lambda: list(stream()), failures=0)
    batch.deliver()
    assert calls()[0].state is CallState.IN_DOUBT
    assert provider.billed("outline") == 1


@in_each_framing
def test_an_error_within_a_stream_is_in_doubt(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Calls,
    stream: Callable[[], Iterator[Any]],
) -> None:
    """An error after status 200 is known in each provider's words."""
    provider.fail("outline", error_event(after_events=2))
    batch = Batch(app, lambda: list(stream()), failures=0)
    batch.deliver()
    (call,) = calls()
    assert call.state is CallState.IN_DOUBT
    assert "error event" in (call.reason or ""), call.reason
    assert provider.billed("outline") == 1


@in_each_framing
def test_a_stream_that_is_left_early_is_kept_whole(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Calls,
    stream: Callable[[], Iterator[Any]],
) -> None:
    """What the caller doesn't read is read for it; the next delivery can have all of it."""
    left: list[Any] = []

    def work() -> Any:
        events = stream()
        if left:
            return list(events)
        left.append(events)  # neither closed nor collected before the run ends
        return next(events)

    batch = Batch(app, work)
    assert isinstance(batch.deliver(), payonce.RetryLater)
    assert batch.deliver() is None
    assert provider.billed("outline") == 1
    assert len(batch.seen[1]) > 2
    assert batch.seen[0] == batch.seen[1][0]
    assert [call.state for call in calls()] == [CallState.PAID]
