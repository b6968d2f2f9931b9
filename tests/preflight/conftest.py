"""Databases to be broken: each as the superuser has it, and as the app connects to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from tests.databases.mariadb import MariadbServer
from tests.databases.postgres import PostgresServer
from tests.preflight import defects_mariadb, defects_postgres, defects_sqlite

from payonce import Payonce
from payonce.model import World
from payonce.ready import Need, Readiness


@dataclass(frozen=True)
class Place:
    """A database: `url` as the app has it, `do` as whoever runs migrations."""

    url: str
    do: Callable[[str], Any]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Payonce]:
    """An app whose own journal is apart from all of these."""
    app = Payonce(f"sqlite:///{tmp_path}/journal.db", version="1")
    yield app
    app.close()


@pytest.fixture(scope="session")
def postgres_place(postgres_server: PostgresServer) -> Iterator[Place]:
    """A PostgreSQL database, with a role of its own for the app."""
    with suppress(psycopg.errors.DuplicateObject):
        postgres_server.execute("CREATE ROLE app LOGIN")
    url = postgres_server.database()
    yield Place(
        postgres_server.url_of(url.rpartition("/")[2], user="app"),
        lambda sql: postgres_server.execute(sql, url),
    )
    postgres_server.drop(url)


@pytest.fixture
def on_postgres(postgres_place: Place) -> Place:
    """It, in good health."""
    postgres_place.do("ALTER ROLE app RESET ALL")
    postgres_place.do(defects_postgres.HEALTHY)
    return postgres_place


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Place:
    """A SQLite database in good health."""
    import sqlite3

    file = tmp_path / "school.db"

    def do(sql: str) -> None:
        db = sqlite3.connect(file)
        db.executescript(sql)
        db.close()

    do(defects_sqlite.HEALTHY)
    return Place(f"sqlite:///{file}", do)


@pytest.fixture
def on_mariadb(mariadb_server: MariadbServer) -> Iterator[Place]:
    """A MariaDB database in good health, with an account of its own for the app."""
    url = mariadb_server.database()
    name = url.rpartition("/")[2]

    def do(sql: str) -> None:
        for statement in sql.split(";"):
            if statement.strip():
                mariadb_server.execute(statement.replace("{database}", name), url)

    do(defects_mariadb.HEALTHY)
    do("CREATE USER IF NOT EXISTS app@'127.0.0.1'")
    do("GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE, TRIGGER ON {database}.* TO app@'127.0.0.1'")
    yield Place(mariadb_server.url_of(name, user="app"), do)
    do("SET GLOBAL read_only = 0; DROP USER app@'127.0.0.1'")
    mariadb_server.drop(url)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """The one that a test names as its parameter."""
    found = request.getfixturevalue(f"on_{request.param}")
    assert isinstance(found, Place)
    return found


ANYWHERE = pytest.mark.parametrize("place", ["postgres", "sqlite", "mariadb"], indirect=True)
WORLD = World("1", "")


def looked(need: Need) -> Readiness:
    """What a need finds, with its connection closed again."""
    try:
        return need.check()
    finally:
        need.close()


__all__ = ["ANYWHERE", "WORLD", "Place", "looked", "pymysql"]
