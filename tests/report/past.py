"""A journal of a day that is over, with what happened then, for `payonce why` to tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import Result
from tests.cli.shopping import payonce
from tests.journal.making import closing, intended, opened, receipt
from tests.journal.making import intent as intent_of
from tests.journal.stores import Clock

from payonce.journal.sqlite import SqliteJournal
from payonce.model import Delivery, Run, RunState

NOON = 1_781_265_600.0  # 12 June 2026, 12:00 UTC, a Friday
CENT = 10_000_000
TASKS = Delivery("cloud-tasks", "q/course-42", 0, None, "Google-Cloud-Tasks")


class Past:
    """A journal on 12 June 2026, and `payonce why` about that day."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.clock = Clock()
        self.clock.now = NOON
        self.journal = SqliteJournal(file, clock=lambda: self.clock.now)

    def open(self, key: str = "course:42", **more: Any) -> Run:
        return opened(self.journal, key, **{"delivery": TASKS, "lease": 9e5} | more)

    def pay(self, run: Run, step: str, cents: int | None = 1, **more: Any) -> int:
        asked = more.pop("intent", {})
        call = intended(self.journal, run, step, **asked)
        cost = None if cents is None else cents * CENT
        paid = receipt(cost_nanos=cost, **more)
        self.journal.complete(call, intent_of(run, step, **asked), paid).now()
        return call

    def close(self, run: Run, state: RunState = RunState.DONE, **more: Any) -> None:
        self.journal.close(closing(run, state, **more)).now()

    def deliver(self, run: Run, times: int, every: float = 60.0) -> None:
        for n in range(times):
            self.clock.move(every)
            again = Delivery("cloud-tasks", "q/course-42", n + 1, "500", "Google-Cloud-Tasks")
            self.journal.note(run.id, again, "park").now()

    def ask(self, *arguments: str) -> Result:
        chosen = () if {"--run", "--day", "--since"} & {*arguments} else ("--day", "2026-06-12")
        return payonce("why", "--store", f"sqlite:///{self.file}", *chosen, *arguments)

    def sentence(self, *arguments: str) -> str:
        return str(json.loads(self.ask("--json", *arguments).stdout)["sentence"])

    def document(self, *arguments: str) -> Any:
        return json.loads(self.ask("--json", *arguments).stdout)
