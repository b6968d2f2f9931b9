"""Edge: what code expects of a database, in the words of that database's dialect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from payonce.preflight.database import Connection
from payonce.preflight.found import Named


class Access(Enum):
    """What the code does with a table: insert rows, only read it, or something not told."""

    WRITE = auto()
    READ = auto()
    SOME = auto()
    STATED = auto()
    """Statements do it, whose rights the database checks by itself."""


@dataclass(frozen=True, slots=True)
class WantedColumn:
    """A column that the code names: its type as the dialect writes it, where that is known."""

    name: str
    type: str | None = None
    labels: tuple[str, ...] | None = None
    written: bool = True


@dataclass(frozen=True, slots=True)
class WantedTable:
    """A table that the code names; `whole` where a row is inserted with these columns only."""

    named: Named
    columns: tuple[WantedColumn, ...]
    access: Access
    whole: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement in the form that the dialect prepares: `shown` is what the user knows it by.

    `names` are the tables that it mentions; `inserts` the row that it inserts, where it says so.
    """

    sql: str
    parameters: int
    shown: str
    names: tuple[Named, ...]
    inserts: WantedTable | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A write with a sample row, to be done and undone; `names` are the tables it touches."""

    shown: str
    names: tuple[Named, ...]
    perform: Callable[[Connection], object]


@dataclass(frozen=True, slots=True)
class Expected:
    """All that is expected of one database."""

    tables: tuple[WantedTable, ...] = ()
    statements: tuple[Statement, ...] = ()
    rehearsals: tuple[Rehearsal, ...] = ()

    @property
    def names(self) -> tuple[Named, ...]:
        """The tables that matter, each once."""
        found = [table.named for table in self.rows]
        found += [name for statement in self.statements for name in statement.names]
        found += [name for rehearsal in self.rehearsals for name in rehearsal.names]
        return tuple(dict.fromkeys(found))

    @property
    def rows(self) -> tuple[WantedTable, ...]:
        """The tables, and the rows that statements insert."""
        inserts = (each.inserts for each in self.statements)
        return (*self.tables, *(each for each in inserts if each is not None))
