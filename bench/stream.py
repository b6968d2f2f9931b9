"""What capture adds to a streamed answer: until its first token, and until its end.

`python bench/stream.py [rounds]`: the same SDK call outside of a run, in one (with its receipt's
sketch and without), and replayed; in turns, against a provider in a process of its own. Goal: at
most 1 ms at the median for the first token.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import perf_counter

import openai

import payonce
from payonce.testing import spawn_provider

MODEL = "gpt-4o-mini"


def stream(client: openai.OpenAI, n: int) -> tuple[float, float]:
    """Seconds to the first token and to the end of one streamed answer."""
    started = perf_counter()
    chunks = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": f"[token] {n}"}], stream=True
    )
    next(chunks)
    first = perf_counter() - started
    for _ in chunks:
        pass
    return first, perf_counter() - started


def measure(folder: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Medians in seconds, by what was done: first token, end."""
    apps = {name: _app(folder, name) for name in ("captured", "without sketches")}
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ("plain", *apps, "replayed")}

    def job_of(name: str) -> Callable[[int], None]:
        failures = []

        @apps[name].job(key="bench-{n}", name=name, backoff=0.0)
        def job(n: int) -> None:
            kind = "replayed" if failures else name
            seen[kind].append(stream(client, n))
            if not failures:
                failures.append(n)
                raise ConnectionError("delivered again")
            failures.clear()

        return job

    with (
        spawn_provider(folder / "bill") as provider,
        openai.OpenAI(base_url=provider.openai_url, api_key="sk-metered") as client,
        apps["captured"].capture(),
        apps["without sketches"].capture(sketches=False),
    ):
        jobs = [job_of(name) for name in apps]
        for n in range(rounds):
            seen["plain"].append(stream(client, n))
            for job in jobs:
                with suppress(payonce.RetryLater):
                    job(n)
                job(n)
    for app in apps.values():
        app.close()
    return {name: _medians(found[rounds // 10 :]) for name, found in seen.items()}


def _app(folder: Path, name: str) -> payonce.Payonce:
    return payonce.Payonce(f"sqlite:///{folder / name}.db", version="1")


def _medians(found: list[tuple[float, float]]) -> tuple[float, float]:
    return median(first for first, _ in found), median(end for _, end in found)


def main() -> None:
    """Print the medians and what capture adds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), rounds)
    plain = rows["plain"]
    for name, (first, end) in rows.items():
        added = f"added {(first - plain[0]) * 1e3:6.2f} and {(end - plain[1]) * 1e3:6.2f}"
        print(f"{name:17} first token {first * 1e3:6.2f} ms   end {end * 1e3:6.2f} ms   {added}")


if __name__ == "__main__":
    main()
