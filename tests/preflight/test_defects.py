"""Each defect is found on its rung of the ladder, and nothing is found where there is none."""

from __future__ import annotations

import pytest
from tests.preflight import defects_mariadb, defects_postgres, defects_sqlite
from tests.preflight.conftest import Place, looked
from tests.preflight.defects import PLANNED, Broken

from payonce import Payonce
from payonce.ready import State

TABLES = {
    "postgres": defects_postgres.DEFECTS,
    "sqlite": defects_sqlite.DEFECTS,
    "mariadb": defects_mariadb.DEFECTS,
}
EACH = pytest.mark.parametrize(
    ("place", "broken"),
    [
        pytest.param(name, broken, id=f"{name}-{broken}")
        for name, table in TABLES.items()
        for broken in table
    ],
    indirect=["place"],
)


def test_the_tables_are_as_long_as_they_are_said_to_be() -> None:
    """34 defects of PostgreSQL, 21 of SQLite, 26 of MariaDB."""
    assert {name: len(table) for name, table in TABLES.items()} == {
        "postgres": 34,
        "sqlite": 21,
        "mariadb": 26,
    }


@EACH
def test_a_defect_is_found_on_its_rung(app: Payonce, place: Place, broken: Broken) -> None:
    """Given a healthy schema, then its write is ready; given a defect, when the write is given as
    a statement, then the catalogue or EXPLAIN finds it where it can be found without running
    anything, and in any case the rehearsal with a sample row does."""
    statement = app.schema(place.url, broken.write)
    rehearsal = app.schema(place.url, rehearse=[(broken.write, broken.values)])
    assert (looked(statement).state is State.READY) is not broken.by_itself
    assert (looked(rehearsal).state is State.READY) is not broken.by_itself
    place.do(broken.sql)
    planned, rehearsed = looked(statement), looked(rehearsal)
    assert (planned.state is not State.READY) is (broken.rung == PLANNED), planned
    assert rehearsed.state is not State.READY
    assert all(rehearsed.defects)
    untold = {found.state is State.CANT_TELL for found in (planned, rehearsed)}
    assert broken.rung != PLANNED or untold == {broken.name == "read-only"}
