"""Memory: connections to one PostgreSQL database that has, or gets, the journal's tables.

One connection writes, for all threads of the process (see the writer); a few read. A connection
is looked at before it is used: one that the server has closed meanwhile (a restart, a failover, a
pooler's time limit) is replaced without anybody noticing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import psycopg
from psycopg import Connection, Cursor, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper

from payonce.errors import ConfigError
from payonce.journal import postgres_ledger
from payonce.journal.postgres_batch import Batch, Row
from payonce.journal.postgres_tables import Tables
from payonce.journal.postgres_url import PostgresUrl
from payonce.journal.writer import Write

_log = logging.getLogger("payonce")
_MOST_READERS = 8
_CANCELLING = 5.0
_NO_JIT = "SET jit = off"
"""To compile a sum that is read in 0.1 s took 0.5 s."""
_STALE = (
    errors.ReadOnlySqlTransaction,  # a failover: look for the primary again
    errors.UndefinedTable,  # the database was made anew
    errors.InvalidSchemaName,
)


class _Link(Connection[Row]):
    """A connection that never waits longer for an answer than it was told to."""

    patience: float = 30.0
    _kept: Cursor[Row] | None = None

    def kept(self) -> Cursor[Row]:
        """The cursor for statements that are asked one by one."""
        if self._kept is None:
            self._kept = self.cursor(binary=True)
        return self._kept

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait as psycopg does, but not for ever.

        What the server has not done by then it is asked not to do: a write that its caller has
        given up must not be done later.
        """
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except errors._WaitTimeout as exc:
            if timeout is not None:
                raise
            with contextlib.suppress(psycopg.Error):
                self.cancel_safe(timeout=_CANCELLING)
            self.pgconn.finish()
            raise errors.OperationalError(f"no answer within {self.patience:g} s") from exc

    def __del__(self, _warn: Any = None, /) -> None:
        """Let libpq's part close itself, in the process that opened it, without a warning."""


class PostgresDatabase:
    """One database; connections are opened when first needed."""

    def __init__(
        self, url: PostgresUrl, clock: Callable[[], float] | None, patience: float, *, create: bool
    ) -> None:
        self.url, self._clock, self._patience = url, clock, patience
        self.tables = Tables(url, create=create, clock=clock)
        self._offset: float | None = None
        self._writing: _Link | None = None
        self._reset()

    def _reset(self) -> None:
        self._idle: list[_Link] = []
        self._readers = threading.BoundedSemaphore(_MOST_READERS)

    def now(self) -> float:
        """The database's clock as last heard, kept going by this machine's steady one."""
        if self._clock is not None:
            return self._clock()
        return time.time() if self._offset is None else time.monotonic() + self._offset

    def heard(self, clock: float, asked: float) -> None:
        """Set the clock by the database's, told in the middle of a round trip that began then."""
        self._offset = clock - (asked + time.monotonic()) / 2

    # --- what the writer needs -------------------------------------------------------------

    def begin(self, *, durable: bool) -> Batch:
        """A batch on the one connection that writes."""
        if self._writing is None or not _is_live(self._writing):
            self._drop()
            self._writing = self._opened()
        locks = partial(postgres_ledger.locks, self.tables.queries)
        return Batch(self._writing.kept(), locks, soft=not durable)

    def commit(self, batch: Batch) -> None:
        """Carry the batch out."""
        try:
            batch.carry_out()
        except _STALE:
            self._drop()
            raise

    def rollback(self, batch: Batch) -> bool:
        """Nothing of a batch that failed is left; a connection in an unclear state is dropped."""
        link = batch.connection
        idle = psycopg.pq.TransactionStatus.IDLE
        if link.closed or link.pgconn.transaction_status != idle:
            self._drop()
        return True

    def guarded(self, batch: Batch, write: Write[Any]) -> Any:
        """One write of several; the batch keeps them apart."""
        return write.do(batch)

    # --- reading ---------------------------------------------------------------------------

    def read(self, query: str, given: Mapping[str, Any]) -> list[Row]:
        """The rows of a named query; asked once more where the connection was lost meanwhile."""
        with self._readers:
            try:
                return self._read(query, given)
            except (errors.OperationalError, *_STALE):
                return self._read(query, given, afresh=True)

    def _read(self, query: str, given: Mapping[str, Any], *, afresh: bool = False) -> list[Row]:
        link = self._reader(afresh=afresh)
        try:
            asked = time.monotonic()
            rows = link.execute(self.tables.queries[query], given, binary=True).fetchall()
        except BaseException:
            _close(link)
            raise
        if rows and "clock" in rows[0]:
            self.heard(rows[0]["clock"], asked)
        self._idle.append(link)
        return rows

    def _reader(self, *, afresh: bool) -> _Link:
        while self._idle:
            with contextlib.suppress(IndexError):  # another thread was faster
                link = self._idle.pop()
                if not afresh and _is_live(link):
                    return link
                _close(link)
        link = self._opened()
        if self.url.prepare:  # behind a pooler the setting would go on to others
            link.execute(_NO_JIT)
        return link

    # --- opening and closing ---------------------------------------------------------------

    def close(self) -> None:
        """Close all connections; the next use opens them again."""
        self._drop()
        while self._idle:
            with contextlib.suppress(IndexError):
                _close(self._idle.pop())

    def start_anew(self) -> None:
        """Forget, in a forked child, the parent's connections, without a word to the server."""
        links = [*self._idle, *([self._writing] if self._writing else [])]
        for link in links:
            with contextlib.suppress(OSError):
                os.close(link.pgconn.socket)
        self._writing = None
        self._reset()

    def _drop(self) -> None:
        link, self._writing = self._writing, None
        if link is not None:
            _close(link)

    def _opened(self) -> _Link:
        try:
            told = conninfo_to_dict(self.url.conninfo)
        except psycopg.ProgrammingError as exc:
            raise ConfigError(
                f"the store's URL {self.url.place!r} is malformed: {exc}",
                'Write it like "postgresql://user@host/database".',
            ) from exc
        defaults = {
            "application_name": "payonce",
            "connect_timeout": str(max(2, min(10, round(self._patience)))),
        }
        link = _Link.connect(
            make_conninfo("", **(defaults | told)),
            autocommit=True,
            row_factory=dict_row,
            prepare_threshold=0 if self.url.prepare else None,
        )
        link.patience = self._patience
        try:
            for dumper in (Int8Dumper, Int8BinaryDumper):  # one plan for small and large numbers
                link.adapters.register_dumper(int, dumper)
            self.tables.ensure(link)
            if self._offset is None:
                self._calibrate(link)
        except BaseException:
            _close(link)
            raise
        return link

    def _calibrate(self, link: _Link) -> None:
        asked = time.monotonic()
        row = link.execute("SELECT extract(epoch FROM clock_timestamp())::float8 AS now").fetchone()
        self.heard(row["now"] if row else time.time(), asked)


def _is_live(link: _Link) -> bool:
    """Whether an idle connection has nothing to say: a word from the server is its farewell."""
    if link.closed:
        return False
    poll = select.poll()
    poll.register(link.pgconn.socket, select.POLLIN | select.POLLERR | select.POLLHUP)
    return not poll.poll(0)


def _close(link: _Link) -> None:
    with contextlib.suppress(psycopg.Error, OSError):
        link.close()
