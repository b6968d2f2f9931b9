"""Edge: what SQLAlchemy's tables, mapped classes and statements expect; SQLModel's are the same."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from payonce.preflight import statements
from payonce.preflight.database import Connection, Dialect
from payonce.preflight.expected import (
    Access,
    Rehearsal,
    Statement,
    WantedColumn,
    WantedTable,
)
from payonce.preflight.found import Named

_LATER = re.compile(r"__\[POSTCOMPILE_[^\]]*\]")
_PARAMSTYLE = {"postgresql": "format", "mysql": "format", "sqlite": "qmark"}


def knows(given: object) -> bool:
    """Whether SQLAlchemy made this: nothing of it can be there before SQLAlchemy is."""
    if "sqlalchemy" not in sys.modules:
        return False
    from sqlalchemy import ClauseElement, MetaData, Table

    kinds = (MetaData, Table, ClauseElement)
    return isinstance(given, kinds) or _tables_of(given) is not None


def knows_row(given: object) -> bool:
    """Whether this is an instance of a mapped class."""
    return "sqlalchemy" in sys.modules and _mapper(type(given)) is not None


def tables(given: Any, access: Access, connection: Connection) -> Iterator[WantedTable]:
    """The tables behind metadata, a table, or a mapped class.

    Of metadata nobody knows which of its tables the code writes.
    """
    from sqlalchemy import MetaData, Table

    dialect = dialect_of(connection)
    if isinstance(given, MetaData):
        found, access = list(given.tables.values()), _some(access)
    elif isinstance(given, Table):
        found = [given]
    else:
        found = _tables_of(given) or []
        access = access if _mapper(given) is not None else _some(access)
    for table in found:
        yield _table(table, access, dialect, connection)


def _some(access: Access) -> Access:
    return Access.SOME if access is Access.WRITE else access


def is_statement(given: object) -> bool:
    """Whether this is a statement rather than a table."""
    from sqlalchemy import ClauseElement, Table

    return isinstance(given, ClauseElement) and not isinstance(given, Table)


def statement(given: Any, connection: Connection) -> Statement:
    """A statement as SQLAlchemy compiles it for the connection."""
    from sqlalchemy import TextClause

    if isinstance(given, TextClause):
        return statements.statement(str(given), connection.dialect)
    compiled, text = _compiled(given, connection)
    row = _whole_row(given, compiled, connection)
    if row is not None:
        written = [column.key for column in given.table.columns if _is_written(column)]
        _, text = _compiled(given, connection, column_keys=written)
    if connection.dialect == "sqlite":
        text = _with_sure_names(text)
    told = statements.statement(text, connection.dialect)
    return told if row is None else replace(told, inserts=row)


def _compiled(given: Any, connection: Connection, **more: Any) -> tuple[Any, str]:
    """A statement as it is sent; a list that is only told when it is executed has one NULL."""
    from sqlalchemy.exc import InvalidRequestError

    more["dialect"] = dialect_of(connection)
    more["schema_translate_map"] = _translation(connection)
    try:
        compiled = given.compile(compile_kwargs={"render_postcompile": True}, **more)
    except InvalidRequestError:  # a list without a value
        compiled = given.compile(**more)
    return compiled, _LATER.sub("NULL", str(compiled))


def _whole_row(given: Any, compiled: Any, connection: Connection) -> WantedTable | None:
    """The row of an INSERT that names no columns: it is told them when it is executed."""
    from sqlalchemy import Insert, Table

    if not isinstance(given, Insert) or not isinstance(given.table, Table):
        return None
    if set(compiled.params) != {column.key for column in given.table.columns}:
        return None
    columns = tuple(
        WantedColumn(str(column.name), written=_is_written(column))
        for column in given.table.columns
    )
    return WantedTable(_named(given.table, connection), columns, Access.STATED, whole=True)


def _with_sure_names(text: str) -> str:
    """SQLite takes an unknown name in double quotes for a string, but not one in backticks."""
    return text.replace("`", "``").replace('"', "`")


def rehearsal(given: Any, values: Any, connection: Connection) -> Rehearsal:
    """A statement with its values, or a new instance of a mapped class, as a write to rehearse."""
    dialect: Dialect = connection.dialect
    if knows_row(given):
        found = _tables_of(type(given)) or []
        named = tuple(_named(table, connection) for table in found)
        return Rehearsal(f"INSERT of a {type(given).__name__}", named, lambda c: _add(given, c))
    told = statement(given, connection)

    def perform(connection: Connection) -> None:
        connection.alchemy.execute(given, values) if values else connection.alchemy.execute(given)

    return Rehearsal(told.shown, tuple(statements.names(told.sql, dialect)), perform)


def _add(given: Any, connection: Connection) -> None:
    """Flush a copy of an instance, so that the same one can be rehearsed again."""
    from sqlalchemy import inspect
    from sqlalchemy.orm import Session

    state = inspect(given)
    kept = {
        attribute.key: state.dict[attribute.key]
        for attribute in state.mapper.column_attrs
        if attribute.key in state.dict
    }
    if not connection.alchemy.in_transaction():
        connection.alchemy.begin()  # so that the session leaves its end to us
    with Session(bind=connection.alchemy) as session:
        session.add(type(given)(**kept))
        session.flush()


def dialect_of(connection: Connection) -> Any:
    """SQLAlchemy's dialect for a connection, whether it was made by SQLAlchemy or not."""
    if connection.alchemy is not None:
        return connection.alchemy.dialect
    from sqlalchemy.dialects import registry

    made = registry.load(connection.dialect)
    return made(paramstyle=_PARAMSTYLE[connection.dialect])


def _mapper(given: object) -> Any:
    from sqlalchemy import inspect

    return inspect(given, raiseerr=False) if isinstance(given, type) else None


def _tables_of(given: object) -> list[Any] | None:
    """The tables of a mapped class, or all of a declarative base's; None for anything else."""
    if not isinstance(given, type):
        return None
    mapper = _mapper(given)
    if mapper is not None:
        return list(mapper.tables)
    metadata = getattr(given, "metadata", None)
    if "sqlalchemy" in type(metadata).__module__:
        return list(metadata.tables.values())  # type: ignore[union-attr]
    return None


def _translation(connection: Connection) -> Any:
    if connection.alchemy is None:
        return None
    return connection.alchemy.get_execution_options().get("schema_translate_map")


def _named(table: Any, connection: Connection) -> Named:
    translation = _translation(connection) or {}
    return Named(translation.get(table.schema, table.schema), str(table.name))


def _table(table: Any, access: Access, dialect: Any, connection: Connection) -> WantedTable:
    columns = tuple(_column(column, dialect) for column in table.columns)
    whole = access is not Access.READ
    return WantedTable(_named(table, connection), columns, access, whole)


def _column(column: Any, dialect: Any) -> WantedColumn:
    type_, labels = _type(column.type, dialect)
    return WantedColumn(str(column.name), type_, labels, _is_written(column))


def _is_written(column: Any) -> bool:
    """Whether code writes a column, as far as that can be told.

    What is generated it can't; what has a server's default, or counts up, it needn't.
    """
    counted = column is getattr(column.table, "autoincrement_column", None)
    filled = column.server_default is not None and column.default is None
    return not (column.computed is not None or counted or filled)


def _type(type_: Any, dialect: Any) -> tuple[str | None, tuple[str, ...] | None]:
    try:
        compiled = str(type_.compile(dialect=dialect))
    except Exception:  # a type of another dialect, or of nobody's
        return None, None
    implemented = type_.dialect_impl(dialect)
    implemented = getattr(implemented, "impl", implemented)
    native = getattr(implemented, "native_enum", False) or "ENUM(" in compiled
    labels = getattr(implemented, "enums", None) if native else None
    return compiled, tuple(labels) if labels else None
