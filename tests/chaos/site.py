"""A folder with a user's code, database and journal, and the processes that take deliveries.

The journal is the file `payonce.db`, or in a database that the site is given. The user's own
database is the file `school.db`, but where the last write ends the run: then it is the journal's.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.journal.stores import PostgresStore
from tests.journal.sums import add_up

from payonce.journal import journal_at
from payonce.journal.protocol import Journal, RunFilter
from payonce.model import Call, CallState, Run
from payonce.testing import MeteredProvider, Price

PRICES = {"*": Price("0", "0", call="0.02")}
"""What each call is billed at, and what the apps' steps say that they cost."""
APPS = Path(__file__).with_name("apps")
_ALWAYS = ("guard.py", "llm.py", "school.py", "told.py")
_SECONDS = 90


@dataclass(frozen=True)
class Told:
    """What a delivery ended with: `done` and a value, or the name of what was raised."""

    word: str
    value: Any = None
    text: str = ""
    paid: str | None = None
    kind: str | None = None


class Worker:
    """One process that works on one delivery."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process, self._output = process, output

    def told(self) -> Told:
        """Wait for its end, and read what it said.

        Raises:
            AssertionError: it ended without a word.
        """
        self.process.wait(_SECONDS)
        lines = [n for n in self._output.read_text().splitlines() if n.startswith('{"told"')]
        assert lines, f"exit code {self.process.returncode}: {self._output.read_text()}"
        said = json.loads(lines[-1])
        return Told(said.pop("told"), **said)

    def died(self) -> bool:
        """Wait for its end: whether SIGKILL ended it."""
        return self.process.wait(_SECONDS) == -9

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait(_SECONDS)


class Site:
    """The place where an app is deployed; its table lacks a column until `migrate`."""

    def __init__(
        self,
        folder: Path,
        provider: MeteredProvider,
        app: str = "course",
        shared: PostgresStore | None = None,
    ) -> None:
        self.folder, self.provider = folder, provider
        self._workers: list[Worker] = []
        self._journal: Journal | None = None
        self._shared, self._is_exact = shared, False
        self.store = folder / "payonce.db"
        self.school("CREATE TABLE courses (id INTEGER)")
        for name in _ALWAYS:
            shutil.copy(APPS / name, folder)
        self.deploy(app)

    def deploy(self, app: str) -> None:
        """Put the code of an app in the place of what is there."""
        shutil.copyfile(APPS / f"{app}.py", self.folder / "course.py")
        self._is_journaled = app != "bare"
        if app.startswith("exact"):
            self.store, self._is_exact = self.folder / "school.db", True
            if self._shared is not None:
                self.school("CREATE TABLE courses (id INTEGER)")

    @property
    def url(self) -> str:
        """The store."""
        return f"sqlite:///{self.store}" if self._shared is None else self._shared.url

    @property
    def spilled(self) -> list[Path]:
        """The receipts that wait beside the journal."""
        folder = self.store.with_name(f"{self.store.name}.spill")
        return list((folder if self._shared is None else self._shared.spill).glob("*.json"))

    def locked(self) -> AbstractContextManager[None]:
        """Nobody else can write to the journal."""
        return locked(self.store) if self._shared is None else _locked(self._shared)

    def migrate(self) -> None:
        """Add the column."""
        self.school("ALTER TABLE courses ADD COLUMN outline TEXT")

    def school(self, sql: str) -> list[Any]:
        """Run a statement on the user's own database."""
        if self._is_exact and self._shared is not None:
            return self._shared.execute(sql)
        with closing(sqlite3.connect(self.folder / "school.db")) as db, db:
            return db.execute(sql).fetchall()

    def start(self, command: str = "deliver", **settings: object) -> Worker:
        """A new process; settings are environment variables in lower case."""
        output = self.folder / f"worker-{len(self._workers)}.log"
        named = {name.upper(): str(value) for name, value in settings.items()}
        named |= {"PARENT_PID": str(os.getpid()), "PAYONCE_STORE": self.url}
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "course.py", command],
                cwd=self.folder,
                env=os.environ | self.provider.environ() | named,
                stdout=file,
                stderr=file,
            )
        self._workers.append(Worker(process, output))
        return self._workers[-1]

    def deliver(self, command: str = "deliver", **settings: object) -> Told:
        """One delivery in a process of its own."""
        return self.start(command, **settings).told()

    def killed_in(self, label: str, **settings: object) -> None:
        """A delivery whose process is killed after a call was billed, before its answer came."""
        with self.provider.hold(label) as held:
            worker = self.start(**settings)
            assert held.arrived.wait(_SECONDS)
            worker.kill()

    @property
    def journal(self) -> Journal:
        """The journal, as this process sees it."""
        if self._journal is None:
            self._journal = journal_at(self.url)
        return self._journal

    @property
    def run(self) -> Run:
        """The one run."""
        (found,) = self.journal.runs(RunFilter())
        return found.run

    def calls(self, *states: CallState) -> list[Call]:
        """The run's calls in these states, or all, as they were begun."""
        calls = sorted(self.journal.calls(self.run.id), key=lambda call: call.id)
        return [call for call in calls if not states or call.state in states]

    def doubts(self) -> list[Call]:
        """The calls that are in doubt."""
        return self.calls(CallState.IN_DOUBT)

    def count(self, what: str) -> int:
        """How often the app did something."""
        file = self.folder / f"{what}.count"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def rows(self) -> int:
        """How many courses the user's database has."""
        return int(self.school("SELECT count(*) FROM courses")[0][0])

    def bill(self) -> dict[str, int]:
        """How often each text was billed."""
        labels = [call.label for call in self.provider.bill]
        return {label: labels.count(label) for label in sorted(set(labels))}

    def _the_ledger_is_the_bill(self) -> None:
        """To the nano: what was billed is settled, or may have been and is named as in doubt."""
        calls = [c for s in self.journal.runs(RunFilter()) for c in self.journal.calls(s.run.id)]
        receipts = [c for c in calls if c.state is CallState.PAID and c.cost_nanos]
        doubts = [c for c in calls if c.state in (CallState.INTENDED, CallState.IN_DOUBT)]
        bill = self.provider.bill
        told = f"{len(bill)} billed, {len(receipts)} receipts, {len(doubts)} in doubt"
        assert len(receipts) <= len(bill) <= len(receipts) + len(doubts), told
        unrecorded = sum(call.cost_nanos for call in bill[len(receipts) :])
        assert add_up(self._execute).spent == self.provider.cost.nanos - unrecorded

    def _execute(self, sql: str) -> list[Any]:
        """Read the journal's tables."""
        if self._shared is not None:
            return self._shared.execute(sql)
        with closing(sqlite3.connect(self.store)) as db:
            return db.execute(sql).fetchall()

    def stop(self) -> None:
        """End what still works, look at the money, and close the journal."""
        for worker in self._workers:
            worker.kill()
        if self._is_journaled:
            self._the_ledger_is_the_bill()
        if self._journal is not None:
            self._journal.stop()


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody else can write to a database; one that isn't in WAL mode can't be read either."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield
        db.execute("ROLLBACK")


@contextmanager
def _locked(store: PostgresStore) -> Iterator[None]:
    with closing(store.connect()) as db:
        db.execute("LOCK TABLE payonce_runs, payonce_calls, payonce_payloads IN EXCLUSIVE MODE")
        yield
        db.rollback()
