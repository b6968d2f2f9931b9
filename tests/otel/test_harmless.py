"""Telemetry that fails, hangs or is missing harms no run and changes no bill."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import openai
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, SamplingResult
from tests.otel.asking import chat, word
from tests.otel.conftest import Telemetry

import payonce
from payonce import observing
from payonce.money import NANOS
from payonce.otel import OpenTelemetry, ending
from payonce.sights import Begun, CallSeen, Ended, Word
from payonce.testing import MeteredProvider


class Stuck(SpanExporter):
    """An exporter whose backend never answers, until it is released."""

    def __init__(self) -> None:
        self.came, self.release = threading.Event(), threading.Event()
        self.exported: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.came.set()
        self.release.wait(120)
        self.exported += [span.name for span in spans]
        return SpanExportResult.SUCCESS


@pytest.fixture(autouse=True)
def uncomplained(monkeypatch: pytest.MonkeyPatch) -> None:
    """No kind of failure was complained of yet."""
    monkeypatch.setattr(observing, "_complained", set())


def _course(app: payonce.Payonce, gpt: openai.OpenAI) -> Callable[[], Any]:
    """A job that pays twice, fails at first, and is done at its second delivery."""
    tries: list[int] = []

    @app.step(cost="0.02 USD")
    def pay() -> int:
        return 1

    @app.job(key="course", name="course", backoff=0.001)
    def course() -> str:
        pay()
        answer = chat(gpt).id
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionResetError("the database is gone")
        return str(answer)

    return course


def test_an_exporter_that_hangs_holds_nobody_up(
    make_app: Callable[..., payonce.Payonce],
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
) -> None:
    """Even one that exports on the spot: runs go on, nothing is paid twice, costs are counted."""
    stuck, tracers = Stuck(), TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(stuck))
    app = make_app()
    observer = OpenTelemetry(tracer_provider=tracers, meter_provider=telemetry.meters)
    app.observe(observer)
    course = _course(app, gpt)
    assert [word(course), word(course)] == ["RetryLater", "done"]
    assert stuck.came.wait(60)
    assert stuck.exported == []
    assert not observer.flush(0.01)
    assert provider.billed("outline") == 1
    assert (
        round(telemetry.total("payonce.cost") * NANOS) == 20_000_000 + provider.bill[0].cost_nanos
    )
    stuck.release.set()
    assert observer.flush(60)
    assert len(stuck.exported) == 6


def test_what_waits_is_bounded(
    telemetry: Telemetry,
    make_app: Callable[..., payonce.Payonce],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behind an exporter that hangs spans are dropped, told of once; metrics are not."""
    monkeypatch.setattr(ending, "MOST", 10)
    stuck, tracers = Stuck(), TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(stuck))
    app = make_app()
    observer = OpenTelemetry(tracer_provider=tracers, meter_provider=telemetry.meters)
    app.observe(observer)

    @app.job(key="{n}", name="course")
    def course(n: int) -> int:
        return n

    with caplog.at_level(logging.WARNING, "payonce"):
        for n in range(50):
            assert course(n) == n
    assert [r.message for r in caplog.records] == ["spans are dropped: their exporter is 10 behind"]
    assert telemetry.total("payonce.deliveries") == 50
    stuck.release.set()
    assert observer.flush(60)
    assert 10 <= len(stuck.exported) <= 12


class Broken:
    """An observer that fails at everything, or whose watches do."""

    def __init__(self, at: str) -> None:
        self._at = at

    def _do(self, at: str) -> None:
        if at == self._at:
            raise RuntimeError(f"{at} failed, key sk-proj-abcdefghijklmnopqrstuvwxyz")

    def begin(self, what: Begun) -> Broken:
        self._do("begin")
        return self

    def note(self, what: CallSeen, word: Word) -> None:
        self._do("note")

    def flush(self) -> None:
        self._do("flush")

    def inside(self) -> Broken:
        self._do("inside")
        return self

    def __enter__(self) -> None:
        self._do("enter")

    def __exit__(self, *_: object) -> None:
        self._do("exit")

    def end(self, how: Ended) -> None:
        self._do("end")


@pytest.mark.parametrize("at", ["begin", "note", "inside", "enter", "exit", "end", "flush"])
def test_an_observer_that_raises_harms_nobody(
    make_app: Callable[..., payonce.Payonce],
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    caplog: pytest.LogCaptureFixture,
    at: str,
) -> None:
    """Wherever it fails, runs end as ever and pay as ever; the log is told once, keys masked."""
    app = make_app()
    app.observe(Broken(at))
    course = _course(app, gpt)
    with caplog.at_level(logging.WARNING, "payonce"):
        assert [word(course), word(course)] == ["RetryLater", "done"]
        app.close()
    assert provider.billed("outline") == 1
    assert [r.message for r in caplog.records if "observer" in r.message] == [
        f"the observer raised builtins.RuntimeError: {at} failed, key ***"
    ]


class Faulty(SpanProcessor, Sampler):
    """A processor and a sampler of the SDK's that raise at one of their tasks."""

    def __init__(self, at: str) -> None:
        self._at = at

    def _do(self, at: str) -> None:
        if at == self._at:
            raise RuntimeError(f"{at} failed")

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self._do("on_start")

    def on_end(self, span: ReadableSpan) -> None:
        self._do("on_end")

    def should_sample(self, *args: Any, **options: Any) -> SamplingResult:
        self._do("should_sample")
        return ALWAYS_ON.should_sample(*args, **options)

    def get_description(self) -> str:
        return "Faulty"


@pytest.mark.parametrize("at", ["on_start", "on_end", "should_sample"])
def test_an_sdk_that_raises_harms_nobody(
    make_app: Callable[..., payonce.Payonce],
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    caplog: pytest.LogCaptureFixture,
    at: str,
) -> None:
    """A sampler or a processor that raises costs spans; no run, no payment, no metric."""
    faulty = Faulty(at)
    tracers = TracerProvider(sampler=faulty, shutdown_on_exit=False)
    tracers.add_span_processor(faulty)
    app = make_app()
    observer = OpenTelemetry(tracer_provider=tracers, meter_provider=telemetry.meters)
    app.observe(observer)
    course = _course(app, gpt)
    with caplog.at_level(logging.WARNING, "payonce"):
        assert [word(course), word(course)] == ["RetryLater", "done"]
        assert observer.flush(60)
    assert provider.billed("outline") == 1
    assert len([r for r in caplog.records if f"{at} failed" in r.message]) == 1
    assert telemetry.total("payonce.deliveries") == 2
    assert telemetry.total("payonce.calls") == 2


class Broke(MeterProvider):
    """An SDK for metrics whose instruments raise."""

    def get_meter(self, *args: Any, **options: Any) -> Any:
        return self

    def _made(self, name: str, *args: Any, **options: Any) -> Any:
        return self

    create_counter = create_histogram = _made

    def _raise(self, *args: Any) -> None:
        raise RuntimeError("no count")

    add = record = _raise


def test_metrics_that_raise_cost_no_span(
    make_app: Callable[..., payonce.Payonce],
    telemetry: Telemetry,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
) -> None:
    """Where nothing can be counted, runs are done and their spans end."""
    app = make_app()
    observer = OpenTelemetry(
        tracer_provider=telemetry.tracers, meter_provider=Broke(shutdown_on_exit=False)
    )
    telemetry.observers.append(observer)
    app.observe(observer)
    course = _course(app, gpt)
    assert [word(course), word(course)] == ["RetryLater", "done"]
    assert provider.billed("outline") == 1
    assert len(telemetry.spans()) == 6


def test_without_an_sdk_nothing_comes_of_it(
    make_app: Callable[..., payonce.Payonce], gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """The API alone, with no SDK set up, does nothing, and starts no thread."""
    before = set(threading.enumerate())
    app = make_app()
    app.observe(OpenTelemetry())
    course = _course(app, gpt)
    assert [word(course), word(course)] == ["RetryLater", "done"]
    assert provider.billed("outline") == 1
    assert not [t for t in threading.enumerate() if t not in before and t.name == "payonce-spans"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_worker_ends_its_own_spans(app: payonce.Payonce, telemetry: Telemetry) -> None:
    """A child of a process whose thread was at work ends its spans by a thread of its own."""

    @app.job(key="{n}", name="course")
    def course(n: int) -> int:
        return n

    course(1)
    assert len(telemetry.spans()) == 2
    child = os.fork()
    if child == 0:
        try:
            course(2)
            os._exit(len(telemetry.spans()))
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
    course(3)
    assert len(telemetry.spans()) == 4


def test_a_child_that_was_forked_while_the_thread_starts_ends_its_spans() -> None:
    """What a thread of the parent has locked at that moment stays locked in the child for ever."""
    spans = ending.Ending()
    spans._starting.acquire()
    spans.after_fork_in_child()
    assert not spans._starting.locked()
