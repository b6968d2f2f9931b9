"""The official SDKs against the metered provider: what they parse, and what it bills."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from payonce.money import Money
from payonce.testing import MeteredProvider, Price, read_bill

CHAT: dict[str, Any] = {
    "model": "gpt-5",
    "messages": [
        {"role": "system", "content": "You write."},
        {"role": "user", "content": [{"type": "text", "text": "[outline] of a book on bees"}]},
    ],
}
RESPONSE: dict[str, Any] = {
    "model": "gpt-5",
    "instructions": "You write.",
    "input": "[chapter-1] of a book on bees",
}
MESSAGE: dict[str, Any] = {
    "model": "claude-opus-5",
    "max_tokens": 256,
    "system": "You write.",
    "messages": [{"role": "user", "content": "[title] of a book on bees"}],
}


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def provider(request: pytest.FixtureRequest) -> Iterator[MeteredProvider]:
    """A provider in this process, with and without compression."""
    with MeteredProvider(gzip=request.param) as provider:
        yield provider


def test_chat_completion(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A chat completion has text, usage and an id, and its bill has the same usage."""
    answer = client.chat.completions.create(**CHAT)
    [billed] = provider.bill
    assert answer.id.startswith("chatcmpl-")
    assert answer._request_id == "req_00000001"
    assert answer.choices[0].finish_reason == "stop"
    assert "book on bees" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == billed.input_tokens
    assert answer.usage.completion_tokens == billed.output_tokens
    assert (billed.label, billed.stream, billed.model) == ("outline", False, "gpt-5")


def test_chat_stream(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A chat stream brings the text in pieces, then its finish, then the usage asked for."""
    stream = client.chat.completions.create(
        **CHAT, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    [billed] = provider.bill
    assert text.startswith("Answer 1 · You write. outline of a book on bees")
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == billed.output_tokens
    assert billed.stream


def test_chat_stream_without_usage(client: openai.OpenAI) -> None:
    """A chat stream carries no usage unless it was asked for."""
    chunks = list(client.chat.completions.create(**CHAT, stream=True))
    assert [c.usage for c in chunks if c.usage is not None] == []
    assert all(c.choices for c in chunks)


def test_response(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A response has its text, its usage and an id."""
    answer = client.responses.create(**RESPONSE)
    [billed] = provider.bill
    assert answer.id.startswith("resp_")
    assert answer.status == "completed"
    assert "chapter-1 of a book" in answer.output_text
    assert answer.usage is not None
    assert answer.usage.input_tokens == billed.input_tokens
    assert answer.usage.output_tokens == billed.output_tokens
    assert billed.label == "chapter-1"


def test_response_stream(client: openai.OpenAI) -> None:
    """A response's events add up, in the SDK's own accumulator too."""
    with client.responses.stream(**RESPONSE) as stream:
        events = list(stream)
        final = stream.get_final_response()
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert [e.type for e in events][:2] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.completed"
    assert "".join(deltas) == final.output_text
    assert [e.sequence_number for e in events] == sorted(e.sequence_number for e in events)


def test_embeddings(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """Embeddings are the same as numbers and as base64, of the size asked for."""
    answer = client.embeddings.create(model="small", input=["one", "two"], dimensions=4)
    assert [len(one.embedding) for one in answer.data] == [4, 4]
    assert answer.data[0].embedding != answer.data[1].embedding
    assert provider.bill[0].output_tokens == 0
    raw = {"model": "small", "input": "one", "dimensions": 4, "encoding_format": "base64"}
    coded = httpx.post(f"{provider.openai_url}/embeddings", json=raw).json()["data"][0]
    assert len(struct.unpack("<4f", base64.b64decode(coded["embedding"]))) == 4


def test_message(provider: MeteredProvider, claude: anthropic.Anthropic) -> None:
    """A message has text, usage and an id."""
    answer = claude.messages.create(**MESSAGE)
    [billed] = provider.bill
    assert answer.id.startswith("msg_")
    assert answer._request_id == "req_00000001"
    assert answer.stop_reason == "end_turn"
    assert isinstance(answer.content[0], anthropic.types.TextBlock)
    assert "title of a book" in answer.content[0].text
    assert answer.usage.input_tokens == billed.input_tokens
    assert answer.usage.output_tokens == billed.output_tokens
    assert (billed.provider, billed.label) == ("anthropic", "title")


def test_message_stream(provider: MeteredProvider, claude: anthropic.Anthropic) -> None:
    """A message's events add up, in the SDK's own accumulator too."""
    with claude.messages.stream(**MESSAGE) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == "".join(b.text for b in final.content if b.type == "text")
    assert final.usage.output_tokens == provider.bill[0].output_tokens
    assert final.stop_reason == "end_turn"


def test_async_clients(provider: MeteredProvider) -> None:
    """The asynchronous clients get the same, streamed or not, many at a time."""

    async def ask() -> list[Any]:
        openai_url, claude_url = provider.openai_url, provider.anthropic_url
        async with (
            openai.AsyncOpenAI(base_url=openai_url, api_key="k", max_retries=0) as client,
            anthropic.AsyncAnthropic(base_url=claude_url, api_key="k", max_retries=0) as claude,
        ):
            answers = await asyncio.gather(
                *(client.chat.completions.create(**CHAT) for _ in range(8)),
                *(client.responses.create(**RESPONSE) for _ in range(8)),
                *(claude.messages.create(**MESSAGE) for _ in range(8)),
                client.embeddings.create(model="small", input="one"),
            )
            streamed = await client.chat.completions.create(**CHAT, stream=True)
            chunks = [chunk async for chunk in streamed]
            events = [e async for e in await client.responses.create(**RESPONSE, stream=True)]
            async with claude.messages.stream(**MESSAGE) as stream:
                message = await stream.get_final_message()
        return [*answers, chunks[0], events[0].response, message]

    ids = [answer.id for answer in asyncio.run(ask()) if hasattr(answer, "id")]
    assert provider.billed() == provider.received() == 28
    assert provider.billed("outline") == provider.billed("title") == 9
    assert [call.n for call in provider.bill] == list(range(1, 29))
    assert len(set(ids)) == 27


def test_connections_are_kept_alive(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """Several calls use one connection, streams and refusals included."""
    seen = []
    connect = provider._server.process_request  # type: ignore[union-attr]
    provider._server.process_request = lambda *a: (seen.append(a), connect(*a))  # type: ignore
    client.chat.completions.create(**CHAT)
    list(client.responses.create(**RESPONSE, stream=True))
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="gpt-5", messages=[])
    client.chat.completions.create(**CHAT)
    assert len(seen) == 1


def test_same_call_gets_a_new_answer_each_time(client: openai.OpenAI) -> None:
    """A call that is paid for twice can be told by its answer."""
    first, second = (client.responses.create(**RESPONSE).output_text for _ in range(2))
    assert first != second
    assert first.replace("Answer 1", "Answer 2") == second


def test_what_is_no_request_is_refused_in_the_providers_words(
    provider: MeteredProvider, client: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    """Malformed requests and unknown paths are errors, seen but never billed."""
    with pytest.raises(openai.BadRequestError, match="not empty"):
        client.chat.completions.create(model="gpt-5", messages=[])
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        claude.post("/v1/messages", cast_to=object, body={"model": "m", "messages": []})
    with pytest.raises(openai.NotFoundError):
        client.moderations.create(input="a bee")
    assert client.models.list().data == []
    assert [seen.status for seen in provider.requests] == [400, 400, 404, 200]
    assert provider.billed() == 0


def test_bill_is_priced_by_the_table(tmp_path: Path) -> None:
    """Each call costs its tokens' price in whole nano-dollars; the bill file says the same."""
    path = tmp_path / "bill.jsonl"
    prices = {"gpt-5": Price("1.25", "10"), "*": Price("0.001", "0.003")}
    with MeteredProvider(path, prices=prices, text=lambda ask, n: "x" * 400) as provider:
        ask = {"model": "gpt-5", "messages": [{"role": "user", "content": "y" * 400}]}
        url = f"{provider.openai_url}/chat/completions"
        httpx.post(url, json=ask, headers={"Idempotency-Key": "k1", "User-Agent": "me"})
        httpx.post(url, json={**ask, "model": "other"})
    assert [call.cost for call in provider.bill] == [Money(1_125_000), Money(400)]
    assert provider.cost == Money(1_125_400)
    assert (provider.bill[0].idempotency_key, provider.bill[0].user_agent) == ("k1", "me")
    assert read_bill(path) == provider.bill
    names = {"at", "n", "provider", "path", "model", "label", "prompt_sha", "input_tokens"}
    names |= {"output_tokens", "cost_nanos", "idempotency_key", "user_agent", "stream"}
    assert set(json.loads(path.read_text().splitlines()[0])) == names


def test_label_is_a_marker_or_the_beginning() -> None:
    """Without a marker the first 40 characters of the prompt are the label."""
    prompt = "Write an outline of a book on bees, please."
    with MeteredProvider() as provider:
        ask = {"model": "m", "input": [{"role": "user", "content": prompt}]}
        httpx.post(f"{provider.openai_url}/responses", json=ask)
        assert provider.billed(prompt[:40]) == provider.received(prompt[:40]) == 1


def test_requests_show_the_headers_that_came() -> None:
    """Each physical request is kept with its path and its headers in lower case."""
    with MeteredProvider() as provider:
        with openai.OpenAI(base_url=provider.openai_url, api_key="secret") as client:
            client.responses.create(**RESPONSE)
        [seen] = provider.requests
    assert (seen.path, seen.status) == ("/v1/responses", 200)
    assert seen.headers["authorization"] == "Bearer secret"
    assert seen.headers["x-stainless-retry-count"] == "0"


CHILD = """
import os, anthropic, boto3, cohere, groq, openai
from google import genai
from mistralai.client import Mistral
said = "[one] of each"
messages = [{"role": "user", "content": said}]
openai.OpenAI().responses.create(model="m", input=said)
anthropic.Anthropic().messages.create(model="m", max_tokens=9, messages=messages)
anthropic.AnthropicBedrock().messages.create(
    model="anthropic.m", max_tokens=9, messages=messages)
boto3.client("bedrock-runtime").converse(
    modelId="m", messages=[{"role": "user", "content": [{"text": said}]}])
gemini = genai.Client()
gemini.models.generate_content(model="m", contents=said)
Mistral(server_url=os.environ["MISTRAL_SERVER_URL"], api_key=os.environ["MISTRAL_API_KEY"]
    ).chat.complete(model="m", messages=messages)
cohere.ClientV2().chat(model="m", messages=messages)
groq.Groq().chat.completions.create(model="m", messages=messages)
"""


def test_environment_leads_sdks_to_the_provider() -> None:
    """Clients that take all from the environment call the provider."""
    with MeteredProvider() as provider:
        environment = {**os.environ, **provider.environ()}
        subprocess.run([sys.executable, "-c", CHILD], env=environment, check=True, timeout=120)
        paid = sorted(call.provider for call in provider.bill)
    assert provider.billed("one") == 8
    assert paid == sorted(
        ["openai", "anthropic", "bedrock", "bedrock", "gemini", "mistral", "cohere", "groq"]
    )


def test_stopped_provider_answers_nobody() -> None:
    """Stopping closes kept connections too; the bill can still be read."""
    with MeteredProvider() as provider, httpx.Client() as client:
        url = f"{provider.openai_url}/responses"
        client.post(url, json={"model": "m", "input": "one"})
        provider.stop()
        with pytest.raises(httpx.TransportError):
            client.post(url, json={"model": "m", "input": "two"})
    assert provider.billed() == 1
    with pytest.raises(RuntimeError, match="started before"):
        provider.start()
