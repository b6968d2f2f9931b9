"""However a caller leaves a stream, it is paid for once; and what is replayed is what came."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import openai
import pytest
from tests.capture.asking import ASK, chat, client_for
from tests.capture.conftest import Batch

import payonce
from payonce.model import Call, CallState
from payonce.testing import MeteredProvider

Calls = Callable[[], list[Call]]


def _raw(client: Any, endpoint: str) -> bytes:
    """A streamed answer's bytes as they come off the wire."""
    asked = ASK[endpoint](client, stream=True)
    return b"".join(asked.response.iter_raw())


@pytest.mark.parametrize("endpoint", ["chat", "responses", "messages"])
@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_a_replayed_stream_is_the_same_byte_for_byte(
    app: payonce.Payonce, endpoint: str, gzip: bool
) -> None:
    """With the provider gone the second attempt gets the very bytes that the first one got."""
    provider = MeteredProvider(gzip=gzip).start()
    seen = []

    def work() -> None:
        with client_for(endpoint, provider) as client:
            seen.append(_raw(client, endpoint))

    batch = Batch(app, work)
    assert isinstance(batch.deliver(), payonce.RetryLater)
    assert provider.billed("outline") == 1
    provider.stop()
    assert batch.deliver() is None
    first, second = seen
    assert first == second
    assert len(first) > 200


def test_a_replayed_stream_waits_for_nothing(
    app: payonce.Payonce, gpt: openai.OpenAI, gate: threading.Event
) -> None:
    """A stream that paused on its way doesn't pause again: all of it is there at once."""
    waited: list[int] = []

    def work() -> int:
        chunks = []
        for chunk in chat(gpt, stream=True):
            chunks.append(chunk)
            if not gate.is_set() and len(chunks) == 3:
                waited.append(len(chunks))
                gate.set()
        return len(chunks)

    batch = Batch(app, work)
    batch.deliver()
    gate.clear()
    assert batch.deliver() is None
    assert waited == [3, 3]
    assert batch.seen[0] == batch.seen[1] > 3


def _read_by_generator(stream: Any) -> Iterator[Any]:
    for event in stream:
        yield event.model_dump()


def test_a_generator_that_is_closed_leaves_its_stream_whole(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gpt: openai.OpenAI
) -> None:
    """A user's own generator over a stream may be closed after its first event."""

    def work() -> Any:
        events = _read_by_generator(chat(gpt, stream=True))
        first = next(events)
        events.close()
        return first

    first, second = Batch(app, work).twice()
    assert first == second
    assert provider.billed("outline") == 1
    assert [call.state for call in calls()] == [CallState.PAID]


async def _aread(stream: Any) -> AsyncIterator[Any]:
    async for event in stream:
        yield event.model_dump()


def test_an_awaited_generator_that_is_closed_leaves_its_stream_whole(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls
) -> None:
    """The same through the asynchronous client."""

    async def main() -> list[Any]:
        async with client_for("chat", provider, awaits=True) as client:

            async def work() -> Any:
                events = _aread(await chat(client, stream=True))
                first = await anext(events)
                await events.aclose()  # type: ignore[attr-defined]
                return first

            return await Batch(app, work).atwice()

    first, second = asyncio.run(main())
    assert first == second
    assert provider.billed("outline") == 1
    assert [call.state for call in calls()] == [CallState.PAID]


def test_a_thread_that_ends_leaves_its_stream_whole(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gpt: openai.OpenAI
) -> None:
    """A stream that was opened in a thread outlives it: the run reads the rest at its end."""
    opened: list[Any] = []

    def begin() -> None:
        opened.append(chat(gpt, stream=True))
        next(opened[-1].response.iter_raw())

    def work() -> None:
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join()

    assert Batch(app, work, failures=0).deliver() is None
    assert [call.state for call in calls()] == [CallState.PAID]
    assert provider.billed("outline") == 1


def test_a_stream_may_be_read_by_another_thread(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gpt: openai.OpenAI
) -> None:
    """Opened here and read there, it is one call, and its receipt is kept."""

    def work() -> list[str]:
        stream, ids = chat(gpt, stream=True), []
        thread = threading.Thread(target=lambda: ids.extend(chunk.id for chunk in stream))
        thread.start()
        thread.join()
        return ids

    first, second = Batch(app, work).twice()
    assert first == second
    assert len(first) > 3
    assert [call.state for call in calls()] == [CallState.PAID]


@pytest.mark.parametrize("closes", [True, False], ids=["closed", "left open"])
def test_a_time_limit_of_asyncio_cuts_a_stream(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Calls,
    gate: threading.Event,
    closes: bool,
) -> None:
    """A stream that is cut by `asyncio.timeout` is in doubt; the next attempt repeats it once."""
    left = [0.05, 60.0]

    async def read(client: Any, begun: asyncio.Event) -> int:
        stream, n = await chat(client, stream=True), 0
        try:
            async for _ in stream:
                n += 1
                begun.set()
        finally:
            if closes:
                await stream.close()
        return n

    async def main() -> Any:
        async with client_for("chat", provider, awaits=True) as client:

            async def work() -> int:
                begun = asyncio.Event()
                task = asyncio.ensure_future(read(client, begun))
                await begun.wait()
                async with asyncio.timeout(left.pop(0)):
                    return await task

            batch = Batch(app, work, failures=0)
            told = await batch.adeliver()
            gate.set()
            return told, await batch.adeliver(), batch.seen

    told, again, seen = asyncio.run(main())
    assert isinstance(told, payonce.RetryLater)
    assert again is None
    assert seen[0] > 3
    assert [call.state for call in calls()] == [CallState.IN_DOUBT, CallState.PAID]
    assert provider.billed("outline") == 2


def test_a_job_that_is_cancelled_leaves_its_stream_in_doubt(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gate: threading.Event
) -> None:
    """A worker that shuts down cancels its job: nothing is waited for, and nothing forgotten."""

    async def main() -> Any:
        async with client_for("chat", provider, awaits=True) as client:
            begun = asyncio.Event()

            async def work() -> int:
                n = 0
                async for _ in await chat(client, stream=True):
                    n += 1
                    begun.set()
                return n

            batch = Batch(app, work, failures=0)
            task = asyncio.ensure_future(batch.adeliver())
            await begun.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            gate.set()
            return await batch.adeliver()

    assert asyncio.run(main()) is None
    assert [call.state for call in calls()] == [CallState.IN_DOUBT, CallState.PAID]
