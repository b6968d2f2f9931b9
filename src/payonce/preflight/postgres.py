"""Edge: what PostgreSQL's catalogue tells; it waits for no open ALTER TABLE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec

from payonce.preflight.database import Connection
from payonce.preflight.found import Catalogue, FoundColumn, FoundTable, Named, Right, query

_WAIT = "SET LOCAL lock_timeout = '1s'"


@cache
def _tables_query(marker: str) -> str:
    return query("postgres_tables").replace(":tables", marker)


_schema_query = cache(query)


def look(connection: Connection, tables: Sequence[Named]) -> Catalogue:
    """What these tables look like, by one query."""
    wanted = [
        {"place": n, "schema": each.schema, "name": each.name} for n, each in enumerate(tables)
    ]
    asked = msgspec.json.encode(wanted).decode()
    rows = connection.rows(_tables_query(connection.marker), asked)
    return Catalogue(
        tables=tuple(_table(msgspec.json.decode(row[2])) for row in rows),
        text="\n".join(row[2] for row in rows),
        reads_only=any(row[1] for row in rows),
    )


def _table(told: Mapping[str, Any]) -> FoundTable | None:
    if told["kind"] is None:
        return None
    columns = (_column(each) for each in told["columns"] or ())
    return FoundTable(
        schema=told["schema"],
        columns={column.name: column for column in columns},
        rights=_rights(told),
        denied=not told["enter"],
    )


def _column(told: Mapping[str, Any]) -> FoundColumn:
    return FoundColumn(
        name=told["name"],
        type=told["type"],
        required=told["required"],
        filled=told["filled"],
        made=told["made"],
        rights=_rights(told),
        labels=tuple(told["labels"]) if told["labels"] is not None else None,
    )


def _rights(told: Mapping[str, Any]) -> frozenset[Right]:
    return frozenset(right for right in Right if told.get(right.value.lower()))


def whole(connection: Connection) -> str:
    """A hash of all that the database's schemas hold."""
    return str(connection.rows(_schema_query("postgres_schema"))[0][0])


def explain(connection: Connection, sql: str, parameters: int) -> None:
    """Let the server plan a statement without running it, with NULL for each parameter.

    PREPARE finds the parameters' types by itself; what PREPARE doesn't see (privileges, the
    index behind ON CONFLICT), EXPLAIN does. A lock is waited for no longer than a second.
    """
    nulls = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    try:
        with connection.undone():
            connection.run(_WAIT)
            connection.run(f"PREPARE payonce_preflight AS {sql}")
            connection.run(f"EXPLAIN (COSTS OFF) EXECUTE payonce_preflight{nulls}")
            connection.run("DEALLOCATE payonce_preflight")
    except Exception:
        with suppress(Exception):  # what was prepared outlives the transaction, with some drivers
            connection.run("DEALLOCATE payonce_preflight")
        raise


def begin_rehearsal(connection: Connection, tables: Sequence[Named]) -> None:
    """Inside the transaction of a rehearsal, before its statements."""
    connection.run(_WAIT)
    connection.run("SET LOCAL statement_timeout = '10s'")


def end_rehearsal(connection: Connection, tables: Sequence[Named], begun: Any) -> None:
    """Inside the transaction of a rehearsal, after its statements: what was put off is checked."""
    connection.run("SET CONSTRAINTS ALL IMMEDIATE")
