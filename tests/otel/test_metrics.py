"""What is counted, and that it adds up to the provider's own bill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest
from tests.otel.asking import CLAUDE, MODEL, chat, message, word
from tests.otel.conftest import Telemetry

import payonce
from payonce.money import NANOS
from payonce.testing import Fault, MeteredProvider


def _paying(app: payonce.Payonce, provider: MeteredProvider) -> Callable[[str], Any]:
    """A step that asks the provider by a client that isn't captured, at the price it knows."""

    def cost(answer: dict[str, Any]) -> payonce.Money:
        used = answer["usage"]
        return payonce.Money(used["prompt_tokens"] * 2_500 + used["completion_tokens"] * 10_000)

    @app.step(name="ask", cost=cost)
    def ask(prompt: str) -> dict[str, Any]:
        body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
        answer = httpx.post(f"{provider.openai_url}/chat/completions", json=body, timeout=60)
        answer.raise_for_status()
        return dict(answer.json())

    return ask


def test_cost_is_the_bill(
    app: payonce.Payonce, telemetry: Telemetry, provider: MeteredProvider
) -> None:
    """Over failures, retries, replays and rejections the cost is what the provider billed."""
    ask = _paying(app, provider)
    tries: list[int] = []

    @app.job(key="{tenant}", name="batch", tenant="{tenant}", backoff=0.001)
    def batch(tenant: str) -> None:
        first = ask(f"[outline] of {tenant}")
        for n in range(3):
            ask(f"[chapter] {n} of {tenant}" * (n + 1))
        tries.append(1)
        if len(tries) % 2:
            payonce.reject(first)
            raise ConnectionResetError("the database is gone")

    provider.fail("chapter", Fault("status", status=503, billed=False), times=1)
    for tenant in ("acme", "globex", "initech"):
        while word(batch, tenant) != "done":
            pass
    billed = sum(call.cost_nanos for call in provider.bill)
    assert round(telemetry.total("payonce.cost") * NANOS) == billed > 0
    assert (
        telemetry.total("payonce.calls", {"payonce.call.state": "paid"}) == len(provider.bill) == 15
    )
    assert telemetry.total("payonce.calls", {"payonce.call.state": "released"}) == 1
    assert telemetry.total("payonce.rejections") == 3
    wasted = telemetry.total("payonce.cost.rejected")
    assert 0 < wasted < telemetry.total("payonce.cost")
    assert telemetry.total("payonce.replays") == 10
    assert telemetry.total("payonce.calls.unpriced") == 0
    by_tenant = {by["payonce.tenant"] for by, _ in telemetry.points("payonce.cost")}
    assert by_tenant == {"acme", "globex", "initech"}
    assert {by["payonce.currency"] for by, _ in telemetry.points("payonce.cost")} == {"USD"}


def test_cost_of_captured_calls_is_the_bill(
    app: payonce.Payonce,
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    claude: anthropic.Anthropic,
    provider: MeteredProvider,
) -> None:
    """By provider and model, over hidden retries, streams left early, a failure and a replay."""
    provider.fail("outline", Fault("status", status=429, billed=False), times=1)
    tries: list[int] = []

    @app.job(key="batch", name="batch", backoff=0.001)
    def batch() -> None:
        chat(gpt)
        next(iter(chat(gpt, stream=True, stream_options={"include_usage": True})))
        message(claude)
        next(iter(message(claude, stream=True)))
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionResetError("the database is gone")

    assert [word(batch), word(batch)] == ["RetryLater", "done"]
    for system in ("openai", "anthropic"):
        billed = sum(c.cost_nanos for c in provider.bill if c.provider == system)
        assert billed > 0
        for metric in ("payonce.cost", "payonce.cost.replayed"):
            found = telemetry.total(metric, {"gen_ai.provider.name": system})
            assert round(found * NANOS) == billed
    assert telemetry.total("payonce.calls.unpriced") == 0


def test_tokens_are_those_of_the_bill(
    app: payonce.Payonce,
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    claude: anthropic.Anthropic,
    provider: MeteredProvider,
) -> None:
    """Tokens by provider and model, under today's names and under that which dashboards know."""

    @app.job(key="batch", name="batch")
    def batch() -> None:
        chat(gpt)
        chat(gpt, stream=True, stream_options={"include_usage": True}).close()
        message(claude)

    batch()
    for kind, unit in (("input", "input_tokens"), ("output", "output_tokens")):
        for system, model in (("openai", MODEL), ("anthropic", CLAUDE)):
            billed = sum(getattr(c, unit) for c in provider.bill if c.provider == system)
            by = {"gen_ai.provider.name": system}
            assert telemetry.total(f"gen_ai.client.inference.usage.{unit}", by) == billed
            points = telemetry.points("gen_ai.client.token.usage")
            found = [
                v[0]
                for at, v in points
                if at["gen_ai.token.type"] == kind and at["gen_ai.request.model"] == model
            ]
            assert sum(found) == billed > 0


def test_what_is_unknown_is_not_zero(
    app: payonce.Payonce, telemetry: Telemetry, provider: MeteredProvider
) -> None:
    """A paid call whose cost is not known is counted apart; a step that holds one, not again."""

    @app.step
    def free() -> int:
        return 1

    @app.step
    def around() -> int:
        return inner() + 1

    @app.step(cost="0.5 EUR")
    def priced() -> int:
        return 1

    @app.step
    def inner() -> int:
        return 1

    @app.job(key="batch", name="batch")
    def batch() -> None:
        free()
        around()
        priced()

    batch()
    steps = {by["payonce.step"].rpartition(".")[2] for by, _ in telemetry.points("payonce.calls")}
    assert steps == {"free", "inner", "priced"}
    assert telemetry.total("payonce.calls.unpriced") == 2
    assert telemetry.total("payonce.cost", {"payonce.currency": "EUR"}) == 0.5


def test_deliveries_and_attempts_are_counted(app: payonce.Payonce, telemetry: Telemetry) -> None:
    """By verdict: twenty-one deliveries of a run that can't succeed are one attempt, parked."""

    @app.job(key="course", name="course", tenant="acme")
    def course() -> None:
        raise AttributeError("no such thing")

    for _ in range(21):
        assert word(course) == "Parked"
    assert telemetry.total("payonce.deliveries", {"payonce.verdict": "park"}) == 21
    [(by, (_, attempts))] = telemetry.points("payonce.attempt.duration")
    assert (by["payonce.verdict"], attempts) == ("park", 1)
    assert telemetry.total("payonce.runs.parked") == 1
    [(by, _)] = telemetry.points("payonce.runs.parked")
    assert by == {
        "payonce.job": "course",
        "payonce.tenant": "acme",
        "payonce.failure.kind": "deterministic",
    }


def test_stops_are_counted_by_what_stopped(
    app: payonce.Payonce,
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
) -> None:
    """A stop from the inside has its name: here a step that was sent as often as it may be."""
    provider.fail("outline", Fault("status", status=429, billed=False), times=None)

    @app.job(key="batch", name="batch", sends=3)
    def batch() -> None:
        chat(gpt.with_options(max_retries=5))

    assert word(batch) == "Parked"
    [(by, stops)] = telemetry.points("payonce.stops")
    assert (by["payonce.stop"], stops) == ("SendsUsedUp", 1)
    [attempt] = telemetry.spans("attempt")
    assert (attempt.attributes or {})["payonce.stop"] == "SendsUsedUp"


def test_budget_stops_are_counted_by_budget(app: payonce.Payonce, telemetry: Telemetry) -> None:
    """A run that a budget stops says whose budget it was; what was not made is no span."""
    app.budget("0.03 USD", tenant="*", per="day")

    @app.step(cost="0.02 USD")
    def pay(n: int) -> int:
        return n

    @app.job(key="batch", name="batch", tenant="acme")
    def batch() -> None:
        pay(1)
        pay(2)

    assert word(batch) == "Parked"
    [(by, stops)] = telemetry.points("payonce.stops")
    assert (by["payonce.stop"], by["payonce.budget"], stops) == ("BudgetReached", "tenant day", 1)
    [attempt] = telemetry.spans("attempt")
    assert (attempt.attributes or {})["payonce.budget"] == "tenant day"
    assert len(telemetry.spans("step")) == 1
    assert telemetry.total("payonce.cost") == 0.02


def test_calls_in_doubt_are_counted(
    app: payonce.Payonce,
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
) -> None:
    """A call that may have been billed is in doubt, once; its error is the class of what came."""
    provider.fail("outline", Fault("drop", billed=True), times=1)

    @app.job(key="batch", name="batch", backoff=0.001)
    def batch() -> str:
        return str(chat(gpt).id)

    assert [word(batch), word(batch)] == ["RetryLater", "done"]
    assert telemetry.total("payonce.calls", {"payonce.call.state": "in_doubt"}) == 1
    doubt, paid = telemetry.spans("chat")
    assert (doubt.attributes or {})["payonce.call.state"] == "in_doubt"
    assert str((doubt.attributes or {})["error.type"]).endswith("Error")
    assert (paid.attributes or {})["payonce.call.send"] == 2


def test_what_is_found_out_to_be_paid_is_cost(app: payonce.Payonce, telemetry: Telemetry) -> None:
    """A call in doubt that `verify` finds paid costs what it costs, and is no replay."""
    charged: list[str] = []

    def find(idempotency_key: str) -> Any:
        return "charged" if idempotency_key in charged else payonce.NOT_PAID

    @app.step(cost="3 USD", verify=find)
    def charge(*, idempotency_key: str) -> str:
        charged.append(idempotency_key)
        raise TimeoutError("no answer")

    @app.job(key="order", name="order", backoff=0.001)
    def order() -> str:
        return charge()

    assert [word(order), word(order)] == ["RetryLater", "done"]
    assert telemetry.total("payonce.cost") == 3.0
    assert telemetry.total("payonce.replays") == 0
    _, second = telemetry.spans("attempt")
    assert [event.name for event in second.events] == ["payonce.found"]


@pytest.mark.parametrize("name", ["payonce.run.key", "payonce.failure.fingerprint"])
def test_no_series_for_each_run(
    app: payonce.Payonce, telemetry: Telemetry, gpt: openai.OpenAI, name: str
) -> None:
    """A hundred runs are as many series as one: run keys and fingerprints are on spans alone."""

    @app.step(cost="0.02 USD")
    def pay(n: int) -> int:
        return n

    @app.job(key="course:{n}", name="course", breaker=None)
    def course(n: int) -> None:
        pay(n)
        raise AttributeError(f"no such thing {n}")

    for n in range(100):
        word(course, n)
    data = telemetry.reader.get_metrics_data()
    assert data is not None
    [resource] = data.resource_metrics
    points = [p for s in resource.scope_metrics for m in s.metrics for p in m.data.data_points]
    assert len(points) == 5
    assert all(name not in (point.attributes or {}) for point in points)
