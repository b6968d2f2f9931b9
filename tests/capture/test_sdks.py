"""Each SDK's call is paid for once, whatever the endpoint and the colour."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from tests.capture.asking import ASK, chat, client_for, message, plain
from tests.capture.conftest import Batch

import payonce
from payonce.model import Call, CallState
from payonce.testing import MeteredProvider


@pytest.mark.parametrize("endpoint", list(ASK))
def test_an_answer_is_paid_for_once(
    app: payonce.Payonce, provider: MeteredProvider, endpoint: str
) -> None:
    """The delivery after a failure replays what was paid for, equal in each field."""
    with client_for(endpoint, provider) as client:
        first, second = Batch(app, lambda: plain(ASK[endpoint](client))).twice()
    assert provider.billed("outline") == 1
    assert first == second


@pytest.mark.parametrize("endpoint", list(ASK))
def test_an_awaited_answer_is_paid_for_once(
    app: payonce.Payonce, provider: MeteredProvider, endpoint: str
) -> None:
    """The same through the asynchronous clients."""

    async def main() -> list[Any]:
        async with client_for(endpoint, provider, awaits=True) as client:

            async def work() -> Any:
                return plain(await ASK[endpoint](client))

            return await Batch(app, work).atwice()

    first, second = asyncio.run(main())
    assert provider.billed("outline") == 1
    assert first == second


@pytest.mark.parametrize("endpoint", list(ASK))
def test_usage_and_model_are_on_the_receipt(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Callable[[], list[Call]],
    endpoint: str,
) -> None:
    """The receipt has the provider's own usage object and the model that answered."""
    with client_for(endpoint, provider) as client:
        assert Batch(app, lambda: plain(ASK[endpoint](client)), failures=0).deliver() is None
    (call,) = calls()
    (billed,) = provider.bill
    assert call.state is CallState.PAID
    assert call.model == billed.model
    assert call.usage is not None
    assert billed.input_tokens in (call.usage.get("input_tokens"), call.usage.get("prompt_tokens"))


def test_a_clients_age_does_not_matter(
    gpt: openai.OpenAI, provider: MeteredProvider, store: Any
) -> None:
    """A client that was built, and used, before the capture is captured like any other."""
    chat(gpt, "[before] Hello.")
    app = payonce.Payonce(f"sqlite:///{store}", version="1")
    with app.capture():
        Batch(app, lambda: plain(chat(gpt))).twice()
    app.close()
    assert provider.billed("outline") == 1


def test_identical_prompts_are_told_apart(app: payonce.Payonce, provider: MeteredProvider) -> None:
    """Five equal calls at the same time are five receipts, and the same five answers again."""

    async def main() -> list[Any]:
        async with client_for("chat", provider, awaits=True) as client:

            async def work() -> list[str]:
                answers = await asyncio.gather(*(chat(client) for _ in range(5)))
                return sorted(answer.id for answer in answers)

            return await Batch(app, work).atwice()

    first, second = asyncio.run(main())
    assert provider.billed("outline") == 5
    assert len(set(first)) == 5
    assert first == second


def test_raw_responses_are_replayed(app: payonce.Payonce, provider: MeteredProvider) -> None:
    """`with_raw_response` and `with_streaming_response` get the same bytes and request id again."""

    def work() -> Any:
        messages: Any = [{"role": "user", "content": "[outline] Raw."}]
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=messages)
        with client.chat.completions.with_streaming_response.create(
            model="gpt-4o", messages=messages
        ) as streaming:
            return raw.http_response.content, raw.request_id, b"".join(streaming.iter_bytes())

    with client_for("chat", provider) as client:
        first, second = Batch(app, work).twice()
    assert provider.billed("outline") == 2
    assert first == second


@pytest.mark.parametrize("endpoint", ["chat", "messages"])
def test_compressed_answers_are_replayed(
    app: payonce.Payonce, calls: Callable[[], list[Call]], endpoint: str
) -> None:
    """A gzipped answer is kept as it came, and its usage is read nevertheless."""
    with MeteredProvider(gzip=True) as provider, client_for(endpoint, provider) as client:
        first, second = Batch(app, lambda: plain(ASK[endpoint](client))).twice()
        assert provider.billed("outline") == 1
    assert first == second
    assert calls()[0].usage


def test_a_rejected_answer_is_asked_for_again(
    app: payonce.Payonce, provider: MeteredProvider, calls: Callable[[], list[Call]]
) -> None:
    """`reject` finds the receipt of an SDK's answer by its id, or by a text out of it."""

    def work() -> list[str]:
        by_id = chat(client)
        payonce.reject(by_id)
        by_text = chat(client)
        payonce.reject(by_text.choices[0].message.content)
        return [by_id.id, by_text.id, chat(client).id]

    with client_for("chat", provider) as client:
        batch = Batch(app, work, failures=0)
        assert batch.deliver() is None
    assert provider.billed("outline") == len(set(batch.seen[0])) == 3
    assert [call.rejected for call in calls()] == [True, True, False]


def test_a_streamed_answer_can_be_rejected_by_its_text(
    app: payonce.Payonce, provider: MeteredProvider, calls: Callable[[], list[Call]]
) -> None:
    """The text of a stream is known as a whole, also when it is a replayed one."""

    def read() -> str:
        return "".join(c.choices[0].delta.content or "" for c in chat(client, stream=True))

    def work() -> None:
        text = read()
        if batch.seen:
            payonce.reject(text)
            assert read() != text

    with client_for("chat", provider) as client:
        batch = Batch(app, work)
        batch.twice()
    assert provider.billed("outline") == 2
    assert [call.rejected for call in calls()] == [True, False]


def test_an_answer_that_was_rejected_too_often_is_told_of(
    app: payonce.Payonce, provider: MeteredProvider, claude: anthropic.Anthropic
) -> None:
    """After the last resample the SDK lets payonce's own error through, without retries."""

    def work() -> None:
        for _ in range(3):
            payonce.reject(message(claude))
        with pytest.raises(payonce.Rejected):
            message(claude)

    assert Batch(app, work, failures=0).deliver() is None
    assert provider.billed("outline") == 3


def test_other_requests_pass_through(
    app: payonce.Payonce,
    provider: MeteredProvider,
    gpt: openai.OpenAI,
    claude: anthropic.Anthropic,
) -> None:
    """Lists of models, unknown paths and token counts are sent each time, and not journaled."""

    def work() -> None:
        gpt.models.list()
        with pytest.raises(openai.NotFoundError):
            gpt.moderations.create(input="Hello.")
        claude.messages.count_tokens(
            model="claude-opus-5", messages=[{"role": "user", "content": "Hello."}]
        )

    Batch(app, work).twice()
    assert [seen.path for seen in provider.requests] == [
        "/v1/models",
        "/v1/moderations",
        "/v1/messages/count_tokens",
    ] * 2


def test_steps_and_captured_calls_nest(
    app: payonce.Payonce, provider: MeteredProvider, calls: Callable[[], list[Call]]
) -> None:
    """A captured call inside a step belongs to it, and is not sent again on its own."""

    @app.step
    def outline() -> str:
        return str(chat(client).choices[0].message.content)

    with client_for("chat", provider) as client:
        first, second = Batch(app, outline).twice()
    assert provider.billed("outline") == 1
    assert first == second
    step, captured = calls()
    assert captured.parent_id == step.id
