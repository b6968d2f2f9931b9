"""Apps on both kinds of journal, on a clock that tests set, and a database that lacks a column."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.journal.stores import DIALECTS, Clock, Store, made

from payonce import Payonce


class School:
    """A user's database, whose table lacks a column until it is migrated."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.execute("CREATE TABLE courses (id TEXT)")

    def execute(self, sql: str, *values: Any) -> list[Any]:
        """Run a statement, and commit."""
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            return db.execute(sql, values).fetchall()

    def save(self, course: object) -> None:
        """The write that fails before the migration."""
        self.execute("INSERT INTO courses (id, outline) VALUES (?, 'x')", str(course))

    def migrate(self) -> None:
        """Add the column."""
        self.execute("ALTER TABLE courses ADD COLUMN outline TEXT")


@pytest.fixture(params=DIALECTS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database for the journal."""
    store = made(request.param, request, tmp_path)
    yield store
    store.stop()


@pytest.fixture
def school(tmp_path: Path) -> School:
    """The user's own database."""
    return School(tmp_path / "school.db")


@pytest.fixture
def clock(store: Store) -> Clock:
    """The clock of all apps."""
    return store.clock


@pytest.fixture
def make_app(store: Store) -> Iterator[Callable[..., Payonce]]:
    """Makes apps on one journal, each as another process would have it."""
    apps: list[Payonce] = []

    def make(**options: Any) -> Payonce:
        usual = {"store": store.url, "version": "1", "clock": store.clock, "look_every": None}
        apps.append(Payonce(**usual | options))
        return apps[-1]

    yield make
    for app in apps:
        app.close()


@pytest.fixture
def app(make_app: Callable[..., Payonce]) -> Payonce:
    """One app."""
    return make_app()
