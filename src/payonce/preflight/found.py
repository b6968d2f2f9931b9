"""Edge: what a database's catalogue tells of the tables that a job uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files


class Right(StrEnum):
    """What a role may do with a table or a column."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column as it is.

    `required`: NOT NULL; `filled`: by a default, an identity or a sequence; `made`: generated,
    so that nobody may write it; `labels` of its enum; `typed` is False where any value fits.
    """

    name: str
    type: str
    required: bool
    filled: bool
    made: bool
    rights: frozenset[Right]
    labels: tuple[str, ...] | None = None
    typed: bool = True


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table, or view, as it is; `denied` where this role can't even look at it."""

    schema: str | None
    columns: Mapping[str, FoundColumn]
    rights: frozenset[Right]
    denied: bool = False
    undoes: bool = True


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What was found of the tables asked for, None where there is none, in the order asked for.

    `text` changes when any of it does; `reads_only` says that nothing can be written just now;
    `strict` is False where a value that is left out is made up by the database.
    """

    tables: tuple[FoundTable | None, ...]
    text: str
    reads_only: bool = False
    strict: bool = True
    names: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Named:
    """A table by name, as code names it; the connection decides where it has no schema."""

    schema: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


def query(name: str) -> str:
    """A catalogue query by the name of its file, without its comments."""
    text = files(__package__).joinpath("catalogue", f"{name}.sql").read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
