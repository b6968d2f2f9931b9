"""The databases that journals are kept in while workers are harmed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest


class Store(Protocol):
    """A database of its own for one test."""

    url: str

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement past the journal, and commit."""


class SqliteStore:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "payonce.db"
        self.url = f"sqlite:///{self.path}"

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            return db.execute(sql).fetchall()


@contextmanager
def _sqlite(request: pytest.FixtureRequest, folder: Path) -> Iterator[Store]:
    yield SqliteStore(folder)


STORES: dict[str, Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Store]]] = {
    "sqlite": _sqlite
}
"""How to come by each kind."""
