"""What the tests of OpenTelemetry share: the real SDK, in memory, on real jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import payonce
from payonce.otel import OpenTelemetry
from payonce.testing import MeteredProvider

By = Mapping[str, Any]


class Telemetry:
    """The SDK, and what has come of it."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.observers: list[OpenTelemetry] = []

    def observer(self, **options: Any) -> OpenTelemetry:
        """A new observer that tells this SDK."""
        observer = OpenTelemetry(
            tracer_provider=self.tracers, meter_provider=self.meters, **options
        )
        self.observers.append(observer)
        return observer

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """The ended spans whose names begin so, in the order of their starts."""
        for observer in self.observers:
            assert observer.flush(60)
        found = [s for s in self.exporter.get_finished_spans() if s.name.startswith(name)]
        return sorted(found, key=lambda span: span.start_time or 0)

    def points(self, name: str) -> list[tuple[By, Any]]:
        """The points of a metric: attributes, and a number or a histogram's sum and count."""
        data = self.reader.get_metrics_data()
        scopes = [s for r in (data.resource_metrics if data else ()) for s in r.scope_metrics]
        points = [
            p for s in scopes for m in s.metrics if m.name == name for p in m.data.data_points
        ]
        return [(dict(p.attributes or {}), _value(p)) for p in points]

    def total(self, name: str, by: By | None = None) -> Any:
        """The sum of a metric's points with these attributes."""
        wanted = (by or {}).items()
        found = [value for at, value in self.points(name) if wanted <= at.items()]
        return sum(value[0] if isinstance(value, tuple) else value for value in found)


def _value(point: Any) -> Any:
    return point.value if hasattr(point, "value") else (point.sum, point.count)


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """The SDK, in memory."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """A provider that counts what it bills."""
    with MeteredProvider() as provider:
        yield provider


@pytest.fixture
def make_app(tmp_path: Path, provider: MeteredProvider) -> Iterator[Callable[..., payonce.Payonce]]:
    """Makes an app that captures and knows the provider's prices, on one journal."""
    made: list[payonce.Payonce] = []

    def make(**options: Any) -> payonce.Payonce:
        app = payonce.Payonce(f"sqlite:///{tmp_path}/journal.db", version="1", **options)
        app.capture()
        provider.tell(app.prices)
        made.append(app)
        return app

    yield make
    for app in made:
        app.release()
        app.close()


@pytest.fixture
def app(make_app: Callable[..., payonce.Payonce], telemetry: Telemetry) -> payonce.Payonce:
    """An app that captures and is observed."""
    app = make_app()
    app.observe(telemetry.observer())
    return app


@pytest.fixture
def gpt(provider: MeteredProvider) -> Iterator[openai.OpenAI]:
    """OpenAI's client."""
    key = "sk-secret-of-openai-0123456789"
    with openai.OpenAI(base_url=provider.openai_url, api_key=key) as client:
        yield client


@pytest.fixture
def claude(provider: MeteredProvider) -> Iterator[anthropic.Anthropic]:
    """Anthropic's client."""
    key = "sk-ant-secret-of-anthropic"
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key=key) as client:
        yield client
