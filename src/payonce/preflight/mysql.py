"""Edge: what the catalogue of MySQL and MariaDB tells.

By table, not by one query over `information_schema`: a join of two of its views costs 40 ms in a
schema of 1,000 tables, where SHOW costs 0.4 ms in any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from payonce.preflight.database import Connection
from payonce.preflight.found import Catalogue, FoundColumn, FoundTable, Named, Right, query

MISSING, DENIED = 1146, 1142
_GONE = {MISSING, 1049, 1051}
_NO_RIGHT = {DENIED, 1044, 1143}
_COUNTER = re.compile(r"\bAUTO_INCREMENT=\d+ ?")
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_UNDOES = re.compile(r"ENGINE=(?:InnoDB|ROCKSDB|TokuDB|ndbcluster)", re.IGNORECASE)

_schema_query = cache(query)


def look(connection: Connection, tables: Sequence[Named]) -> Catalogue:
    """What these tables look like, with two SHOWs and the triggers of each."""
    connection.run("SET SESSION lock_wait_timeout = 1")
    reads_only, mode = connection.rows("SELECT @@read_only, @@sql_mode")[0]
    found = [_look(connection, table) for table in tables]
    return Catalogue(
        tables=tuple(table for table, _ in found),
        text="\n".join(text for _, text in found),
        reads_only=bool(reads_only),
        strict="STRICT_" in _text(mode),
    )


def _look(connection: Connection, named: Named) -> tuple[FoundTable | None, str]:
    table = ".".join(f"`{part.replace('`', '``')}`" for part in (named.schema, named.name) if part)
    try:
        rows = connection.rows(f"SHOW FULL COLUMNS FROM {table}")
    except Exception as exc:
        number = _number(exc)
        if number in _GONE:
            return None, "absent"
        if number in _NO_RIGHT:
            return FoundTable(named.schema, {}, frozenset(), denied=True), "denied"
        raise
    made = _made_by(connection, table)
    triggers = connection.rows(query_triggers(connection.marker), named.schema or None, named.name)
    columns = [_column(row) for row in rows]
    rights = frozenset(right for column in columns for right in column.rights)
    text = f"{[row[:8] for row in rows]} {made} {triggers}"
    undoes = not made.startswith("CREATE TABLE") or bool(_UNDOES.search(made))
    named_columns = {column.name: column for column in columns}
    return FoundTable(named.schema, named_columns, rights, undoes=undoes), text


@cache
def query_triggers(marker: str) -> str:
    """The query for a table's triggers."""
    return query("mysql_triggers").replace(":schema", marker).replace(":table", marker)


def _made_by(connection: Connection, table: str) -> str:
    """The statement that makes the table again; empty where the account may not see it."""
    try:
        made = _text(connection.rows(f"SHOW CREATE TABLE {table}")[0][1])
    except Exception as exc:
        if _number(exc) in _NO_RIGHT:
            return ""
        raise
    return _COUNTER.sub("", made)


def _column(row: Sequence[Any]) -> FoundColumn:
    name, type_, _, nullable, _, _, extra, rights = (_text(value) for value in row[:8])
    is_enum = type_.startswith("enum(")
    return FoundColumn(
        name=name,
        type=type_,
        required=nullable == "NO",
        filled=row[5] is not None or "auto_increment" in extra or "DEFAULT_GENERATED" in extra,
        made="GENERATED" in extra and "DEFAULT_GENERATED" not in extra,
        rights=frozenset(right for right in Right if right.value.lower() in rights),
        labels=tuple(label.replace("''", "'") for label in _LABEL.findall(type_))
        if is_enum
        else None,
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes | bytearray) else str(value)


def _number(exc: BaseException) -> Any:
    inner = getattr(exc, "orig", None) or exc
    return getattr(inner, "errno", None) or next(iter(inner.args), None)


def whole(connection: Connection) -> str:
    """A hash of all that the connection's database holds."""
    connection.run("SET SESSION lock_wait_timeout = 1")
    return str(connection.rows(_schema_query("mysql_schema")))


def explain(connection: Connection, sql: str, parameters: int) -> None:
    """Let the server prepare a statement without running it."""
    waits = "SET SESSION lock_wait_timeout = 1, @payonce_preflight = "
    connection.run(waits + connection.marker, sql)
    connection.run("PREPARE payonce_preflight FROM @payonce_preflight")
    connection.run("DEALLOCATE PREPARE payonce_preflight")


def begin_rehearsal(connection: Connection, tables: Sequence[Named]) -> None:
    """Inside the transaction of a rehearsal, before its statements."""
    connection.run("SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")


def end_rehearsal(connection: Connection, tables: Sequence[Named], begun: Any) -> None:
    """Inside the transaction of a rehearsal, after its statements: nothing was put off."""
