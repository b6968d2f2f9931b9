"""Streams flow at once, are paid for once, and are kept whole however the caller leaves them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anthropic
import openai
import pytest
from tests.capture.asking import ASK, chat, client_for, message, respond
from tests.capture.conftest import Batch

import payonce
from payonce.capture import stream as streams
from payonce.model import Call, CallState
from payonce.testing import MeteredProvider, cut, error_event

Calls = Callable[[], list[Call]]
STREAMED = ["chat", "responses", "messages"]


def events(stream: Any) -> list[Any]:
    """All events of a stream as plain data."""
    return [event.model_dump() for event in stream]


@pytest.mark.parametrize("endpoint", STREAMED)
@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_a_stream_is_paid_for_once(
    app: payonce.Payonce, calls: Calls, endpoint: str, gzip: bool
) -> None:
    """The replayed stream has the same events; usage and model come from its last ones."""
    usage = {"stream_options": {"include_usage": True}} if endpoint == "chat" else {}

    def work() -> Any:
        return events(ASK[endpoint](client, stream=True, **usage))

    with MeteredProvider(gzip=gzip) as provider, client_for(endpoint, provider) as client:
        first, second = Batch(app, work).twice()
        assert provider.billed("outline") == 1
    assert len(first) > 3
    assert first == second
    if not gzip:
        (call,) = calls()
        assert call.model is not None
        assert call.usage is not None
        assert call.usage.get("output_tokens", call.usage.get("completion_tokens")) > 1


@pytest.mark.parametrize("endpoint", STREAMED)
def test_an_awaited_stream_is_paid_for_once(
    app: payonce.Payonce, provider: MeteredProvider, endpoint: str
) -> None:
    """The same through the asynchronous clients."""

    async def main() -> list[Any]:
        async with client_for(endpoint, provider, awaits=True) as client:

            async def work() -> list[Any]:
                stream = await ASK[endpoint](client, stream=True)
                return [event.model_dump() async for event in stream]

            return await Batch(app, work).atwice()

    first, second = asyncio.run(main())
    assert provider.billed("outline") == 1
    assert first == second


def test_the_sdks_stream_managers_work(
    app: payonce.Payonce,
    provider: MeteredProvider,
    gpt: openai.OpenAI,
    claude: anthropic.Anthropic,
) -> None:
    """`messages.stream` and `responses.stream` give the same final answer again."""

    def work() -> tuple[str, str]:
        ask: Any = {"model": "claude-opus-5", "max_tokens": 9}
        ask["messages"] = [{"role": "user", "content": "[outline] Go."}]
        with claude.messages.stream(**ask) as stream:
            text = stream.get_final_text()
        with gpt.responses.stream(model="gpt-4o", input="[outline] Go.") as stream:
            return text, stream.get_final_response().output_text

    first, second = Batch(app, work).twice()
    assert provider.billed("outline") == 2
    assert first == second


def test_tokens_are_not_held_back(
    app: payonce.Payonce, gpt: openai.OpenAI, gate: threading.Event
) -> None:
    """The caller has the first events while the provider is still writing the answer."""

    def work() -> int:
        stream = chat(gpt, stream=True)
        first = [next(stream) for _ in range(3)]
        assert not gate.is_set()
        gate.set()
        return len([*first, *stream])

    batch = Batch(app, work, failures=0)
    assert batch.deliver() is None
    assert batch.seen[0] > 3


def test_the_receipt_is_durable_before_the_finish_is_seen(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gpt: openai.OpenAI
) -> None:
    """At the moment the caller sees the finish event, the journal has the receipt."""

    def work() -> None:
        for chunk in chat(gpt, stream=True):
            if chunk.choices[0].finish_reason is not None:
                assert calls()[0].state is CallState.PAID

    assert Batch(app, work, failures=0).deliver() is None
    assert provider.billed("outline") == 1


def _leave(stream: Any) -> Any:
    with stream:
        return next(iter(stream)).model_dump()


def _forget(stream: Any) -> Any:
    return next(iter(stream)).model_dump()


LEFT_OPEN: list[Any] = []


def _never_close(stream: Any) -> Any:
    LEFT_OPEN.append(stream)
    return next(iter(stream.response.iter_raw()))


@pytest.mark.parametrize("leave", [_leave, _forget, _never_close])
@pytest.mark.parametrize("ask", [chat, respond, message])
def test_a_stream_that_is_left_early_is_kept_whole(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Calls,
    ask: Callable[..., Any],
    leave: Callable[[Any], Any],
) -> None:
    """Closed, forgotten or left open after its first event: it is paid for once, and kept."""
    client = client_for("messages" if ask is message else "chat", provider)
    seen = []

    def work() -> Any:
        seen.append(leave(ask(client, stream=True)))

    assert Batch(app, work, failures=0).deliver() is None
    (call,) = calls()
    assert call.state is CallState.PAID
    assert provider.billed("outline") == 1
    LEFT_OPEN.clear()
    client.close()


def test_an_awaited_stream_that_is_left_open_is_kept_whole(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls
) -> None:
    """A run that ends with an open stream reads it to its end first."""

    async def main() -> Any:
        async with client_for("chat", provider, awaits=True) as client:
            kept = []

            async def work() -> None:
                stream = await chat(client, stream=True)
                kept.append(stream)
                await anext(aiter(stream))

            return await Batch(app, work, failures=0).adeliver()

    assert asyncio.run(main()) is None
    (call,) = calls()
    assert call.state is CallState.PAID
    assert provider.billed("outline") == 1


def test_a_blocking_stream_in_an_awaited_job_is_kept_whole(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gpt: openai.OpenAI
) -> None:
    """The colour of a stream that was left open need not be the job's."""

    async def work() -> None:
        _never_close(chat(gpt, stream=True))

    assert asyncio.run(Batch(app, work, failures=0).adeliver()) is None
    LEFT_OPEN.clear()
    assert [call.state for call in calls()] == [CallState.PAID]


def test_an_awaited_stream_in_a_blocking_job_is_in_doubt(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gate: threading.Event
) -> None:
    """Where its event loop is gone, nothing more can be read of it."""

    async def leave() -> None:
        client = client_for("chat", provider, awaits=True)
        stream = await chat(client, stream=True)
        LEFT_OPEN.append(stream)
        await anext(stream.response.aiter_raw())
        await client._client._transport.aclose()  # the client is not closed, its connection is

    assert Batch(app, lambda: asyncio.run(leave()), failures=0).deliver() is None
    LEFT_OPEN.clear()
    assert [(call.state, call.reason) for call in calls()] == [("in_doubt", "cut by the caller")]


def test_a_rest_that_is_too_long_is_not_read(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Calls,
    gpt: openai.OpenAI,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is left of a stream is read within limits; beyond them the call is in doubt."""
    monkeypatch.setattr(streams, "DRAIN_BYTES", 1)

    def work() -> None:
        chat(gpt, stream=True).close()

    Batch(app, work, failures=0).deliver()
    (call,) = calls()
    assert call.state is CallState.IN_DOUBT
    assert "too long" in str(call.reason)


@pytest.mark.parametrize("ask", [chat, respond, message])
def test_a_stream_cut_by_the_provider_is_in_doubt(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, ask: Callable[..., Any]
) -> None:
    """The caller sees the SDK's own error; the next delivery asks again, and both are told."""
    provider.fail("outline", cut(after_events=2))
    client = client_for("messages" if ask is message else "chat", provider)
    batch = Batch(app, lambda: events(ask(client, stream=True)), failures=0)
    with client:
        assert isinstance(batch.deliver(), payonce.RetryLater)
        assert batch.deliver() is None
    assert provider.billed("outline") == 2
    doubt, paid = calls()
    assert (doubt.state, paid.state) == (CallState.IN_DOUBT, CallState.PAID)
    assert str(doubt.reason).startswith("cut: ")


def test_an_awaited_stream_cut_by_the_provider_is_in_doubt(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls
) -> None:
    """The same through the asynchronous client."""
    provider.fail("outline", cut(after_events=2))

    async def main() -> None:
        async with client_for("chat", provider, awaits=True) as client:

            async def work() -> list[Any]:
                return [event async for event in await chat(client, stream=True)]

            batch = Batch(app, work, failures=0)
            assert isinstance(await batch.adeliver(), payonce.RetryLater)
            assert await batch.adeliver() is None

    asyncio.run(main())
    assert [call.state for call in calls()] == [CallState.IN_DOUBT, CallState.PAID]


@pytest.mark.parametrize("endpoint", STREAMED)
@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_an_error_event_is_no_answer(
    app: payonce.Payonce, calls: Calls, endpoint: str, gzip: bool
) -> None:
    """An error after status 200 reaches the caller; what was billed for it is in doubt."""

    def work() -> list[Any]:
        return events(ASK[endpoint](client, stream=True))

    with MeteredProvider(gzip=gzip) as provider, client_for(endpoint, provider) as client:
        provider.fail("outline", error_event("overloaded_error"))
        Batch(app, work, failures=0).deliver()
        assert provider.billed("outline") == 1
    (call,) = calls()
    assert call.state is CallState.IN_DOUBT
    assert str(call.reason).startswith("answered HTTP 200 with an error")


def test_a_stream_that_is_cancelled_on_its_way_is_in_doubt(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gate: threading.Event
) -> None:
    """A task that is cancelled between two events leaves at once, and without a drain."""

    async def main() -> None:
        async with client_for("chat", provider, awaits=True) as client:
            begun = asyncio.Event()

            async def read() -> None:
                async with await chat(client, stream=True) as stream:
                    await anext(aiter(stream))
                    begun.set()
                    await asyncio.Event().wait()

            async def work() -> None:
                task = asyncio.create_task(read())
                await begun.wait()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

            await Batch(app, work, failures=0).adeliver()

    asyncio.run(main())
    (call,) = calls()
    assert (call.state, call.reason) == (CallState.IN_DOUBT, "cut by the caller")


def test_a_cancelled_call_is_in_doubt(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls
) -> None:
    """Cancellation is not made to wait; the call it cut is in doubt."""
    held = provider.hold("outline")

    async def main() -> None:
        async with client_for("chat", provider, awaits=True) as client:

            async def work() -> None:
                task = asyncio.create_task(chat(client, stream=True))
                await asyncio.to_thread(held.arrived.wait, 10)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

            await Batch(app, work, failures=0).adeliver()

    asyncio.run(main())
    held.release()
    assert [call.state for call in calls()] == [CallState.IN_DOUBT]
    assert calls()[0].reason == "CancelledError"
