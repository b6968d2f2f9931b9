"""The exam is taken on every kind of store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journal.stores import STORES, Clock, SqliteStore, Store

from payonce.journal.protocol import Journal


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    store = STORES[request.param](tmp_path)
    yield store
    store.stop()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An empty SQLite file, for what only SQLite has."""
    store = SqliteStore(tmp_path)
    yield store
    store.stop()


@pytest.fixture
def journal(store: Store) -> Journal:
    """A journal on it."""
    return store.journal()


@pytest.fixture
def clock(store: Store) -> Clock:
    """The clock of the store's journals."""
    return store.clock
