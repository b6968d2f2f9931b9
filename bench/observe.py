"""What an observer adds to a paid step and to a replay, beside a run that nobody observes.

    python bench/observe.py [--steps N] [--rounds N] [--json]

Three apps take turns on journals of their own in SQLite: observed by nobody, by OpenTelemetry's API
without an SDK, and with the SDK (spans in batches to memory, metrics). Medians of the calling
thread's processor time in microseconds, for a paid step, a replayed one, and a delivery without a
step: the waiting for the disk, the same for all, is not in it. `quiet` is the tenth percentile,
which a busy machine blurs less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import thread_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import payonce
from payonce.otel import OpenTelemetry

NAMES = ("nobody", "api", "sdk")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=200, help="steps of one run")
    parser.add_argument("--rounds", type=int, default=20, help="how often each has its turn")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="payonce-bench-") as named:
        times = _times(Path(named), given.steps, given.rounds)
    result = {
        figure: {
            name: {what: choose(found) for what, found in took.items()}
            for name, took in times.items()
        }
        for figure, choose in (("median_us", _median), ("quiet_us", _quiet))
    }
    print(json.dumps(result, indent=2) if given.json else _page(result))


def _times(folder: Path, steps: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    contenders = {name: _contender(folder, name) for name in NAMES}
    times: dict[str, dict[str, list[float]]] = {name: {} for name in NAMES}
    for n in range(rounds + 1):
        for name, take in contenders.items():
            for what, seconds in take(n, steps).items() if n else take(n, 5).items():
                if n:
                    times[name].setdefault(what, []).append(seconds)
    return times


def _contender(folder: Path, name: str) -> Callable[[int, int], dict[str, float]]:
    """A function that takes one round: seconds for a step, a replay, and an empty delivery."""
    app = payonce.Payonce(f"sqlite:///{folder}/{name}.db", version="1", look_every=None)
    if name == "api":
        app.observe(OpenTelemetry())
    if name == "sdk":
        tracers = TracerProvider()
        tracers.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
        meters = MeterProvider([InMemoryMetricReader()])
        app.observe(OpenTelemetry(tracer_provider=tracers, meter_provider=meters))
    took: list[float] = []

    @app.step(cost="0.02 USD")
    def pay(n: int) -> int:
        return n

    @app.job(key="{key}", name="job", backoff=0.0)
    def job(key: str, steps: int, fails: bool) -> None:
        began = thread_time()
        for n in range(steps):
            pay(n)
        took.append(thread_time() - began)
        if fails and len(took) % 2:
            raise ConnectionResetError("again")

    def take(n: int, steps: int) -> dict[str, float]:
        took.clear()
        while len(took) < 2:
            with suppress(payonce.RetryLater):
                job(f"steps:{n}", steps, True)
        paid, replayed = took
        began = thread_time()
        for each in range(20):
            job(f"none:{n}:{each}", 0, False)
        empty = (thread_time() - began) / 20
        return {"step": paid / steps, "replay": replayed / steps, "delivery": empty}

    return take


def _median(found: list[float]) -> float:
    return round(statistics.median(found) * 1e6, 2)


def _quiet(found: list[float]) -> float:
    return round(statistics.quantiles(found, n=10)[0] * 1e6, 2)


def _page(result: dict[str, Any]) -> str:
    lines = []
    for figure, found in result.items():
        lines.append(f"{figure:10}" + "".join(f"{what:>12}" for what in found["nobody"]))
        for name, took in found.items():
            lines.append(f"{name:10}" + "".join(f"{value:12.2f}" for value in took.values()))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
