"""`app.watch` on each kind of database: what its fingerprint moves on, and what it doesn't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import psycopg
import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from tests.databases.postgres import PostgresServer
from tests.preflight.conftest import Place
from tests.promises.asking import word

from payonce import Payonce
from payonce.preflight import watched

POSTGRES = [
    "ALTER TABLE courses ADD later text",
    "CREATE UNIQUE INDEX later ON courses (later)",
    "ALTER TABLE courses ADD CONSTRAINT positive CHECK (score > 0)",
    "ALTER TABLE courses DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (score > 1)",
    "ALTER TYPE mood ADD VALUE 'glad'",
    "REVOKE INSERT ON courses FROM app",
    "CREATE OR REPLACE FUNCTION plain(text) RETURNS text LANGUAGE sql AS 'SELECT $1 || $1'",
    "ALTER TABLE courses ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY every ON courses USING (true)",
    "CREATE TABLE more (id int)",
    "DROP TABLE more",
]
MARIADB = [
    "ALTER TABLE courses ADD later VARCHAR(9), ALGORITHM=INSTANT",
    "CREATE UNIQUE INDEX later ON courses (later)",
    "ALTER TABLE courses MODIFY mood ENUM('calm', 'cross', 'glad')",
    "CREATE TRIGGER keep BEFORE INSERT ON courses FOR EACH ROW SET NEW.score = 1",
    "CREATE TABLE more (id int)",
    "DROP TABLE more",
]
SQLITE = [
    "ALTER TABLE courses ADD COLUMN later TEXT",
    "CREATE UNIQUE INDEX later ON courses (later)",
    "DROP TRIGGER keep",
]
MOVES = {"postgres": POSTGRES, "mariadb": MARIADB, "sqlite": SQLITE}


@pytest.mark.parametrize(("place", "moves"), MOVES.items(), ids=list(MOVES), indirect=["place"])
def test_a_change_of_the_schema_moves_it(place: Place, moves: list[str]) -> None:
    """Each of these is a change, seen by the next look; new rows and payonce's tables are none."""
    schema = watched(place.url)
    seen = [schema.fingerprint()]
    for move in moves:
        place.do(move)
        seen.append(schema.fingerprint())
        place.do("INSERT INTO tenants VALUES (1000)" if len(seen) == 2 else "SELECT 1")
        place.do(f"CREATE TABLE payonce_runs_{len(seen)} (id int)")
        assert schema.fingerprint() == seen[-1]
    schema.close()
    assert all(one != next_ for one, next_ in pairwise(seen))
    assert "?" not in seen


def _ways(place: Place) -> Iterator[Any]:
    at = sa.make_url(place.url)
    if at.drivername == "postgresql":
        yield lambda: psycopg.connect(place.url)
        yield sa.create_engine(at.set(drivername="postgresql+psycopg"))
        yield create_async_engine(at.set(drivername="postgresql+asyncpg"))
        yield create_async_engine(at.set(drivername="postgresql+psycopg"))
        yield at.set(drivername="postgresql+asyncpg").render_as_string()
    else:
        name, port, user = at.database, at.port, at.username
        yield lambda: pymysql.connect(host="127.0.0.1", port=port, user=user, database=name)
        yield sa.create_engine(at.set(drivername="mysql+pymysql"))
        yield at.set(drivername="mariadb+pymysql").render_as_string()


@pytest.mark.parametrize("place", ["postgres", "mariadb"], indirect=True)
def test_each_way_to_it_sees_the_same(place: Place) -> None:
    """A URL, an engine, an async engine or a function: one database, one fingerprint; and none
    of the engine's own connections is used."""
    one = watched(place.url)
    seen = {one.fingerprint()}
    one.close()
    for way in _ways(place):
        schema = watched(way)
        seen.add(schema.fingerprint())
        schema.close()
        pool = getattr(way, "pool", None)
        assert pool is None or pool.checkedout() == pool.checkedin() == 0
    assert len(seen) == 1


@pytest.mark.parametrize("place", ["postgres", "mariadb"], indirect=True)
def test_a_parked_run_wakes(app: Payonce, place: Place) -> None:
    """Given a run that failed for good, when the watched schema changes, then the next delivery
    goes on; before, and while the database can't be read, it stays parked."""
    app.watch(place.url)
    there: list[Callable[[], None]] = []

    @app.job(key="k")
    def work() -> str:
        if not there:
            raise KeyError("later")
        return "done"

    assert [word(work), word(work)] == ["Parked", "Parked"]
    there.append(app.close)
    assert word(work) == "Parked"
    place.do("ALTER TABLE courses ADD COLUMN later INT")
    assert word(work) == "done"


def test_the_journals_own_database_is_watched_without_asking(
    postgres_server: PostgresServer,
) -> None:
    """Given a journal in PostgreSQL, when the batch's tables beside it change, then its parked
    runs go on; payonce's own tables are no change."""
    url = postgres_server.database()
    app = Payonce(f"{url}?prepare=on", version="1")
    there: list[int] = []

    @app.job(key="k")
    def work() -> str:
        if not there:
            raise KeyError("later")
        return "done"

    assert [word(work), word(work)] == ["Parked", "Parked"]
    there.append(1)
    postgres_server.execute("CREATE TABLE payonce_more (id int)", url)
    assert word(work) == "Parked"
    postgres_server.execute("CREATE TABLE courses (id int)", url)
    assert word(work) == "done"
    app.close()
    postgres_server.drop(url)
