"""A database that doesn't answer holds nobody up for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine
from tests.databases.mariadb import MariadbServer
from tests.databases.postgres import PostgresServer

from payonce.preflight import guard
from payonce.preflight.connecting import database

ENGINES: dict[str, Callable[[str], Any]] = {
    "a URL": lambda url: url,
    "an engine": lambda url: sqlalchemy.create_engine(url.replace("://", "+psycopg://")),
    "an async engine": lambda url: create_async_engine(url.replace("://", "+asyncpg://")),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question is cut off after a moment."""
    monkeypatch.setattr(guard, "LONGEST", 0.5)


@pytest.mark.parametrize("way", ENGINES)
def test_a_question_ends_though_postgres_is_silent(
    postgres_server: PostgresServer, way: str
) -> None:
    """A question without an answer fails, and the next one is asked over a new connection."""
    target = ENGINES[way](postgres_server.url)
    asked = database(target)
    assert [tuple(row) for row in asked.ask(lambda db: db.rows("SELECT 1"))] == [(1,)]
    with pytest.raises(Exception, match=r"(?i)closed|lost|connection|terminated"):
        asked.ask(lambda db: db.rows("SELECT pg_sleep(60)"))
    assert [tuple(row) for row in asked.ask(lambda db: db.rows("SELECT 2"))] == [(2,)]
    asked.close()
    if way != "a URL":
        getattr(target, "sync_engine", target).dispose(close=False)


def test_a_question_ends_though_mariadb_is_silent(mariadb_server: MariadbServer) -> None:
    """So it does over PyMySQL."""
    asked = database(mariadb_server.database())
    assert asked.ask(lambda db: db.rows("SELECT 1")) == [(1,)]
    with pytest.raises(Exception, match=r"(?i)lost|closed|connection"):
        asked.ask(lambda db: db.rows("SELECT SLEEP(60)"))
    assert asked.ask(lambda db: db.rows("SELECT 2")) == [(2,)]
    asked.close()
