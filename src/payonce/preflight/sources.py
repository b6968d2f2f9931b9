"""Edge: what was given to `app.schema()`, and the expectation that is made of it.

It is made at the first look, for a connection's dialect: models may be defined after jobs are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from payonce.errors import ConfigError
from payonce.preflight import from_django, from_sqlalchemy, hints, statements
from payonce.preflight.compare import Defect
from payonce.preflight.database import Connection
from payonce.preflight.expected import Access, Expected, Rehearsal, Statement, WantedTable


@dataclass(frozen=True, slots=True)
class Sources:
    """What code expects, in the forms that users have it in.

    `writes` and `reads` are tables, models, metadata or statements; `rehearses` are sample
    rows, or statements with their values; `alias` is Django's name for the database.
    """

    writes: tuple[Any, ...]
    reads: tuple[Any, ...] = ()
    rehearses: tuple[Any, ...] = ()
    alias: str = "default"
    migrations: str | None = None

    def __post_init__(self) -> None:
        for given in (*self.writes, *self.reads):
            is_table = from_sqlalchemy.knows(given) or from_django.knows(given)
            if not (is_table or _is_statement(given)):
                raise ConfigError(
                    f"app.schema() can make nothing of {_shown(given)}",
                    "Give it SQLAlchemy metadata, tables, mapped classes or statements, Django "
                    "models, or SQL as text.",
                )
            if isinstance(given, str):
                statements.statement(given, "sqlite")

    def expected(self, connection: Connection) -> Expected:
        """All of it, in the words of the connection's dialect."""
        tables: list[WantedTable] = []
        told: list[Statement] = []
        for access, given in self._given():
            if _is_statement(given):
                told.append(_statement(given, connection))
            elif from_django.knows(given):
                tables += from_django.tables(given, access, _wrapper(self.alias))
            else:
                tables += from_sqlalchemy.tables(given, access, connection)
        rehearsals = tuple(self._rehearsal(given, connection) for given in self.rehearses)
        return Expected(tuple(dict.fromkeys(tables)), tuple(told), rehearsals)

    def _given(self) -> Iterator[tuple[Access, Any]]:
        for access, all_given in ((Access.WRITE, self.writes), (Access.READ, self.reads)):
            for given in all_given:
                yield access, given

    def _rehearsal(self, given: Any, connection: Connection) -> Rehearsal:
        values: Any = None
        if isinstance(given, tuple):
            given, values = given
        if from_django.knows_row(given):
            return from_django.rehearsal(given, _wrapper(self.alias))
        if isinstance(given, str):
            return _raw(given, values, connection)
        if connection.alchemy is None:
            raise ConfigError(
                f"{_shown(given)} can only be rehearsed over SQLAlchemy",
                "Give app.schema() the engine in place of a URL or a function.",
            )
        return from_sqlalchemy.rehearsal(given, values, connection)

    def hint(self, connection: Connection, found: Sequence[Defect]) -> str:
        """What would mend the defects: the migration that does, if one is found."""
        models = [each for each in (*self.writes, *self.reads) if from_django.knows(each)]
        if models:
            names = from_django.words(models)
            return hints.told(hints.django(self.alias), found, names)
        plan = hints.alembic(connection, self.migrations)
        if plan is not None:
            return hints.told(plan, found, hints.words_of)
        return hints.told(hints.sql_files(self.migrations), found, hints.words_of)


def _is_statement(given: Any) -> bool:
    if isinstance(given, str) or hasattr(getattr(given, "query", None), "sql_with_params"):
        return True
    return from_sqlalchemy.knows(given) and from_sqlalchemy.is_statement(given)


def _statement(given: Any, connection: Connection) -> Statement:
    if isinstance(given, str):
        return statements.statement(given, connection.dialect)
    if hasattr(getattr(given, "query", None), "sql_with_params"):
        return from_django.statement(given, connection)
    return from_sqlalchemy.statement(given, connection)


def _raw(text: str, values: Any, connection: Connection) -> Rehearsal:
    """A statement in its driver's own form, with its values."""
    named = tuple(statements.names(text, connection.dialect))

    def perform(connection: Connection) -> None:
        cursor = connection.raw.cursor()
        try:
            cursor.execute(text, values) if values is not None else cursor.execute(text)
        finally:
            cursor.close()

    return Rehearsal(statements.short(text), named, perform)


def _wrapper(alias: str) -> Any:
    from django.db import connections

    return connections[alias]


def _shown(given: Any) -> str:
    return given.__qualname__ if isinstance(given, type) else repr(given)[:100]
