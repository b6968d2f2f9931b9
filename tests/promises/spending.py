"""Processes full of workers that spend from the same budgets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from payonce.testing import MeteredProvider

SPENDERS = Path(__file__).with_name("apps") / "spenders.py"
_SECONDS = 240


@dataclass(frozen=True)
class Spending:
    """What the workers of all processes do: runs of so many calls, of so many tenants.

    A call costs `fixed`, or what the provider bills for it, but no more than `ceiling`; with
    `most_tokens` it is captured. `run` is the budget of each run, and `budgets` are those that the
    app is told of.
    """

    runs: int
    calls: int = 2
    tenants: int = 1
    fixed: str | None = None
    ceiling: str | None = None
    run: str | None = None
    most_tokens: int | None = None
    budgets: list[dict[str, Any]] = field(default_factory=list)

    @property
    def told(self) -> str:
        """The same for the processes."""
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value is not None}
        )


@dataclass
class Spent:
    """What came of the runs, by all processes together; the longest took so many seconds."""

    counts: Counter[str]
    seconds: float


class Spenders:
    """The processes, which begin together."""

    def __init__(
        self,
        folder: Path,
        store: str,
        provider: MeteredProvider,
        spending: Spending,
        *,
        processes: int = 4,
        threads: int = 16,
        **settings: str,
    ) -> None:
        more = {"PAYONCE_STORE": store, "OPENAI_BASE_URL": provider.openai_url}
        self._log = (folder / "spenders.log").open("ab")
        self.processes = [
            subprocess.Popen(
                [sys.executable, SPENDERS, str(n), str(processes), str(threads)],
                env=os.environ | more | {"TOLD": spending.told} | settings,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
            )
            for n in range(processes)
        ]
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", (folder / "spenders.log").read_text()

    def begin(self) -> None:
        """Let them all go."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

    def end(self) -> Spent:
        """Wait until they have no more to do."""
        counts: Counter[str] = Counter()
        seconds = 0.0
        try:
            for process in self.processes:
                output, _ = process.communicate(timeout=_SECONDS)
                if process.returncode == 0:
                    told = json.loads(output)
                    counts.update(told["counts"])
                    seconds = max(seconds, told["seconds"])
        finally:
            for process in self.processes:
                process.kill()
                process.wait()
            self._log.close()
        return Spent(counts, seconds)
