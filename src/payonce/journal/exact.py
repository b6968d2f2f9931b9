"""Memory: sums of more than SQLite's whole numbers hold, told to the last nano.

SQLite refuses such a sum ("integer overflow", https://sqlite.org/lang_aggfunc.html#sumunc). Then,
and only then, Python adds up: a hundred times as slow, and never wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_MOST = 2**63 - 1
_DIGITS = 40


def overflowed(failure: sqlite3.OperationalError) -> bool:
    """Whether a query failed since a sum was too great."""
    return "integer overflow" in str(failure)


def exactly(query: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
    """A query whose sums may be of any size: what SQLite can't hold comes as a text of digits.

    SQLite's own sum can't be had back: a connection that has done this is good for nothing else.
    """

    def asked(db: sqlite3.Connection) -> T:
        db.create_window_function("sum", 1, _Sum)
        return query(db)

    return asked


class _Sum:
    """`sum`, as SQLite asks for it: also over windows, and NULL where there is nothing."""

    def __init__(self) -> None:
        self._total, self._count = 0, 0

    def step(self, value: int | str | None) -> None:
        """One more."""
        if value is not None:
            self._total += int(value)
            self._count += 1

    def inverse(self, value: int | str | None) -> None:
        """One less: it has left the window."""
        if value is not None:
            self._total -= int(value)
            self._count -= 1

    def value(self) -> int | str | None:
        """The sum; texts are of one length, so that they sort as numbers do, above all numbers."""
        if not self._count:
            return None
        return self._total if abs(self._total) <= _MOST else f"{self._total:0{_DIGITS}d}"

    finalize = value
