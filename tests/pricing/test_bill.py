"""What the journal says that calls cost is what the provider bills, to the nano."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

import payonce
from payonce.model import Call, CallState
from payonce.money import Money
from payonce.testing import MeteredProvider

PROMPT = "[outline] Write the outline of a course about prices, budgets and what they are good for."
ASKED = [{"role": "user", "content": PROMPT}]
HAIKU = "anthropic.claude-3-haiku-20240307-v1:0"
Calls = Callable[[], list[Call]]
Run = Callable[[Callable[[], Any]], Any]


def chat(**more: Any) -> None:
    """OpenAI's chat, whole."""
    from openai import OpenAI

    with OpenAI() as client:
        client.chat.completions.create(model="gpt-5-mini", messages=ASKED, **more)


def chat_stream() -> None:
    """The same streamed, with its usage asked for."""
    from openai import OpenAI

    with OpenAI() as client:
        list(
            client.chat.completions.create(
                model="gpt-4o", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
        )


def responses() -> None:
    """OpenAI's responses."""
    from openai import OpenAI

    with OpenAI() as client:
        client.responses.create(model="gpt-5-mini", input=PROMPT)


def responses_stream() -> None:
    """The same streamed."""
    from openai import OpenAI

    with OpenAI() as client:
        list(client.responses.create(model="gpt-5-mini", input=PROMPT, stream=True))


def embeddings() -> None:
    """OpenAI's embeddings."""
    from openai import OpenAI

    with OpenAI() as client:
        client.embeddings.create(model="text-embedding-3-small", input=PROMPT)


def message() -> None:
    """Anthropic's message."""
    from anthropic import Anthropic

    with Anthropic() as client:
        client.messages.create(model="claude-opus-5", max_tokens=99, messages=ASKED)


def message_stream() -> None:
    """The same streamed."""
    from anthropic import Anthropic

    with (
        Anthropic() as client,
        client.messages.stream(model="claude-opus-5", max_tokens=99, messages=ASKED) as stream,
    ):
        stream.get_final_message()


def gemini() -> None:
    """Google's."""
    from google import genai

    with genai.Client() as client:
        client.models.generate_content(model="gemini-2.5-flash", contents=PROMPT)


def gemini_stream() -> None:
    """The same streamed."""
    from google import genai

    with genai.Client() as client:
        list(client.models.generate_content_stream(model="gemini-2.5-flash", contents=PROMPT))


def converse() -> None:
    """Bedrock's converse."""
    import boto3

    with closing(boto3.client("bedrock-runtime")) as client:
        client.converse(modelId=HAIKU, messages=[{"role": "user", "content": [{"text": PROMPT}]}])


def converse_stream() -> None:
    """The same streamed."""
    import boto3

    with closing(boto3.client("bedrock-runtime")) as client:
        told = [{"role": "user", "content": [{"text": PROMPT}]}]
        with closing(client.converse_stream(modelId=HAIKU, messages=told)["stream"]) as stream:
            list(stream)


def invoke(stream: bool = False) -> None:
    """Bedrock's invocation of Anthropic's model."""
    import boto3

    body = json.dumps(
        {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": ASKED}
    )
    with closing(boto3.client("bedrock-runtime")) as client:
        if not stream:
            client.invoke_model(modelId=HAIKU, body=body)["body"].read()
            return
        answer = client.invoke_model_with_response_stream(modelId=HAIKU, body=body)
        with closing(answer["body"]) as events:
            list(events)


def invoke_stream() -> None:
    """The same streamed."""
    invoke(stream=True)


def mistral() -> None:
    """Mistral's chat, streamed."""
    import os

    from mistralai.client import Mistral

    with (
        Mistral(api_key="metered", server_url=os.environ["MISTRAL_SERVER_URL"]) as client,
        client.chat.stream(model="mistral-small-latest", messages=ASKED) as events,
    ):
        list(events)


def cohere() -> None:
    """Cohere's chat."""
    import os

    import cohere
    import httpx

    with httpx.Client() as http:
        client = cohere.ClientV2(base_url=os.environ["CO_API_URL"], httpx_client=http)
        client.chat(model="command-a-03-2025", messages=ASKED)


def groq() -> None:
    """Groq's chat, streamed: its usage comes in a place of its own."""
    from groq import Groq

    with Groq() as client:
        list(
            client.chat.completions.create(model="openai/gpt-oss-20b", messages=ASKED, stream=True)
        )


WAYS = [
    *(chat, chat_stream, responses, responses_stream, embeddings, message, message_stream),
    *(gemini, gemini_stream, converse, converse_stream, invoke, invoke_stream),
    *(mistral, cohere, groq),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_journal_has_the_bill(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, run: Run, way: Callable[[], None]
) -> None:
    """Given the provider's own table, each SDK's call costs what the provider has billed."""
    provider.tell(app.prices)
    run(way)
    (call,) = calls()
    assert call.cost_nanos is not None
    assert Money(call.cost_nanos, call.currency) == provider.cost
    assert provider.cost.nanos > 0


def test_the_journal_has_the_bill_of_many(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, run: Run
) -> None:
    """Asynchronous clients, side by side: the sum is the bill."""
    from anthropic import AsyncAnthropic
    from openai import AsyncOpenAI

    provider.tell(app.prices)

    async def work() -> None:
        async with AsyncOpenAI() as gpt, AsyncAnthropic() as claude:
            await asyncio.gather(
                *(gpt.responses.create(model="gpt-5-mini", input=f"[a] {n}") for n in range(5)),
                *(
                    claude.messages.create(
                        model="claude-opus-5",
                        max_tokens=9,
                        messages=[{"role": "user", "content": f"[b] {n}" * n}],
                    )
                    for n in range(1, 6)
                ),
            )

    asyncio.run(_in_a_run(app, work))
    costs = [call.cost_nanos for call in calls()]
    assert len(costs) == 10
    assert sum(cost or 0 for cost in costs) == provider.cost.nanos


async def _in_a_run(app: payonce.Payonce, work: Callable[[], Any]) -> None:
    @app.job(key="many")
    async def many() -> None:
        await work()

    await many()


def test_the_public_lists_are_used_by_default(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, run: Run
) -> None:
    """Without a word about prices the cost is that of the public list, by genai-prices itself."""
    from datetime import UTC, datetime

    from genai_prices import Usage, calc_price

    run(responses)
    (call,) = calls()
    (billed,) = provider.bill
    listed = calc_price(
        Usage(input_tokens=billed.input_tokens, output_tokens=billed.output_tokens),
        "gpt-5-mini",
        provider_id="openai",
        genai_request_timestamp=datetime.fromtimestamp(call.started_at, UTC),
    )
    assert call.cost_nanos == Money.of(listed.total_price, rounded=True).nanos > 0


def test_a_stream_without_usage_has_no_cost(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Calls,
    run: Run,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """OpenAI's chat stream tells no usage unless asked: it is paid, its cost unknown, not zero."""
    from openai import OpenAI

    def work() -> None:
        with OpenAI() as client:
            list(client.chat.completions.create(model="gpt-4.1", messages=ASKED, stream=True))

    run(work)
    (call,) = calls()
    assert (call.state, call.cost_nanos, provider.billed("outline")) == (CallState.PAID, None, 1)
    assert "include_usage" in caplog.text


def test_an_unknown_model_is_told_of_once(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Calls,
    run: Run,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its calls have no cost; one line names it and where its price is told."""
    from openai import OpenAI

    def work() -> None:
        with OpenAI() as client:
            for n in range(3):
                client.responses.create(model="our-own-13b", input=f"[outline] {n}")

    run(work)
    assert [call.cost_nanos for call in calls()] == [None] * 3
    told = [line.getMessage() for line in caplog.records if "our-own-13b" in line.getMessage()]
    assert len(told) == 1
    assert 'app.prices.add("our-own-13b"' in told[0]


def test_a_price_may_be_in_another_currency(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, run: Run
) -> None:
    """The receipt carries the currency, at once and when it is read again."""
    app.prices.add("gpt-5-mini", input="2 EUR", output="8 EUR")
    seen: list[Call] = []

    def work() -> None:
        from payonce.scope import current

        responses()
        scope = current()
        assert scope is not None
        seen.extend(c for each in scope._calls.values() for c in each)

    run(work)
    (call,) = calls()
    (billed,) = provider.bill
    nanos = billed.input_tokens * 2000 + billed.output_tokens * 8000
    assert (call.cost_nanos, call.currency) == (nanos, "EUR")
    assert [(each.cost_nanos, each.currency) for each in seen] == [(nanos, "EUR")]
    assert str(Money(nanos, "EUR")).endswith(" EUR")


def test_a_step_and_its_captured_calls_are_not_counted_twice(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, run: Run
) -> None:
    """A step that only made captured calls has no cost of its own, whatever its cost= says."""
    provider.tell(app.prices)

    @app.step(cost="1 USD")
    def outline() -> str:
        responses()
        return "outline"

    run(lambda: outline())
    assert sum(call.cost_nanos or 0 for call in calls()) == provider.cost.nanos


def test_a_step_has_the_price_that_it_was_told(
    app: payonce.Payonce, calls: Calls, run: Run
) -> None:
    """`app.prices` tells what a step costs whose cost= says nothing; cost= goes before it."""
    app.prices.add("send_*", provider="step", call="0.02 USD")

    @app.step(name="send_invoice")
    def send() -> str:
        return "sent"

    @app.step(name="send_letter", cost="0.85 EUR")
    def letter() -> str:
        return "sent"

    @app.step(name="other")
    def other() -> str:
        return "done"

    run(lambda: (send(), letter(), other()))
    told = {call.name: (call.cost_nanos, call.currency) for call in calls()}
    assert told == {
        "send_invoice": (20_000_000, "USD"),
        "send_letter": (850_000_000, "EUR"),
        "other": (None, "USD"),
    }
