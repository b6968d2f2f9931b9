"""What importing payonce costs over bare Python: medians of fresh interpreters, interleaved.

python bench/bench_import.py [--rounds 15] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

PROGRAMS = {
    "bare": "pass",
    "import payonce": "import payonce",
    "from payonce import Payonce": "from payonce import Payonce",
}
FOREIGN = ("openai", "anthropic", "httpx", "httpx2", "fastapi", "flask", "django", "pydantic")


def _environ() -> dict[str, str]:
    """The environment, but for a setting that makes each process compile all that it imports."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for program in PROGRAMS.values():
        subprocess.run([sys.executable, "-c", program], check=True, env=_environ())
    for _ in range(given.rounds):
        for name, program in PROGRAMS.items():
            since = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, env=_environ())
            times[name].append((time.perf_counter() - since) * 1000)
    medians = {name: statistics.median(found) for name, found in times.items()}
    rows = {
        name: {"ms": round(ms, 1), "over_bare_ms": round(ms - medians["bare"], 1)}
        for name, ms in medians.items()
    }
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys; from payonce import Payonce; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    result = {"rounds": given.rounds, "rows": rows, "foreign": sorted(set(FOREIGN) & set(loaded))}
    if given.json:
        print(json.dumps(result, indent=2))
        return
    for name, row in rows.items():
        print(f"{name:30} {row['ms']:8.1f} ms   +{row['over_bare_ms']:.1f} ms")
    print("SDKs and frameworks loaded:", ", ".join(result["foreign"]) or "none")


if __name__ == "__main__":
    main()
