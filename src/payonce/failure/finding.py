"""Decision, inside `failure`: what one table says of one exception, and how much that weighs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from payonce.model import Kind, WakesOn

CODE, SCHEMA, INPUT = (WakesOn.CODE,), (WakesOn.SCHEMA,), (WakesOn.INPUT,)
CONFIG, CREDENTIALS, ACCOUNT = (WakesOn.CONFIG,), (WakesOn.CREDENTIALS,), (WakesOn.ACCOUNT,)
NOTHING: tuple[WakesOn, ...] = ()

Row = tuple[Kind, tuple[WakesOn, ...]]
Key = TypeVar("Key", str, int)


class Rank(IntEnum):
    """How much a finding weighs against the others of its chain; the lowest decides.

    Structured code before vendor number, status, errno and class; among classes those that are
    listed before Python's, then the words of a name, and those that wrap whatever went wrong last.
    """

    OWN = 0
    CODE = 1
    NUMBER = 2
    STATUS = 3
    ERRNO = 4
    LIBRARY = 5
    BUILTIN = 6
    WORD = 7
    WRAPPER = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """`evidence` is the code that decided; `says` a sentence that beats the message's own."""

    rank: Rank
    kind: Kind
    evidence: str
    wakes_on: tuple[WakesOn, ...] = ()
    says: str | None = None
    after: float | None = None


def words(*rows: tuple[Kind, tuple[WakesOn, ...], str]) -> dict[str, Row]:
    """Lay out a table whose rows name several words, separated by blanks."""
    return {word: (kind, wakes_on) for kind, wakes_on, names in rows for word in names.split()}


def numbers(*rows: tuple[Kind, tuple[WakesOn, ...], str]) -> dict[int, Row]:
    """Lay out a table whose rows name several numbers, separated by blanks."""
    return {int(word): row for word, row in words(*rows).items()}


def look_up(table: dict[Key, Row], key: Key | None, rank: Rank, evidence: str) -> Finding | None:
    """The finding for a key, None where the table doesn't have it."""
    row = table.get(key) if key is not None else None
    return Finding(rank, row[0], evidence, row[1]) if row else None
