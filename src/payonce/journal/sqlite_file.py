"""Memory: opening a SQLite file as a journal, and the transactions that the writer asks for.

Durability (https://sqlite.org/pragma.html#pragma_synchronous): in WAL mode a commit under
`synchronous=NORMAL` reaches the operating system only: it survives the process. What `FULL` adds is
"an additional sync operation of the WAL file after each transaction commit". A durable commit does
that itself: to change the setting for each commit and back takes a tenth of a step, and meanwhile
other processes may write.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from payonce.errors import ConfigError, JournalNotFound, JournalTooNew, NotAJournal
from payonce.journal.queries import migrations
from payonce.journal.writer import Pending, Write

T = TypeVar("T")
_fsync = getattr(os, "fdatasync", os.fsync)
_OLDEST = (3, 37, 0)  # STRICT tables: https://sqlite.org/stricttables.html


@dataclass(frozen=True, slots=True)
class _Opened:
    """A connection, and the file that it was opened to."""

    connection: sqlite3.Connection
    identity: tuple[int, int] | None
    log: int | None = None

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()
        if self.log is not None:
            os.close(self.log)


class SqliteFile:
    """One journal file; connections are opened when first needed."""

    def __init__(
        self, path: Path, clock: Callable[[], float], patience: float, *, create: bool = True
    ) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise ConfigError(
                f"SQLite {sqlite3.sqlite_version} is too old for the journal",
                "Use a Python whose sqlite3 has SQLite 3.37 or newer.",
            )
        self.path, self._clock, self._patience, self._create = path, clock, patience, create
        self._name = os.fspath(path)
        self.removals = 0
        self._known: tuple[int, int] | None = None
        self._writing: _Opened | None = None
        self._unsynced = False
        self._readers: list[_Opened] = []
        self._reset()

    def _reset(self) -> None:
        self._reads = 0
        self._reading = threading.Condition()
        self._paused = False

    def begin(self, *, durable: bool) -> sqlite3.Connection:
        """A transaction on the one connection that writes; `durable` makes its commit fsync."""
        if self._writing is not None and self._is_gone(self._writing):
            self._drop()
            raise sqlite3.OperationalError(f"{self.path} was removed while it was in use")
        if self._writing is None:
            self._writing = _logged(self._opened(), self._name)
            if self._known not in (None, self._writing.identity):
                self.removals += 1
            self._known = self._writing.identity
        connection = self._writing.connection
        if connection.in_transaction:  # a signal came between its BEGIN and what was to follow
            connection.execute("ROLLBACK")
        self._unsynced = durable
        connection.execute("BEGIN IMMEDIATE")
        return connection

    def commit(self, connection: sqlite3.Connection) -> None:
        """Commit, and wait for the disk where that was asked for."""
        connection.execute("COMMIT")
        if self._unsynced:
            self._sync()

    def _sync(self) -> None:
        """Wait for the disk; after a failure nobody knows what the log holds, so it is left."""
        if self._writing is not None and self._writing.log is not None:
            try:
                _fsync(self._writing.log)
            except OSError:
                self._drop()
                raise
        self._unsynced = False

    def rollback(self, connection: sqlite3.Connection) -> bool:
        """Roll back, if there is something left to; a connection that can't is dropped."""
        try:
            is_open = connection.in_transaction
            if is_open:
                connection.execute("ROLLBACK")
            elif self._unsynced:  # a signal came between the commit and the disk
                self._sync()
        except (sqlite3.Error, OSError):
            self._drop()
            return True
        return is_open

    def _is_gone(self, opened: _Opened) -> bool:
        """Whether writes would go into a file that nobody will find again."""
        return _identity(self._name) != opened.identity

    def _drop(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.close()

    def guarded(self, connection: sqlite3.Connection, write: Write[T]) -> T | Pending:
        """Do one write under a savepoint."""
        connection.execute("SAVEPOINT one")
        try:
            result = write.do(connection)
        except BaseException:
            connection.execute("ROLLBACK TO one")
            raise
        finally:
            connection.execute("RELEASE one")
        return result

    def read(self, query: Callable[[sqlite3.Connection], T], *, once: bool = False) -> T:
        """Do one read on a connection that no other thread is using, or `once`, on a new one."""
        with self._reading:
            while self._paused:
                self._reading.wait()
            self._reads += 1
        try:
            reader = self._opened() if once else self._reader()
            try:
                result = query(reader.connection)
            except BaseException:
                reader.close()
                raise
            if once:
                reader.close()
            else:
                self._readers.append(reader)
            return result
        finally:
            with self._reading:
                self._reads -= 1
                self._reading.notify_all()

    def aside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do maintenance in a transaction of its own, on a connection of its own.

        Foreign keys aren't checked on it: to remove a payload SQLite would look for its referrers
        in all calls, each time (https://sqlite.org/foreignkeys.html, 3).
        """
        opened = self._opened()
        try:
            opened.connection.execute("PRAGMA foreign_keys=OFF")
            opened.connection.execute("BEGIN IMMEDIATE")
            result = work(opened.connection)
            opened.connection.execute("COMMIT")
            return result
        finally:
            opened.close()

    def _reader(self) -> _Opened:
        while True:
            try:
                reader = self._readers.pop()
            except IndexError:
                return self._opened()
            if not self._is_gone(reader):
                return reader
            reader.close()

    def pause(self) -> None:
        """Wait for the reads that are under way, let none begin, and close all connections."""
        with self._reading:
            self._paused = True
            while self._reads:
                self._reading.wait()
        self.close()

    def resume(self) -> None:
        """Let reads go on."""
        with self._reading:
            self._paused = False
            self._reading.notify_all()

    def start_anew(self) -> None:
        """Forget, in a forked child, what the parent's threads were doing."""
        self._reset()

    def close(self) -> None:
        """Close all connections; the next use opens them again."""
        self._drop()
        readers, self._readers = self._readers, []
        for reader in readers:
            reader.close()

    def _opened(self) -> _Opened:
        # Never look into the file by other means: closing any descriptor of it takes this
        # process's locks away (https://sqlite.org/howtocorrupt.html, 2.2), and with them the log.
        if self.path.is_dir():
            raise _not_a_journal(self.path, "it is a folder")
        if self._create:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        elif not self.path.exists():
            raise _not_found(f"there is no journal at {self.path}")
        connection = sqlite3.connect(
            self.path,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.row_factory = sqlite3.Row
        try:
            self._migrate(connection)
        except sqlite3.DatabaseError as exc:
            connection.close()
            if "not a database" in str(exc) or "malformed" in str(exc):
                raise _not_a_journal(self.path, str(exc)) from exc
            raise
        except BaseException:
            connection.close()
            raise
        return _Opened(connection, _identity(self._name))

    def _migrate(self, connection: sqlite3.Connection) -> None:
        version = _version(connection, self.path)
        if not version and not self._create:
            raise _not_found(f"{self.path} is a database without a journal")
        if version < migrations("sqlite")[-1][0]:
            _switch_to_wal(connection, self._patience)
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._apply_missing(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        connection.execute("PRAGMA foreign_keys=ON")

    def _apply_missing(self, connection: sqlite3.Connection) -> None:
        version = _version(connection, self.path)
        for number, name, sql in migrations("sqlite"):
            if number > version:
                for statement in _statements(sql):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO payonce_migrations VALUES (?, ?, ?)", (number, name, self._clock())
                )


def _logged(opened: _Opened, path: str) -> _Opened:
    """The same with its log, which stays as long as the connection; without one each commit waits.

    No locks are on the log that closing a descriptor of it could take away.
    """
    log = None
    if opened.connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        log = os.open(f"{os.path.realpath(path)}-wal", os.O_RDWR | getattr(os, "O_BINARY", 0))
    opened.connection.execute(f"PRAGMA synchronous={'FULL' if log is None else 'NORMAL'}")
    return _Opened(opened.connection, opened.identity, log)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _not_found(what: str) -> JournalNotFound:
    return JournalNotFound(
        what, "Name the app's store with --store or $PAYONCE_STORE; its first delivery makes it."
    )


def _not_a_journal(path: Path, why: str) -> NotAJournal:
    return NotAJournal(
        f"{path} can't be used as a journal: {why}; it was left untouched",
        "Name another file in the store's URL, or bring this one back from a backup.",
    )


def _version(connection: sqlite3.Connection, path: Path) -> int:
    there = connection.execute(
        "SELECT count(*) FROM sqlite_schema WHERE name = 'payonce_migrations'"
    ).fetchone()[0]
    if not there:
        return 0
    version: int = connection.execute("SELECT max(number) FROM payonce_migrations").fetchone()[0]
    newest = migrations("sqlite")[-1][0]
    if version > newest:
        raise JournalTooNew(
            f"{path} is a journal of version {version}, and this payonce knows up to {newest}; "
            "it was left untouched",
            "Upgrade payonce to the version that wrote it.",
        )
    return version


def _switch_to_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Two processes that switch at once meet SQLITE_BUSY without the busy handler: try again."""
    give_up = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def _statements(script: str) -> list[str]:
    """The statements of a script, so that they can share one transaction."""
    found, start = [], ""
    for line in script.splitlines(keepends=True):
        start += line
        if sqlite3.complete_statement(start):
            found.append(start.strip())
            start = ""
    return found
