"""The databases that the exam is taken on, and a clock that tests set."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import psycopg
import pytest
from tests.databases.postgres import PostgresServer

from payonce.journal import journal_at
from payonce.journal.postgres_url import parsed
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
    url: str
    dialect: str
    spill: Path

    def journal(
        self, *, clock: Callable[[], float] | None = None, patience: float = 10.0
    ) -> Journal:
        """A journal with connections of its own, as another process would have it."""

    def impatient(self) -> Journal:
        """A journal that waits for others for no more than a moment."""

    def locked(self) -> AbstractContextManager[None]:
        """Another process's transaction that does not end, and that no receipt can pass."""

    def connect(self) -> Any:
        """A connection such as a user opens, with implicit transactions."""

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Go round the journal, and commit."""

    def stop(self) -> None:
        """Let go of all that was opened."""


class SqliteStore:
    """A file in a folder of its own."""

    dialect = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.path = folder / "journal.db"
        self.url = f"sqlite:///{self.path}"
        self.spill = folder / "journal.db.spill"
        self._opened: list[Journal] = []

    def journal(
        self, *, clock: Callable[[], float] | None = None, patience: float = 10.0
    ) -> Journal:
        opened = journal_at(self.url, clock=clock or self.clock, patience=patience)
        self._opened.append(opened)
        return opened

    def impatient(self) -> Journal:
        return self.journal(patience=0.05)

    @contextmanager
    def locked(self) -> Iterator[None]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")

    def connect(self) -> sqlite3.Connection:
        """A connection such as a user opens, with Python's implicit transactions."""
        return sqlite3.connect(self.path)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(sql).fetchall()

    def stop(self) -> None:
        for journal in self._opened:
            journal.stop()


class PostgresStore:
    """A fresh schema of the private server; `more` are parameters of the store's URL."""

    dialect = "postgres"

    def __init__(self, server: PostgresServer, folder: Path, **more: str) -> None:
        self.clock = Clock()
        self.server = server
        self.database = server.schema()
        self.url = f"{self.database}&{urlencode({'spill': str(folder)} | more)}"
        self.spill = parsed(self.url).spill[0]
        self._opened: list[Journal] = []

    def journal(
        self, *, clock: Callable[[], float] | None = None, patience: float = 10.0
    ) -> Journal:
        opened = journal_at(self.url, clock=clock or self.clock, patience=patience)
        self._opened.append(opened)
        return opened

    def impatient(self) -> Journal:
        return self.journal(patience=1.0)

    @contextmanager
    def locked(self) -> Iterator[None]:
        with psycopg.connect(self.database) as other:
            other.execute("LOCK TABLE payonce_payloads IN SHARE MODE")
            yield
            other.rollback()

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection such as a user opens."""
        return psycopg.connect(self.database)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        return self.server.execute(sql, self.database)

    def stop(self) -> None:
        for journal in self._opened:
            journal.stop()
        self.server.drop(self.database)


DIALECTS = ("postgres", "sqlite")


def made(dialect: str, request: pytest.FixtureRequest, folder: Path) -> Store:
    """An empty database of a dialect; the private server is started when it is first needed."""
    if dialect == "sqlite":
        return SqliteStore(folder)
    return PostgresStore(request.getfixturevalue("postgres_server"), folder)
