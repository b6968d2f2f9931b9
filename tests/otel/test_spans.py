"""What spans say of deliveries, attempts, steps and calls, and what they leave out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from opentelemetry.trace import SpanKind, StatusCode
from tests.otel.asking import CLAUDE, MODEL, chat, message, outcome, word
from tests.otel.conftest import Telemetry

import payonce
from payonce.money import NANOS
from payonce.otel import OpenTelemetry
from payonce.testing import Fault, MeteredProvider


def test_a_delivery_is_a_tree(
    app: payonce.Payonce, telemetry: Telemetry, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """A delivery holds its attempt, that holds its steps and calls, each with its names."""

    @app.step(cost="0.02 USD")
    def invoice(customer: str) -> str:
        return f"invoice for {customer}"

    @app.job(key="course:{n}", name="course", tenant="{tenant}")
    def course(n: int, tenant: str) -> str:
        invoice("c-1")
        return str(chat(gpt).id)

    answer = course(42, "acme")
    delivery, attempt, step, call = telemetry.spans()
    assert [s.name for s in (delivery, attempt)] == ["process course", "attempt course"]
    assert (step.name.rpartition(".")[2], call.name) == ("invoice", f"chat {MODEL}")
    parents = [s.parent and s.parent.span_id for s in (attempt, step, call)]
    ids = [s.context.span_id for s in (delivery, attempt, attempt)]
    assert parents == ids
    assert [s.kind for s in (delivery, attempt, step, call)] == [SpanKind.INTERNAL] * 3 + [
        SpanKind.CLIENT
    ]
    whose = {"payonce.job": "course", "payonce.run.key": "course:42", "payonce.tenant": "acme"}
    for span in (delivery, attempt, step, call):
        assert whose.items() <= dict(span.attributes or {}).items()
        assert span.status.status_code is StatusCode.UNSET
    assert (step.attributes or {})["payonce.cost"] == 0.02
    [billed] = provider.bill
    told = dict(call.attributes or {})
    assert {name: told[name] for name in told if name.startswith("gen_ai")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": billed.model,
        "gen_ai.response.id": answer,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": billed.input_tokens,
        "gen_ai.usage.output_tokens": billed.output_tokens,
        "gen_ai.usage.cost.amount": billed.cost_nanos / NANOS,
        "gen_ai.usage.cost.currency": "USD",
        "gen_ai.usage.cost.source": "local",
    }
    assert (told["payonce.call.state"], told["payonce.call.send"]) == ("paid", 1)
    assert (told["payonce.cost"], told["payonce.currency"]) == (billed.cost_nanos / NANOS, "USD")
    assert told["payonce.attempt"] == 1


def test_a_failed_attempt_says_why(app: payonce.Payonce, telemetry: Telemetry) -> None:
    """Its verdict, the failure's kind, evidence and fingerprint; a redelivery has no attempt."""

    @app.job(key="course", name="course")
    def course() -> None:
        db = sqlite3.connect(":memory:")
        try:
            db.execute("INSERT INTO courses (outline) VALUES ('words of a customer')")
        finally:
            db.close()

    parked = outcome(course)
    assert isinstance(parked, payonce.Parked)
    assert word(course) == "Parked"
    [attempt] = telemetry.spans("attempt")
    first, second = telemetry.spans("process")
    told = dict(attempt.attributes or {})
    assert attempt.status.status_code is StatusCode.ERROR
    assert told["payonce.failure.kind"] == "deterministic"
    assert told["payonce.failure.fingerprint"] == parked.fingerprint
    assert told["payonce.verdict"] == "park"
    assert told["error.type"] == "OperationalError"
    assert told["payonce.failure.evidence"]
    verdicts = [(s.attributes or {})["payonce.verdict"] for s in (first, second)]
    assert verdicts == ["park", "park"]
    assert second.status.status_code is StatusCode.UNSET


def test_a_replay_is_an_event(
    app: payonce.Payonce, telemetry: Telemetry, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """A receipt that is handed out is an event on the attempt: no span, no tokens, no cost."""

    @app.step(cost="0.02 USD")
    def pay() -> int:
        return 1

    tries: list[int] = []

    @app.job(key="batch", name="batch", backoff=0.001)
    def batch() -> None:
        pay()
        chat(gpt)
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionResetError("the database is gone")

    assert [word(batch), word(batch)] == ["RetryLater", "done"]
    first, second = telemetry.spans("attempt")
    assert [event.name for event in first.events] == []
    replayed = [dict(event.attributes or {}) for event in second.events]
    assert [event.name for event in second.events] == ["payonce.replayed"] * 2
    assert all(told["payonce.replayed"] is True for told in replayed)
    assert replayed[0]["payonce.cost.replayed"] == 0.02
    assert replayed[1]["payonce.step"] == "openai POST /v1/chat/completions"
    assert len(telemetry.spans("chat")) == len(telemetry.spans("step")) == 1
    assert provider.billed("outline") == 1
    assert telemetry.total("payonce.replays") == 2
    assert telemetry.total("payonce.cost.replayed") == telemetry.total("payonce.cost") > 0.02
    assert telemetry.total("gen_ai.client.operation.duration") > 0
    assert telemetry.points("gen_ai.client.operation.duration")[0][1][1] == 1


def test_each_hidden_retry_is_a_span(
    app: payonce.Payonce, telemetry: Telemetry, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """An SDK that sends again in silence is seen doing it: one span for each physical send."""
    provider.fail("outline", Fault("status", status=429, billed=False), times=2)

    @app.job(key="batch", name="batch")
    def batch() -> str:
        return str(chat(gpt.with_options(max_retries=2)).id)

    batch()
    told = [dict(span.attributes or {}) for span in telemetry.spans("chat")]
    assert [t["payonce.call.send"] for t in told] == [1, 2, 3]
    assert [t["payonce.call.state"] for t in told] == ["released", "released", "paid"]
    assert [t.get("error.type") for t in told] == ["429", "429", None]
    assert telemetry.total("payonce.calls") == 3
    assert telemetry.total("payonce.calls", {"payonce.call.state": "released"}) == 2
    assert telemetry.total("gen_ai.client.operation.duration", {"error.type": "429"}) > 0
    assert len(provider.requests) == 3


@pytest.mark.parametrize("ask", [chat, message])
def test_a_stream_ends_with_its_receipt(
    make_app: Callable[..., payonce.Payonce],
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    claude: anthropic.Anthropic,
    provider: MeteredProvider,
    ask: Callable[..., Any],
) -> None:
    """A streamed call's span lasts until its receipt is durable, left early or not."""
    app = make_app()
    app.observe(telemetry.observer())
    seen: list[int] = []

    @app.job(key="batch", name="batch")
    def batch() -> int:
        client = gpt if ask is chat else claude
        stream = ask(client, stream=True)
        next(iter(stream))
        assert telemetry.observers[0].flush(60)
        seen.append(len(telemetry.exporter.get_finished_spans()))
        stream.close()
        return 1

    batch()
    assert seen == [0]
    [call] = telemetry.spans("chat")
    told = dict(call.attributes or {})
    [billed] = provider.bill
    assert told["payonce.call.state"] == "paid"
    assert told["gen_ai.provider.name"] == ("openai" if ask is chat else "anthropic")
    assert told["gen_ai.request.model"] == (MODEL if ask is chat else CLAUDE)
    if ask is message:
        assert told["gen_ai.usage.output_tokens"] == billed.output_tokens
    [receipt] = app.journal.calls(1)
    assert receipt.ended_at is not None
    assert (call.end_time or 0) / 1e9 >= receipt.ended_at


def test_nothing_that_was_said_is_told(
    app: payonce.Payonce, telemetry: Telemetry, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """No prompt, answer, error text or key is on any span; secrets in run keys are masked."""
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    provider.fail("outline", Fault("status", status=400, billed=False), times=1)

    @app.step
    def write(text: str) -> str:
        raise ValueError(f"can't write {text!r}")

    @app.job(key="{token}", name="batch", tenant="{token}")
    def batch(token: str) -> None:
        try:
            chat(gpt)
        except openai.BadRequestError:
            answer = chat(gpt).choices[0].message.content
            write(str(answer))

    outcome(batch, secret)
    spans = telemetry.spans()
    assert len(spans) == 5
    told = json.dumps([json.loads(span.to_json()) for span in spans])
    answer = provider.bill[0].label
    for word_ in ("secret plan", "can't write", secret, "sk-secret-of-openai", f"[{answer}]"):
        assert word_ not in told
    assert "***" in told


def test_without_gen_ai_nothing_is_told_twice(
    make_app: Callable[..., payonce.Payonce], telemetry: Telemetry, gpt: openai.OpenAI
) -> None:
    """Beside an instrumentation of the SDKs, its tokens are left to it."""
    app = make_app()
    app.observe(telemetry.observer(gen_ai=False, tenants=False))

    @app.job(key="batch", name="batch", tenant="acme")
    def batch() -> str:
        return str(chat(gpt).id)

    batch()
    [call] = telemetry.spans("call openai")
    assert not any(name.startswith("gen_ai") for name in call.attributes or {})
    assert (call.attributes or {})["payonce.call.state"] == "paid"
    assert telemetry.points("gen_ai.client.token.usage") == []
    assert telemetry.total("payonce.calls") == 1
    assert all("payonce.tenant" not in by for by, _ in telemetry.points("payonce.calls"))


def test_without_the_api_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package names the line that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry", None)
    with pytest.raises(payonce.ConfigError, match=r"payonce\[otel\]"):
        OpenTelemetry()
