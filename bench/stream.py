"""What capture adds to a streamed answer: until its first token, and until its end.

`python bench/stream.py [rounds]`: the same SDK call with and without a run around it, in turns,
against a provider in a process of its own. Goal: at most 1 ms at the median for the first token.
"""

from __future__ import annotations

import sys
import tempfile
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


def measure(folder: Path, rounds: int) -> list[tuple[str, float, float]]:
    """Medians in seconds: what, first token, end."""
    app = payonce.Payonce(f"sqlite:///{folder / 'journal.db'}", version="1")
    plain: list[tuple[float, float]] = []
    captured: list[tuple[float, float]] = []

    @app.job(key="bench-{n}")
    def job(n: int) -> None:
        captured.append(stream(client, n))

    with (
        spawn_provider(folder / "bill") as provider,
        openai.OpenAI(base_url=provider.openai_url, api_key="sk-metered") as client,
        app.capture(),
    ):
        for n in range(rounds):
            plain.append(stream(client, n))
            job(n)
        del captured[: rounds // 10], plain[: rounds // 10]
    app.close()
    return [
        (name, median(first for first, _ in seen), median(end for _, end in seen))
        for name, seen in (("plain", plain), ("captured", captured))
    ]


def main() -> None:
    """Print the medians and what capture adds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), rounds)
    for name, at_first, at_end in rows:
        print(f"{name:10} first token {at_first * 1e3:6.2f} ms   end {at_end * 1e3:6.2f} ms")
    (_, first, end), (_, first_, end_) = rows
    added, added_at_end = (first_ - first) * 1e3, (end_ - end) * 1e3
    print(f"{'added':10} first token {added:6.2f} ms   end {added_at_end:6.2f} ms")


if __name__ == "__main__":
    main()
