"""What an SDK would send again by itself: the bill decides whether it may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from tests.capture.asking import chat, client_for, message, plain
from tests.capture.conftest import Batch

import payonce
from payonce.model import Call, CallState
from payonce.testing import MeteredProvider, cut, drop, error_event, insufficient_quota, status
from payonce.testing.faults import stall

Calls = Callable[[], list[Call]]
ASKS = pytest.mark.parametrize("ask", [chat, message])


Client = Callable[..., Any]


def _endpoint(ask: Callable[..., Any]) -> str:
    return "messages" if ask is message else "chat"


@ASKS
@pytest.mark.parametrize("fault", [drop(), cut()], ids=["dropped", "cut"])
def test_a_dropped_connection_is_billed_once(
    app: payonce.Payonce,
    client: Client,
    provider: MeteredProvider,
    calls: Calls,
    ask: Callable[..., Any],
    fault: Any,
) -> None:
    """The SDK doesn't send again in silence; the next delivery repeats the call, once."""
    provider.fail("outline", fault)
    batch = Batch(app, lambda: plain(ask(client(_endpoint(ask)))), failures=0)
    assert isinstance(batch.deliver(), payonce.RetryLater)
    assert provider.billed("outline") == 1
    assert batch.deliver() is None
    assert provider.billed("outline") == 2
    assert [call.state for call in calls()] == [CallState.IN_DOUBT, CallState.PAID]


@ASKS
def test_a_read_timeout_is_billed_once(
    app: payonce.Payonce,
    client: Client,
    provider: MeteredProvider,
    calls: Calls,
    ask: Callable[..., Any],
) -> None:
    """A timeout becomes an error that the SDK raises at once, and that says what happened."""
    provider.fail("outline", stall(2.0))
    hasty = client(_endpoint(ask), timeout=0.3)

    def work() -> None:
        kind = anthropic.APIStatusError if ask is message else openai.APIStatusError
        with pytest.raises(kind, match="may have been billed") as caught:
            ask(hasty)
        assert caught.value.status_code == 504

    Batch(app, work, failures=0).deliver()
    assert provider.billed("outline") == provider.received("outline") == 1
    (call,) = calls()
    assert (call.state, call.reason) == (CallState.IN_DOUBT, "ReadTimeout")


def test_an_awaited_drop_is_billed_once(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls
) -> None:
    """The same through the asynchronous clients."""
    provider.fail("outline", drop())

    async def main() -> None:
        async with client_for("chat", provider, awaits=True) as client:

            async def work() -> None:
                await chat(client)

            assert isinstance(await Batch(app, work).adeliver(), payonce.RetryLater)

    asyncio.run(main())
    assert provider.billed("outline") == 1
    assert [call.reason for call in calls()] == ["RemoteProtocolError"]


@ASKS
@pytest.mark.parametrize("refusal", [429, 503, 529, 409])
def test_what_is_not_billed_may_be_sent_again(
    app: payonce.Payonce,
    client: Client,
    provider: MeteredProvider,
    calls: Calls,
    ask: Callable[..., Any],
    refusal: int,
) -> None:
    """The SDK's own retries go on as its user expects, and each send is counted."""
    provider.fail("outline", status(refusal, headers={"retry-after-ms": "1"}), times=2)
    batch = Batch(app, lambda: plain(ask(client(_endpoint(ask)))))
    first, second = batch.twice()
    assert first == second
    assert provider.received("outline") == 3
    assert provider.billed("outline") == 1
    assert [call.state for call in calls()] == ["released", "released", "paid"]
    assert [call.occurrence for call in calls()] == [0, 0, 0]


def test_a_used_up_quota_is_sent_once(
    app: payonce.Payonce, client: Client, provider: MeteredProvider, calls: Calls
) -> None:
    """A refusal that repetition can't help is not repeated, and parks the run."""
    provider.fail("outline", insufficient_quota(), times=None)
    told = Batch(app, lambda: plain(chat(client("chat")))).deliver()
    assert isinstance(told, payonce.Parked)
    assert provider.received("outline") == 1
    assert [call.state for call in calls()] == [CallState.RELEASED]


@ASKS
@pytest.mark.parametrize("error", [500, 502, 504, 408])
def test_an_error_that_may_be_billed_is_sent_once_a_delivery(
    app: payonce.Payonce,
    client: Client,
    provider: MeteredProvider,
    calls: Calls,
    ask: Callable[..., Any],
    error: int,
) -> None:
    """A gateway may fail after the provider has answered: the call is in doubt."""
    provider.fail("outline", status(error, billed=True))
    batch = Batch(app, lambda: plain(ask(client(_endpoint(ask)))), failures=0)
    assert isinstance(batch.deliver(), payonce.NotDone)
    assert provider.received("outline") == provider.billed("outline") == 1
    (call,) = calls()
    assert (call.state, call.reason) == (CallState.IN_DOUBT, f"answered HTTP {error}")


def test_a_call_in_doubt_is_not_repeated_by_the_job_itself(
    app: payonce.Payonce, client: Client, provider: MeteredProvider
) -> None:
    """A retry loop in the job, with `except Exception`, can't pay twice in one attempt."""
    provider.fail("outline", drop(), times=None)
    gpt = client("chat")

    def work() -> None:
        for _ in range(5):
            try:
                chat(gpt)
            except Exception:
                continue

    assert isinstance(Batch(app, work).deliver(), payonce.NotDone)
    assert provider.billed("outline") == 1


def test_an_error_in_place_of_an_answer_is_no_receipt(
    app: payonce.Payonce, client: Client, provider: MeteredProvider, calls: Calls
) -> None:
    """Status 200 with an error object reaches the caller, but is never replayed."""
    provider.fail("outline", status(200, code="server_error"))
    Batch(app, lambda: chat(client("chat")), failures=0).deliver()
    (call,) = calls()
    assert call.state is CallState.IN_DOUBT
    assert call.reason == "answered HTTP 200 with an error: server_error"


def test_a_connection_that_was_never_made_is_not_billed(
    app: payonce.Payonce, client: Client, provider: MeteredProvider, calls: Calls
) -> None:
    """The SDK tries again as ever, then raises its own error; nothing is in doubt."""
    gpt = client("chat", max_retries=1)
    provider.stop()

    def work() -> None:
        with pytest.raises(openai.APIConnectionError):
            chat(gpt)

    assert Batch(app, work, failures=0).deliver() is None
    assert [(call.state, call.reason) for call in calls()] == [("released", "ConnectError")] * 2


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_a_plain_client_sees_its_own_exception(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, module: Any
) -> None:
    """Only an SDK that would send again is told otherwise; others get what was raised."""
    provider.fail("outline", drop())
    app.capture(hosts=[provider.url.removeprefix("http://")])
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[outline] Plain."}]}

    def work() -> None:
        with module.Client() as client, pytest.raises(module.RemoteProtocolError):
            client.post(f"{provider.openai_url}/chat/completions", json=body)

    Batch(app, work, failures=0).deliver()
    assert [call.state for call in calls()] == [CallState.IN_DOUBT]


def test_an_error_event_in_an_unstreamed_answer_is_in_doubt(
    app: payonce.Payonce, client: Client, provider: MeteredProvider, calls: Calls
) -> None:
    """Where nothing streams the same failure is a 500, and it is sent once."""
    provider.fail("outline", error_event())
    Batch(app, lambda: chat(client("chat"))).deliver()
    assert [call.reason for call in calls()] == ["answered HTTP 500"]
