"""What goes over aiohttp is captured at the session, and replayed by aiohttp's own machinery."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from tests.capture.asking import PROMPT
from tests.capture.conftest import Batch

import payonce
from payonce.model import Call, CallState
from payonce.testing import MeteredProvider, cut, drop, stall, status

BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": PROMPT}]}
STREAM = {**BODY, "stream": True}
Calls = Callable[[], list[Call]]
Use = Callable[[aiohttp.ClientSession, str], Awaitable[Any]]


@pytest.fixture
def app(store: Any, provider: MeteredProvider) -> Any:
    """An app to whom the provider is a host that bills."""
    app = payonce.Payonce(f"sqlite:///{store}", version="1")
    with app.capture(hosts=[provider.url.removeprefix("http://")]):
        yield app
    app.close()


def twice(app: payonce.Payonce, provider: MeteredProvider, use: Use, **options: Any) -> list[Any]:
    """What a session sees in two deliveries."""

    async def main() -> list[Any]:
        async def work() -> Any:
            async with aiohttp.ClientSession(**options) as session:
                return await use(session, f"{provider.openai_url}/chat/completions")

        return await Batch(app, work).atwice()

    return asyncio.run(main())


WAYS_TO_SAY = {
    "json": {"json": BODY},
    "text": {"data": json.dumps(BODY), "headers": {"content-type": "application/json"}},
    "bytes": {"data": json.dumps(BODY).encode()},
}


@pytest.mark.parametrize("way", list(WAYS_TO_SAY))
def test_an_answer_is_paid_for_once(
    app: payonce.Payonce, provider: MeteredProvider, way: str
) -> None:
    """Body, text, JSON, status and headers are the same again, however the request is said."""

    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.post(url, **WAYS_TO_SAY[way]) as answer:
            return await answer.read(), await answer.text(), await answer.json(), answer.status

    first, second = twice(app, provider, use)
    assert provider.billed("outline") == 1
    assert first == second


READINGS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "content": lambda answer: answer.content.read(),
    "lines": lambda answer: _all(answer.content),
    "chunks": lambda answer: _all(answer.content.iter_chunked(7)),
    "any": lambda answer: _all(answer.content.iter_any()),
    "whole": lambda answer: answer.read(),
}


async def _all(pieces: Any) -> bytes:
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("reading", list(READINGS))
@pytest.mark.parametrize("body", [BODY, STREAM], ids=["whole", "stream"])
def test_a_body_can_be_read_in_each_way(
    app: payonce.Payonce, provider: MeteredProvider, reading: str, body: Any
) -> None:
    """A reader gets the same bytes from a live answer and from a kept one."""

    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.post(url, json=body) as answer:
            return await READINGS[reading](answer)

    first, second = twice(app, provider, use)
    assert provider.billed("outline") == 1
    assert first == second
    assert b"as paid for once" in first or b"once, " in first


def test_a_large_answer_is_replayed(app: payonce.Payonce) -> None:
    """Megabytes go through aiohttp's buffers, live and kept."""

    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.post(url, json=BODY) as answer:
            return len(await answer.read())

    with MeteredProvider(text=lambda ask, n: f"{n}" + "x" * 3_000_000) as provider:
        app.capture(hosts=[provider.url.removeprefix("http://")])
        first, second = twice(app, provider, use)
        assert provider.billed("outline") == 1
    assert first == second > 3_000_000


def test_a_compressed_answer_is_replayed(app: payonce.Payonce) -> None:
    """What aiohttp has unpacked is kept unpacked."""

    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.post(url, json=BODY) as answer:
            return await answer.json()

    with MeteredProvider(gzip=True) as provider:
        app.capture(hosts=[provider.url.removeprefix("http://")])
        first, second = twice(app, provider, use)
        assert provider.billed("outline") == 1
    assert first == second


def test_a_form_is_sent_and_known_again(app: payonce.Payonce, provider: MeteredProvider) -> None:
    """A body that can be read only once is read once, and reaches the provider whole."""

    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        form = aiohttp.FormData()
        form.add_field("file", b"\x00\x01", filename="a.wav", content_type="audio/wav")
        form.add_field("model", "whisper-1")
        async with session.post(url, data=form) as answer:
            return answer.status

    first, second = twice(app, provider, use)
    assert first == second == 400  # the metered chat endpoint wants JSON: it says so each time
    sent = [seen.headers for seen in provider.requests]
    assert len(sent) == 2
    assert all(each["content-type"].startswith("multipart/form-data; boundary=") for each in sent)
    assert all(int(each["content-length"]) > 100 for each in sent)


def test_a_stream_left_early_is_read_to_its_end(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls
) -> None:
    """The rest is paid for: it is kept, and the next delivery has it."""

    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.post(url, json=STREAM) as answer:
            return await answer.content.readline()

    first, second = twice(app, provider, use)
    assert provider.billed("outline") == 1
    assert first == second
    assert [call.state for call in calls()] == [CallState.PAID]


@pytest.mark.parametrize("fault", [drop(), cut(2)], ids=["drop", "cut"])
def test_a_broken_connection_is_in_doubt(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, fault: Any
) -> None:
    """The caller sees aiohttp's own error, and the next delivery repeats the call once."""
    seen: list[str] = []

    async def use(session: aiohttp.ClientSession, url: str) -> Any:
        async with session.post(url, json=STREAM) as answer:
            return await answer.read()

    provider.fail("outline", fault)

    async def main() -> None:
        async def work() -> None:
            async with aiohttp.ClientSession() as session:
                try:
                    await use(session, f"{provider.openai_url}/chat/completions")
                except aiohttp.ClientError as exc:
                    seen.append(type(exc).__name__)
                    raise

        batch = Batch(app, work, failures=0)
        assert isinstance(await batch.adeliver(), payonce.RetryLater)
        assert await batch.adeliver() is None

    asyncio.run(main())
    assert provider.billed("outline") == 2
    assert seen in (["ServerDisconnectedError"], ["ClientPayloadError"])
    assert [call.state for call in calls()] == [CallState.IN_DOUBT, CallState.PAID]


def test_a_timeout_is_in_doubt_and_not_repeated(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls
) -> None:
    """A loop of the caller's own that asks again is stopped by the journal."""
    provider.fail("outline", stall(20))

    async def main() -> Any:
        async def work() -> None:
            timeout = aiohttp.ClientTimeout(sock_read=0.3)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                for _ in range(3):
                    try:
                        await session.post(f"{provider.openai_url}/chat/completions", json=BODY)
                    except aiohttp.ServerTimeoutError:
                        continue

        return await Batch(app, work, failures=0).adeliver()

    assert isinstance(asyncio.run(main()), payonce.RetryLater)
    assert provider.billed("outline") == 1
    assert [call.state for call in calls()] == [CallState.IN_DOUBT]


@pytest.mark.parametrize("on_session", [True, False])
def test_raise_for_status_raises_as_ever(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, on_session: bool
) -> None:
    """A refusal raises where it is asked to, and is no doubt."""
    provider.fail("outline", status(429))
    on = {"raise_for_status": True}

    async def main() -> None:
        async def work() -> None:
            async with aiohttp.ClientSession(**(on if on_session else {})) as session:
                url = f"{provider.openai_url}/chat/completions"
                with pytest.raises(aiohttp.ClientResponseError):
                    await session.post(url, json=BODY, **({} if on_session else on))

        assert await Batch(app, work, failures=0).adeliver() is None

    asyncio.run(main())
    assert [call.state for call in calls()] == [CallState.RELEASED]


def test_without_a_run_nothing_is_touched(app: payonce.Payonce, provider: MeteredProvider) -> None:
    """The same session passes through outside of a run."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                url = f"{provider.openai_url}/chat/completions"
                async with session.post(url, json=BODY) as answer:
                    assert answer.status == 200

    asyncio.run(main())
    assert provider.billed("outline") == 2
