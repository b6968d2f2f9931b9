"""A worker whose spans are exported on the spot, one JSON line each; its provider may kill it."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

import openai
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

import payonce
from payonce.otel import OpenTelemetry

STORE, URL, SPANS = sys.argv[1:]

reader, tracers = InMemoryMetricReader(), TracerProvider()
exporter = ConsoleSpanExporter(
    out=Path(SPANS).open("a", encoding="utf-8"),  # noqa: SIM115
    formatter=lambda span: span.to_json(indent=None) + "\n",
)
tracers.add_span_processor(SimpleSpanProcessor(exporter))
observer = OpenTelemetry(tracer_provider=tracers, meter_provider=MeterProvider([reader]))
app = payonce.Payonce(STORE, version="1", look_every=None)
app.capture()
app.observe(observer)
gpt = openai.OpenAI(base_url=URL, api_key="sk-metered", max_retries=0)


def ask(label: str) -> None:
    """One call, whose span is out before the next one begins."""
    messages = [{"role": "user", "content": f"[{label}] of a course"}]
    gpt.chat.completions.create(model="gpt-4o-mini", messages=messages)  # type: ignore[call-overload]
    assert observer.flush(60)


@app.job(key="course", name="course", backoff=0.001)
def course() -> None:
    ask("outline")
    ask("chapter")


with suppress(payonce.NotDone):
    course()
app.close()
data = reader.get_metrics_data()
print(
    json.dumps(
        [
            [metric.name, dict(point.attributes), getattr(point, "value", None)]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]
    )
)
