"""What was found by trying odd clients, odd endpoints and odd endings; each was paid twice."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from tests.capture.asking import CLAUDE, chat, client_for, respond
from tests.capture.conftest import Batch

import payonce
from payonce.model import Call, CallState
from payonce.testing import MeteredProvider, drop

Calls = Callable[[], list[Call]]


class Provider:
    """A provider inside of a client's transport: it counts what it answers, whatever is asked."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def http(self) -> httpx2.Client:
        """An HTTP client that reaches it."""
        return httpx2.Client(transport=httpx2.MockTransport(self._answer), follow_redirects=True)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        answer.stream = httpx2.ByteStream(answer.content)
        return answer


def events(*data: dict[str, Any]) -> httpx2.Response:
    """A stream of events."""
    body = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in data)
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)


def gpt(provider: Provider) -> openai.OpenAI:
    """OpenAI's client, in front of a provider."""
    return openai.OpenAI(api_key="sk-of-nobody", http_client=provider.http(), max_retries=0)


def test_a_stream_left_before_its_client_is_closed_is_kept_whole(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gate: threading.Event
) -> None:
    """Leaving a loop inside `with OpenAI()` closes the connection: the rest is read first."""

    def work() -> str:
        with client_for("chat", provider) as client:
            for chunk in chat(client, stream=True):
                gate.set()
                return str(chunk.id)
        return ""

    first, second = Batch(app, work).twice()
    assert first == second
    assert provider.billed("outline") == 1
    assert [call.state for call in calls()] == [CallState.PAID]


def test_an_awaited_stream_left_before_its_client_is_closed_is_kept_whole(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gate: threading.Event
) -> None:
    """The same for `async with AsyncOpenAI()`."""

    async def work() -> str:
        async with client_for("chat", provider, awaits=True) as client:
            async for chunk in await chat(client, stream=True):
                gate.set()
                return str(chunk.id)
        return ""

    first, second = asyncio.run(Batch(app, work).atwice())
    assert first == second
    assert provider.billed("outline") == 1
    assert [call.state for call in calls()] == [CallState.PAID]


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_a_plain_client_that_is_closed_leaves_nothing_unread(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, module: Any
) -> None:
    """The clients of httpx and httpx2 close in two ways, by `with` and by `close()`."""
    app.capture(hosts=["127.0.0.1"])
    body = {"model": "m", "messages": [{"role": "user", "content": "[outline]"}], "stream": True}

    def asked(client: Any) -> Any:
        request = client.build_request("POST", f"{provider.openai_url}/chat/completions", json=body)
        return client.send(request, stream=True)

    def work() -> None:
        with module.Client() as client:
            asked(client)
        client = module.Client()
        asked(client)
        client.close()

    Batch(app, work).twice()
    assert provider.billed("outline") == 2
    assert [call.state for call in calls()] == [CallState.PAID] * 2


def test_a_connection_that_broke_under_aiohttp_is_in_doubt(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls
) -> None:
    """OpenAI's aiohttp client calls it a connect timeout; the request was sent and billed."""
    pytest.importorskip("aiohttp")
    provider.fail("outline", drop())

    async def work() -> Any:
        http = openai.DefaultAioHttpClient()
        key, url = "sk-metered", provider.openai_url
        async with openai.AsyncOpenAI(base_url=url, api_key=key, http_client=http) as client:
            return await respond(client)

    told = asyncio.run(Batch(app, work, failures=0).adeliver())
    assert isinstance(told, payonce.RetryLater)
    assert told.paid == "unknown"
    assert provider.billed("outline") == 1
    assert [call.state for call in calls()] == [CallState.IN_DOUBT]


def test_a_refused_connection_under_aiohttp_is_not_billed(
    app: payonce.Payonce, calls: Calls
) -> None:
    """What never left is released, and the SDK may send it again."""
    pytest.importorskip("aiohttp")

    async def work() -> Any:
        http = openai.DefaultAioHttpClient()
        url = "http://127.0.0.1:1/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="sk", http_client=http) as client:
            return await respond(client.with_options(max_retries=1))

    asyncio.run(Batch(app, work, failures=0).adeliver())
    assert [call.state for call in calls()] == [CallState.RELEASED] * 2


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.images.generate(prompt="a bee").model_dump(),
        lambda client: client.images.edit(image=("a.png", b"png"), prompt="a bee").model_dump(),
        lambda client: client.audio.speech.create(model="tts", voice="v", input="bees").content,
        lambda client: client.audio.transcriptions.create(model="w", file=("a.mp3", b"m")).text,
        lambda client: (
            client.batches.create(
                input_file_id="f", endpoint="/v1/responses", completion_window="24h"
            ).id
        ),
    ],
    ids=["image", "edit", "speech", "transcription", "batch"],
)
def test_all_that_openai_bills_gets_a_receipt(
    app: payonce.Payonce, calls: Calls, ask: Callable[[openai.OpenAI], Any]
) -> None:
    """Images, audio and batches cost money as texts do."""
    answer = {"id": "made-1", "text": "bees", "created": 1, "data": []}
    provider = Provider(httpx2.Response(200, json=answer))

    def work() -> Any:
        with gpt(provider) as client:
            return ask(client)

    first, second = Batch(app, work).twice()
    assert first == second
    assert len(provider.asked) == 1
    assert [call.state for call in calls()] == [CallState.PAID]


def test_a_streamed_image_ends_with_its_last_event(app: payonce.Payonce, calls: Calls) -> None:
    """The events of images and audio have a finish of their own."""
    provider = Provider(
        events(
            {"type": "image_generation.partial_image", "b64_json": "aa", "partial_image_index": 0},
            {"type": "image_generation.completed", "b64_json": "ab", "usage": {"input_tokens": 1}},
        )
    )

    def work() -> list[str]:
        with gpt(provider) as client:
            return [e.type for e in client.images.generate(prompt="a bee", stream=True)]

    first, second = Batch(app, work).twice()
    assert first == second
    assert [call.state for call in calls()] == [CallState.PAID]


@pytest.mark.parametrize("streams", [False, True])
def test_claude_on_vertex_gets_a_receipt(app: payonce.Payonce, calls: Calls, streams: bool) -> None:
    """The SDK's client for Vertex asks other paths, and is Anthropic's all the same."""
    whole = httpx2.Response(200, json={"id": "msg-1", "content": [], "usage": {"input_tokens": 1}})
    parts = events({"type": "message_stop"})
    provider = Provider(parts if streams else whole)

    def work() -> None:
        with anthropic.AnthropicVertex(
            access_token="t", project_id="p", region="r", http_client=provider.http()
        ) as client:
            messages: Any = [{"role": "user", "content": "bees"}]
            answer = client.messages.create(
                model=CLAUDE, max_tokens=9, messages=messages, stream=streams
            )
            list(answer)

    Batch(app, work).twice()
    assert len(provider.asked) == 1
    assert [(call.name.split()[0], call.state) for call in calls()] == [("anthropic", "paid")]


def test_a_batch_of_messages_is_anthropics(app: payonce.Payonce, calls: Calls) -> None:
    """A path that ends like one of OpenAI's too belongs to whom it names in full."""
    provider = Provider(httpx2.Response(200, json={"id": "batch-1"}))

    def work() -> str:
        with anthropic.Anthropic(api_key="k", http_client=provider.http()) as client:
            return client.messages.batches.create(requests=[]).id

    assert Batch(app, work).twice() == ["batch-1", "batch-1"]
    assert provider.asked == ["/v1/messages/batches"]
    assert [call.name.split()[0] for call in calls()] == ["anthropic"]


def test_a_gateway_that_adds_a_slash_is_captured(app: payonce.Payonce, calls: Calls) -> None:
    """A redirect to the same path with a slash at its end leads to the same billed call."""
    there = "/v1/responses/"
    provider = Provider(
        httpx2.Response(307, headers={"location": there}), httpx2.Response(200, json={"id": "r"})
    )

    def work() -> Any:
        with gpt(provider) as client:
            return client.responses.create(model="m", input="bees").id

    Batch(app, work, failures=0).deliver()
    assert provider.asked == ["/v1/responses", there]
    assert [call.state for call in calls()] == [CallState.RELEASED, CallState.PAID]


def test_a_named_host_may_carry_the_usual_port(app: payonce.Payonce, calls: Calls) -> None:
    """`host:443` is the port that an https URL has without saying so."""
    app.capture(hosts=["billed.example:443"])
    provider = Provider(httpx2.Response(200, json={}))

    def work() -> int:
        with provider.http() as client:
            return client.post("https://billed.example/charge", json={}).status_code

    assert Batch(app, work).twice() == [200, 200]
    assert len(provider.asked) == 1


def test_a_replayed_answer_has_its_length(
    app: payonce.Payonce, provider: MeteredProvider, client: Callable[..., Any]
) -> None:
    """Code that reads the length of an answer reads the same of a replayed one."""

    def work() -> str:
        raw = client("responses").responses.with_raw_response
        return str(raw.create(model="m", input="[outline]").headers["content-length"])

    first, second = Batch(app, work).twice()
    assert first == second


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"hosts": "api.example.com"}, r'hosts=\["api.example.com"\]'),
        ({"hosts": ["https://api.example.com"]}, r"https://api\.example\.com"),
        ({"outside": "raise"}, '"pass" or "refuse"'),
    ],
)
def test_what_would_capture_nothing_is_refused(
    app: payonce.Payonce, options: dict[str, Any], says: str
) -> None:
    """A text in place of a list, a URL in place of a host, a word that isn't known."""
    with pytest.raises(payonce.ConfigError, match=says):
        app.capture(**options)
