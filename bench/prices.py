"""What prices cost: to load the lists, to price one receipt, to find one request's ceiling.

    python bench/prices.py [--rounds N] [--calls N] [--json]

The lists are loaded in a fresh process each time, where nothing is imported but payonce, and where
OpenAI's SDK is, whose own dependencies they share. Medians, over rounds of so many calls each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from time import perf_counter, thread_time

from payonce.pricing import Prices

AT = 1_795_500_000.0
USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 300,
    "total_tokens": 1300,
    "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 200, "audio_tokens": 0},
}
REQUEST = {
    "messages": [{"role": "user", "content": "a text " * 100}],
    "max_tokens": 1000,
    "temperature": 0.5,
}
LOADING = """
from time import perf_counter
{before}
from payonce.pricing import Prices
began = perf_counter()
Prices().warm()
print(perf_counter() - began)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    prices = Prices()
    began = perf_counter()
    prices.cost("openai", "gpt-5", USAGE, at=AT)
    first = perf_counter() - began
    found = {
        "load_ms": _loading("", given.rounds),
        "load_beside_openai_ms": _loading("import openai.resources.responses", given.rounds),
        "first_cost_ms": first * 1e3,
        "cost_us": _each(given, lambda: prices.cost("openai", "gpt-5", USAGE, at=AT)),
        "ceiling_us": _each(given, lambda: prices.ceiling("openai", "gpt-5", REQUEST, 800, at=AT)),
    }
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        print(*(f"{name:24}{value:8.1f}" for name, value in found.items()), sep="\n")


def _loading(before: str, rounds: int) -> float:
    command = [sys.executable, "-c", LOADING.format(before=before)]
    took = [float(subprocess.check_output(command, text=True)) for _ in range(min(rounds, 5))]
    return statistics.median(took) * 1e3


def _each(given: argparse.Namespace, call: object) -> float:
    assert callable(call)
    took = []
    for _ in range(given.rounds):
        began = thread_time()
        for _ in range(given.calls):
            call()
        took.append((thread_time() - began) / given.calls)
    return statistics.median(took) * 1e6


if __name__ == "__main__":
    main()
