"""What a preflight of one table costs in schemas of 10 and 1,000 tables, beside two others.

    python bench/preflight.py [--tables 10 100 1000] [--database URL] [--json]

In one run, on one PostgreSQL server and warm connections: payonce's look at the table of one job,
its re-check of the fingerprint, and the same with an INSERT to be planned; Alembic's
`compare_metadata`, which `alembic check` stands on; SQLAlchemy's reflection. Without --database a
private server is started from the binaries on this machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from payonce import Payonce
from payonce.ready import Need, State

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

COLUMNS = (
    ("title", sa.String(50)),
    ("outline", sa.Text()),
    ("score", sa.Integer()),
    ("price", sa.Numeric(10, 2)),
    ("meta", sa.JSON()),
    ("made", sa.DateTime(timezone=True)),
    ("shown", sa.Boolean()),
)
GOAL = 2.0
"""Milliseconds that the look at one table may take, whatever else is in the schema."""


def schema_of(tables: int) -> sa.MetaData:
    """So many tables, each with eight columns, an index and, but for the first, a reference."""
    metadata = sa.MetaData()
    for n in range(tables):
        reference = [sa.Column("before", sa.ForeignKey(f"t{n - 1}.id"))] if n else []
        columns = [sa.Column(name, type_) for name, type_ in COLUMNS]
        key = sa.Column("id", sa.Integer, primary_key=True)
        sa.Table(f"t{n}", metadata, key, *columns, *reference, sa.Index(f"i{n}", "title"))
    return metadata


def median(function: Callable[[], object], rounds: int) -> float:
    """Milliseconds at the median, after one round that doesn't count."""
    function()
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        function()
        found.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(found)


def checked(need: Need) -> None:
    """One look, which has to be good."""
    found = need.check()
    assert found.state is State.READY, found


def compared(engine: sa.Engine, metadata: sa.MetaData) -> None:
    """What `alembic check` does once it has its connection."""
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def reflected(engine: sa.Engine) -> None:
    """All of the schema as SQLAlchemy reads it."""
    sa.MetaData().reflect(engine)


def measure(engine: sa.Engine, tables: int, rounds: int) -> dict[str, float]:
    """All of it, in a schema of so many tables."""
    metadata = schema_of(tables)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    metadata.create_all(engine)
    table = metadata.tables[f"t{tables // 2}"]
    app = Payonce("sqlite:///never-opened.db", version="1")
    look, planned = app.schema(engine, table), app.schema(engine, table, sa.insert(table))
    few = 3 if tables > 100 else 5
    found = {
        "look at one table": median(lambda: checked(look), rounds),
        "its fingerprint": median(look.fingerprint, rounds),
        "look, and EXPLAIN an INSERT": median(lambda: checked(planned), rounds),
        "SQLAlchemy reflect()": median(lambda: reflected(engine), few),
        "Alembic compare_metadata": median(lambda: compared(engine, metadata), few),
    }
    app.close()
    return found


@contextmanager
def server(url: str | None) -> Iterator[sa.Engine]:
    """The database at a URL, or one of a private server."""
    if url is not None:
        yield sa.create_engine(url)
        return
    from tests.databases.postgres import postgres

    with postgres() as private:
        engine = sa.create_engine(private.database().replace("postgresql:", "postgresql+psycopg:"))
        yield engine
        engine.dispose()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--database", metavar="URL", help="its schema `public` is DROPPED")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with server(given.database) as engine:
        rows = {tables: measure(engine, tables, given.rounds) for tables in given.tables}
    least, most = rows[min(rows)]["look at one table"], rows[max(rows)]["look at one table"]
    summary = {
        "goal_ms": GOAL,
        "met": max(least, most) <= GOAL,
        "growth": round(most / least, 2),
    }
    if given.json:
        told = {
            str(tables): {
                name: {"ms": round(ms, 3), "over_look": round(ms / row["look at one table"], 1)}
                for name, ms in row.items()
            }
            for tables, row in rows.items()
        }
        print(json.dumps({"tables": told, **summary}, indent=2))
        return
    for tables, row in rows.items():
        for name, ms in row.items():
            ratio = ms / row["look at one table"]
            print(f"{tables:6} tables  {name:28} {ms:10.3f} ms  {ratio:10.1f} × the look")
    print(f"from {min(rows)} to {max(rows)} tables the look costs {summary['growth']} ×")


if __name__ == "__main__":
    main()
