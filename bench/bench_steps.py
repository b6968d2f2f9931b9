"""What payonce adds to a paid step, over the floor of one durable commit on the same disk.

    python bench/bench_steps.py [--steps 300] [--rounds 5] [--folder DIR] [--json]

Interleaved, medians and ratios: a step (intent, call, receipt), the floor (one INSERT in a WAL
file under synchronous=FULL), a replay, opening a run with its receipts, and a delivery of a
parked run.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from payonce import Parked, Payonce

ANSWER = "a chapter of two hundred bytes " * 7


def timed(call: Callable[[], Any]) -> float:
    """Microseconds of one call."""
    since = time.perf_counter()
    call()
    return (time.perf_counter() - since) * 1e6


class Bench:
    """One journal, one bare database beside it, and what was measured so far."""

    def __init__(self, folder: Path) -> None:
        self.app = Payonce(f"sqlite:///{folder / 'payonce.db'}", version="bench")
        self.floor = sqlite3.connect(folder / "floor.db", isolation_level=None)
        self.floor.execute("PRAGMA journal_mode=WAL")
        self.floor.execute("PRAGMA synchronous=FULL")
        self.floor.execute("CREATE TABLE answers (answer TEXT)")
        self.found: dict[str, list[float]] = {}
        self.step = self.app.step(name="chapter")(lambda n: ANSWER)
        self.job = self.app.job(key="run:{key}", name="bench")(self._work)
        self.replaying = False

    def note(self, name: str, microseconds: float) -> None:
        self.found.setdefault(name, []).append(microseconds)

    def _commit(self) -> None:
        self.floor.execute("INSERT INTO answers VALUES (?)", (ANSWER,))

    def _work(self, key: str, steps: int) -> None:
        for n in range(steps):
            took = timed(lambda n=n: self.step(n))
            self.note("replay" if self.replaying else "step", took)
            if not self.replaying:
                self.note("floor", timed(self._commit))
        if not self.replaying:
            raise KeyError("parks the run")

    def round(self, key: str, steps: int) -> None:
        """One run: paid, parked, delivered in vain, woken and replayed."""
        self.replaying = False
        self.deliver(key, steps)
        for _ in range(100):
            self.note("parked delivery", timed(lambda: self.deliver(key, steps)))
        run = self.app.journal.find("bench", f"run:{key}")
        assert run is not None
        self.app.journal.wake(run).now()
        self.replaying = True
        since = len(self.found.get("replay", ()))
        took = timed(lambda: self.deliver(key, steps))
        self.note("open, replay all, close", took)
        assert len(self.found["replay"]) - since == steps

    def deliver(self, key: str, steps: int) -> None:
        try:
            self.job(key, steps)
        except Parked:
            return


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        bench = Bench(Path(folder))
        for n in range(given.rounds):
            bench.round(str(n), given.steps)
        bench.app.close()
    medians = {name: statistics.median(found) for name, found in bench.found.items()}
    rows = {
        name: {"us": round(us, 1), "over_floor": round(us / medians["floor"], 3)}
        for name, us in medians.items()
    }
    if given.json:
        print(json.dumps({"steps": given.steps, "rounds": given.rounds, "rows": rows}, indent=2))
        return
    for name, row in rows.items():
        print(f"{name:26} {row['us']:10.1f} µs   {row['over_floor']:8.3f} × the floor")


if __name__ == "__main__":
    main()
