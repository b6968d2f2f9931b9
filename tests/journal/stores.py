"""The databases that the exam is taken on, and a clock that tests set."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from payonce.journal import journal_at
from payonce.journal.protocol import Journal


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Store(Protocol):
    """One database, on which journals can be opened side by side."""

    clock: Clock

    def journal(self, *, clock: Clock | None = None) -> Journal:
        """A journal with connections of its own, as another process would have it."""

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Go round the journal, and commit."""

    def stop(self) -> None:
        """Let go of all that was opened."""


class SqliteStore:
    """A file in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.path = folder / "journal.db"
        self.url = f"sqlite:///{self.path}"
        self._opened: list[Journal] = []

    def journal(self, *, clock: Clock | None = None) -> Journal:
        opened = journal_at(self.url, clock=clock or self.clock, patience=10)
        self._opened.append(opened)
        return opened

    def connect(self) -> sqlite3.Connection:
        """A connection such as a user opens, with Python's implicit transactions."""
        return sqlite3.connect(self.path)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(sql).fetchall()

    def stop(self) -> None:
        for journal in self._opened:
            journal.stop()


STORES = {"sqlite": SqliteStore}
