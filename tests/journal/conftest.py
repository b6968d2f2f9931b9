"""The exam is taken on every kind of store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.databases.postgres import PostgresServer
from tests.journal.stores import DIALECTS, Clock, PostgresStore, SqliteStore, Store, made

from payonce.journal.protocol import Journal


@pytest.fixture(params=DIALECTS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    store = made(request.param, request, tmp_path)
    yield store
    store.stop()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An empty SQLite file, for what only SQLite has."""
    store = SqliteStore(tmp_path)
    yield store
    store.stop()


@pytest.fixture
def postgres_store(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[PostgresStore]:
    """An empty PostgreSQL schema, for what only PostgreSQL has."""
    store = PostgresStore(postgres_server, tmp_path)
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
