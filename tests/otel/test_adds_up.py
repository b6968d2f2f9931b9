"""Whatever goes wrong, what is counted is what the provider saw and what the journal has."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from tests.otel.asking import chat, word
from tests.otel.conftest import Telemetry

import payonce
from payonce.journal.protocol import RunFilter
from payonce.model import Call, CallState
from payonce.money import NANOS
from payonce.testing import Fault, MeteredProvider

STATE = "payonce.call.state"
FAULTS = (
    Fault("status", status=429, billed=False),
    Fault("status", status=400, billed=False),
    Fault("status", status=500, billed=True),
    Fault("status", status=503, billed=False),
    Fault("drop", billed=True),
    Fault("cut", billed=True),
    Fault("error_event", billed=True),
)


def _calls(app: payonce.Payonce) -> list[Call]:
    runs = app.journal.runs(RunFilter())
    return [call for run in runs for call in app.journal.calls(run.run.id)]


def _work(chance: random.Random, client: openai.OpenAI, n: int) -> Callable[[], None]:
    """What a job does: calls in threads, some streamed, some left early, and a late failure."""
    asked = [(f"[step-{each}] of run {n}", chance.random() < 0.5) for each in range(6)]
    fails = chance.random() < 0.5

    def ask(prompt: str, streams: bool) -> None:
        options = {"include_usage": True}
        if not streams:
            chat(client, prompt)
        elif chance.random() < 0.5:
            next(iter(chat(client, prompt, stream=True, stream_options=options)))
        else:
            list(chat(client, prompt, stream=True, stream_options=options))

    def work() -> None:
        nonlocal fails
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda given: ask(*given), asked))
        if fails:
            fails = False
            raise ConnectionResetError("the database is gone")

    return work


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_what_is_counted_adds_up(
    app: payonce.Payonce,
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    seed: int,
) -> None:
    """Sends are the provider's, by state the journal's; cost is that of all receipts."""
    chance = random.Random(seed)
    client = gpt.with_options(max_retries=2)
    works = [_work(chance, client, n) for n in range(3)]

    @app.job(key="{n}", name="batch", backoff=0.001, attempts=6, breaker=None)
    def batch(n: int) -> None:
        works[n]()

    for _ in range(8):
        provider.fail(f"step-{chance.randrange(6)}", chance.choice(FAULTS), times=1)
    for n in range(3):
        for _ in range(8):
            if word(batch, n) in ("done", "Parked"):
                break
    calls = _calls(app)
    spans = telemetry.spans("chat")
    assert telemetry.total("payonce.calls") == len(provider.requests) == len(calls) == len(spans)
    for state in (CallState.PAID, CallState.RELEASED, CallState.IN_DOUBT):
        counted = telemetry.total("payonce.calls", {STATE: state.value})
        assert counted == sum(call.state is state for call in calls)
        assert counted == sum((span.attributes or {})[STATE] == state.value for span in spans)
    cost = round(telemetry.total("payonce.cost") * NANOS)
    assert cost == sum(call.cost_nanos or 0 for call in calls) > 0
    told: list[Any] = [(span.attributes or {}).get("payonce.cost", 0) for span in spans]
    assert round(sum(told) * NANOS) == cost
    assert cost <= sum(billed.cost_nanos for billed in provider.bill)
    doubts = sum(call.state is CallState.IN_DOUBT for call in calls)
    assert doubts or cost == sum(billed.cost_nanos for billed in provider.bill)
