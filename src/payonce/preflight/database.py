"""Edge: a database that is looked at, over one connection of payonce's own.

It isn't taken from the user's pool, which a batch at work may have emptied. It is kept open, in
autocommit, and opened anew when it was cut meanwhile; SQLite's is opened for each look, since
its file may be replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from payonce.journal.forking import survives_fork
from payonce.preflight.guard import bounded

T = TypeVar("T")
Dialect = Literal["postgresql", "mysql", "sqlite"]
DIALECTS: dict[str, Dialect] = {
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}


@dataclass(frozen=True, slots=True)
class Connection:
    """A DB-API connection in autocommit.

    `marker` stands for one parameter in its driver's statements; `alchemy` is SQLAlchemy's
    connection around it, where there is one; `close` lets go of all of it.
    """

    dialect: Dialect
    raw: Any
    marker: str
    close: Callable[[], object]
    alchemy: Any = None

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """The rows of a statement."""
        cursor = self.raw.cursor()
        try:
            cursor.execute(sql, values) if values else cursor.execute(sql)
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def run(self, sql: str, *values: Any) -> None:
        """Execute a statement, whatever it returns."""
        cursor = self.raw.cursor()
        try:
            cursor.execute(sql, values) if values else cursor.execute(sql)
        finally:
            cursor.close()

    @contextmanager
    def undone(self) -> Iterator[None]:
        """A transaction that is rolled back, whatever happens in it."""
        self.run("BEGIN")
        try:
            yield
        finally:
            self.run("ROLLBACK")
            if self.alchemy is not None and self.alchemy.in_transaction():
                self.alchemy.rollback()  # it has begun one of its own around ours

    def is_open(self) -> bool:
        """Whether the database still answers on it."""
        try:
            with bounded(self.raw):
                self.run("SELECT 1")
        except Exception:  # any driver's own way of saying that it doesn't
            return False
        return True


class Database:
    """A database behind a function that opens connections.

    Args:
        name: what it is called in a world.
        open_: opens a connection in autocommit.
    """

    def __init__(self, name: str, open_: Callable[[], Connection]) -> None:
        self.name = name
        self._open = open_
        self._kept: Connection | None = None
        self._lock = threading.Lock()
        survives_fork(self)

    def ask(self, question: Callable[[Connection], T]) -> T:
        """What a function finds out over the connection; one question at a time."""
        with self._lock:
            return self._walk(lambda: self._ask(question))

    def close(self) -> None:
        """Close what is open; the next question opens it again."""
        with self._lock:
            self._walk(self._close)

    def __del__(self) -> None:
        """Let a connection go that nobody closed."""
        if "_kept" in self.__dict__:
            self._close()

    def _walk(self, function: Callable[[], T]) -> T:
        return function()

    def _ask(self, question: Callable[[Connection], T]) -> T:
        if self._kept is not None:
            try:
                with bounded(self._kept.raw):
                    return question(self._kept)
            except Exception:
                if self._kept.is_open():
                    raise  # the database's own answer
                self._close()
        self._kept = self._open()
        try:
            with bounded(self._kept.raw):
                return question(self._kept)
        finally:
            if self._kept.dialect == "sqlite":
                self._close()

    def _close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            with suppress(Exception):  # it may be cut already
                kept.close()

    def before_fork(self) -> None:
        """Close the connection, and open none until the fork is done."""
        self._lock.acquire()
        self._walk(self._close)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on."""
        self._lock.release()
