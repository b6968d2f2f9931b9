"""The process of some tasks: `python -m tests.capture.sdks.child FILE`, which gets the outcomes.

The run key of a task is its label, so a second process goes on with the runs of the first.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from tests.capture.sdks.task import At, Outcome, Task, printed

import payonce
from payonce.journal.protocol import RunFilter
from payonce.model import Call
from payonce.money import Money
from payonce.testing.prices import tell

APPS = "tests.capture.sdks.apps"


class Broken(RuntimeError):
    """The failure after all calls of a run: the batch's last step."""


class Worker:
    """An app whose job runs whatever program a task names."""

    def __init__(self, store: str, hosts: list[str]) -> None:
        app = payonce.Payonce(store, version="1")
        app.capture(hosts=hosts)
        tell(app.prices)
        for host in hosts:
            app.prices.add("*", provider=host.partition(":")[0], call=Money.parse("0.05 USD"))
        self._app = app
        self._loop = asyncio.Runner()  # SDKs keep clients, which are bound to the first loop
        self._task, self._printed = Task("", "", "bare"), ""

        @app.job(key="{label}", name="row", backoff=0.001)
        def job(label: str) -> None:
            self._end(_program(self._task)(_at(self._task)))

        @app.job(key="{label}", name="arow", backoff=0.001)
        async def ajob(label: str) -> None:
            self._end(await _program(self._task)(_at(self._task)))

        self._job, self._ajob = job, ajob

    def _end(self, value: Any) -> None:
        self._printed = printed(value)
        if self._task.mode == "fails":
            raise Broken("column does not exist")

    def run(self, task: Task) -> Outcome:
        """One delivery of a task's run, or the program alone."""
        outcome = self._tried(task)
        calls = self._recorded(task.label)
        costs = [call.cost_nanos for call in calls]
        known = [cost for cost in costs if cost is not None]
        nanos = sum(known) if len(known) == len(costs) else None
        return replace(outcome, calls=len(calls), nanos=nanos)

    def _recorded(self, label: str) -> list[Call]:
        journal = self._app.journal
        runs = [summary.run for summary in journal.runs(RunFilter(key=label))]
        return [call for run in runs for call in journal.calls(run.id)]

    def _tried(self, task: Task) -> Outcome:
        self._task, self._printed = task, ""
        try:
            return Outcome(self._ran(task))
        except (Broken, payonce.NotDone) as told:
            cause = told.__cause__ if isinstance(told, payonce.NotDone) else told
            if isinstance(cause, Broken):
                return Outcome(self._printed)
            return Outcome(error=_said(cause or told))
        except Exception as exc:
            return Outcome(error=_said(exc))

    def _ran(self, task: Task) -> str:
        program = _program(task)
        awaits = inspect.iscoroutinefunction(program)
        if task.mode == "bare":
            value = program(_at(task))
            return printed(self._loop.run(value) if awaits else value)
        if awaits:
            self._loop.run(self._ajob(task.label))
        else:
            self._job(task.label)
        return self._printed


def _program(task: Task) -> Callable[[At], Any]:
    module, _, name = task.program.partition(".")
    function: Callable[[At], Any] = getattr(import_module(f"{APPS}.{module}"), name)
    return function


def _at(task: Task) -> At:
    return At(task.label, task.timeout)


def _said(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc))[-6000:]


def main() -> None:
    """Run the tasks of standard input, one after the other."""
    told = json.load(sys.stdin)
    worker = Worker(told["store"], told["hosts"])
    outcomes = [asdict(worker.run(Task(**task))) for task in told["tasks"]]
    versions = {name: metadata.version(name) for name in told["packages"]}
    Path(sys.argv[1]).write_text(json.dumps({"outcomes": outcomes, "versions": versions}))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # an SDK's threads and clients have nothing left to say


if __name__ == "__main__":
    main()
