"""`payonce audit` reads payonce's own spans, as OpenTelemetry's own exporter writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
from opentelemetry.exporter.otlp.json.file import FileSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from tests.audit.asking import audited
from tests.otel.asking import chat, message, outcome
from tests.otel.conftest import Telemetry

import payonce
from payonce.money import Money
from payonce.queues import asgi
from payonce.testing import Fault, MeteredProvider


def _deliver(app: payonce.Payonce, job: Callable[[], Any]) -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        outcome(job)

    async def nothing(*_: Any) -> Any:
        return {"type": "http.request", "body": b""}

    headers = [(b"x-cloudtasks-queuename", b"courses"), (b"x-cloudtasks-taskname", b"task-7")]
    handler = asgi.DeliveryMiddleware(inner, app=app, queue="cloud-tasks")
    asyncio.run(handler({"type": "http", "headers": headers}, nothing, nothing))


def test_audit_reads_what_is_exported(
    app: payonce.Payonce,
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    tmp_path: Path,
) -> None:
    """Deliveries, paid calls and their cost are those of the bill, and no replay is a call.

    One of the SDKs makes spans of its own around ours.
    """
    exported = tmp_path / "spans.jsonl"
    telemetry.tracers.add_span_processor(SimpleSpanProcessor(FileSpanExporter(exported)))
    provider.fail("outline", Fault("status", status=429, billed=False), times=1)
    tries: list[int] = []
    claude = anthropic.Anthropic(
        base_url=provider.anthropic_url,
        api_key="sk-ant-metered",
        open_telemetry={"tracer_provider": telemetry.tracers},
    )

    @app.job(key="course", name="course", tenant="acme", backoff=0.001)
    def course() -> None:
        for label in ("outline", "chapter", "quiz"):
            chat(gpt, f"[{label}] of a course")
        message(claude)
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionResetError("the database is gone")

    for _ in range(4):
        _deliver(app, course)
    claude.close()
    assert telemetry.spans()
    totals = audited(exported).document["totals"]
    billed = Money(sum(call.cost_nanos for call in provider.bill))
    assert (totals["deliveries"], totals["calls"]) == (4, len(provider.bill)) == (4, 4)
    assert totals["cost"] == {"USD": billed.amount}
    assert (totals["calls_without_cost"], totals["storms"]) == (0, 0)
