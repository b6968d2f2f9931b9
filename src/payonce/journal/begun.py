"""Memory: which attempts of this process began in the database that is there now.

A journal that is removed and made anew gives the same numbers out again: what an attempt began in
the old one must not go on in the new one, where its number is another run's.
"""

from __future__ import annotations


class Begun:
    """The attempts that this process has opened, and in which of the databases in a row."""

    def __init__(self) -> None:
        self._databases: dict[tuple[int, int], int] = {}

    def add(self, run_id: int, attempt: int, database: int) -> None:
        """An attempt has begun; the one before it is over."""
        self._databases.pop((run_id, attempt - 1), None)
        self._databases[run_id, attempt] = database

    def end(self, run_id: int, attempt: int) -> None:
        """An attempt is over."""
        self._databases.pop((run_id, attempt), None)

    def is_stranger(self, run_id: int, attempt: int, database: int) -> bool:
        """Whether an attempt of this process began in another database than this one."""
        return self._databases.get((run_id, attempt), database) != database
