"""Edge: spans and metrics of OpenTelemetry, by its API alone: the SDK and exporters are the user's.

    spans      the kinds of spans, and what is written on each
    metrics    the instruments, and what is counted by what
    genai      a captured call in the words of the GenAI conventions
    parked     the runs that are parked now, read when metrics are exported
    usage      a provider's own usage object as numbers of tokens
    ending     spans are ended aside: an exporter that hangs holds nobody up

Sources of names, as of November 2026: the semantic conventions of OpenTelemetry for GenAI
(https://github.com/open-telemetry/semantic-conventions-genai) and for messaging. What these don't
have is called `payonce.…`.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import payonce
from payonce.errors import ConfigError
from payonce.journal.protocol import Journal
from payonce.otel.ending import Ending
from payonce.otel.metrics import Metrics
from payonce.otel.parked import Parked
from payonce.otel.spans import Spans, Started
from payonce.sights import Begun, CallSeen, Ended, Word

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["OpenTelemetry"]


class OpenTelemetry:
    """An observer for `app.observe` that makes spans and metrics.

    Args:
        tracer_provider: where spans go; by default OpenTelemetry's global one.
        meter_provider: where metrics go; by default the global one.
        gen_ai: whether captured calls are told of in the GenAI conventions, too; False where an
            instrumentation of the SDKs does that already, whose tokens would be counted twice.
        tenants: whether metrics are told apart by tenant; False where there are very many.
        journal: whose parked runs are counted at each export, such as `app.journal`; None: no
            one's. All processes that share it would tell the same.

    Raises:
        ConfigError: OpenTelemetry's API is not installed.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        gen_ai: bool = True,
        tenants: bool = True,
        journal: Journal | None = None,
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as exc:
            raise ConfigError(
                f"payonce.otel.OpenTelemetry needs OpenTelemetry's API: {exc}",
                'Install it: pip install "payonce[otel]".',
            ) from exc
        named = ("payonce", payonce.__version__)
        self._ending = Ending()
        self._spans = Spans(trace.get_tracer(*named, tracer_provider), gen_ai=gen_ai)
        meter = metrics.get_meter(*named, meter_provider)
        self._metrics = Metrics(meter, gen_ai=gen_ai, tenants=tenants)
        if journal is not None:
            Parked(meter, journal, self._ending.complain)

    def __repr__(self) -> str:
        return "OpenTelemetry()"

    def begin(self, what: Begun) -> _Watch:
        """Start a span; where the SDK fails at that, what happens is still counted."""
        from opentelemetry.context import get_current
        from opentelemetry.trace import INVALID_SPAN

        try:
            started = self._spans.start(what)
        except Exception as exc:
            self._ending.complain(exc, "a span could not be started")
            started = Started(INVALID_SPAN, get_current())
        return _Watch(what, started, self._spans, self._metrics, self._ending)

    def note(self, what: CallSeen, word: Word) -> None:
        """An event on the span that is current; it has no time of its own."""
        self._metrics.note(what, word)
        self._spans.note(what, word)

    def flush(self, seconds: float = 5.0) -> bool:
        """End the spans that wait for it; False where that takes longer.

        The SDK's own processors keep spans back as well: flush those by their providers.
        """
        return self._ending.flush(seconds)


class _Watch:
    """A span, from its start to its end."""

    def __init__(
        self,
        what: Begun,
        started: Started,
        spans: Spans,
        metrics: Metrics,
        ending: Ending,
    ) -> None:
        self._what, self._started = what, started
        self._spans, self._metrics, self._ending = spans, metrics, ending
        self._began = time.perf_counter()

    def inside(self) -> AbstractContextManager[object]:
        """Make the span the current one."""
        return _Attached(self._started.context)

    def end(self, how: Ended) -> None:
        """Let the span end aside, and count what there is to count."""
        seconds = time.perf_counter() - self._began
        span, context, is_told = self._started
        if span.is_recording():
            told = self._spans.told(how, is_told=is_told)
            self._ending.put(span, told, how.error, time.time_ns())
        self._metrics.ended(self._what, how, seconds, context)


class _Attached:
    """A context that is the current one for a while, in the thread or task that enters it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._token: Any = None

    def __enter__(self) -> None:
        from opentelemetry.context import attach

        self._token = attach(self._context)

    def __exit__(self, *_: object) -> None:
        from opentelemetry.context import detach

        detach(self._token)
