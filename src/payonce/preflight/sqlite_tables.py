"""Edge: what SQLite's catalogue tells of single tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from payonce.preflight.database import Connection
from payonce.preflight.found import Catalogue, FoundColumn, FoundTable, Named, Right

_ALL = frozenset(Right)
_COLUMNS = (
    "SELECT name, type, [notnull], dflt_value, pk, hidden "
    "FROM pragma_table_xinfo(?, ?) ORDER BY cid"
)
_TEXT = (
    "SELECT type, name, sql FROM {}.sqlite_schema WHERE tbl_name = ? COLLATE NOCASE "
    "ORDER BY type, name"
)
_ALL_TEXT = "SELECT type, name, sql FROM {}.sqlite_schema ORDER BY type, name"
_REACHING = ("trigger", "view")
_GENERATED = (2, 3)


def look(connection: Connection, tables: Sequence[Named]) -> Catalogue:
    """What these tables look like; of one with triggers, and of a view, all may matter."""
    found = [_look(connection, table) for table in tables]
    return Catalogue(
        tables=tuple(table for table, _ in found),
        text="\n".join(text for _, text in found),
        reads_only=bool(connection.rows("PRAGMA query_only")[0][0]),
    )


def _look(connection: Connection, named: Named) -> tuple[FoundTable | None, str]:
    schema = named.schema or "main"
    quoted = '"' + schema.replace('"', '""') + '"'
    texts = connection.rows(_TEXT.format(quoted), named.name)
    if not texts:
        return None, "absent"
    if any(kind in _REACHING for kind, _, _ in texts):
        texts = connection.rows(_ALL_TEXT.format(quoted))
    own = next((sql for _, name, sql in texts if name.lower() == named.name.lower()), None)
    typed = (own or "").rpartition(")")[2].upper().find("STRICT") >= 0
    rows = connection.rows(_COLUMNS, named.name, schema)
    keys = sum(1 for row in rows if row[4])
    columns = (_column(row, keys, typed=typed) for row in rows)
    return FoundTable(named.schema, {c.name: c for c in columns}, _ALL), str(texts)


def _column(row: Sequence[Any], keys: int, *, typed: bool) -> FoundColumn:
    name, type_, required, default, key, hidden = row
    is_rowid = bool(key) and keys == 1 and type_.upper() == "INTEGER"
    return FoundColumn(
        name=name,
        type=type_,
        required=bool(required),
        filled=default is not None or is_rowid,
        made=hidden in _GENERATED,
        rights=_ALL,
        typed=typed,
    )


def whole(connection: Connection) -> str:
    """The text of the whole schema, but for payonce's own tables."""
    rows = connection.rows(_ALL_TEXT.format("main"))
    return str([row for row in rows if not row[1].startswith(("payonce_", "sqlite_"))])


def explain(connection: Connection, sql: str, parameters: int) -> None:
    """Compile a statement, the triggers that it would fire included, without running it."""
    connection.run(f"EXPLAIN {sql}", *([None] * parameters))


def begin_rehearsal(connection: Connection, tables: Sequence[Named]) -> set[Any]:
    """Inside the transaction of a rehearsal, before its statements."""
    return _orphans(connection, tables)


def end_rehearsal(connection: Connection, tables: Sequence[Named], begun: set[Any]) -> None:
    """Inside the transaction of a rehearsal, after its statements: foreign keys are checked.

    They are, too, where the connection doesn't enforce them.
    """
    for table, _, parent in _orphans(connection, tables) - begun:
        raise BrokenReference(f"FOREIGN KEY constraint failed: {table} names no row of {parent}")


def _orphans(connection: Connection, tables: Sequence[Named]) -> set[Any]:
    found: set[Any] = set()
    for named in tables:
        rows = connection.rows("SELECT * FROM pragma_foreign_key_check(?)", named.name)
        found |= {(table, row, parent) for table, row, parent, _ in rows}
    return found


class BrokenReference(Exception):
    """A rehearsed row names no row of its parent table."""
