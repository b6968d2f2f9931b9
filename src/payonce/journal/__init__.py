"""Memory: the journal behind a store's URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.errors import ConfigError, StoreNotSupported
from payonce.redact import redact

if TYPE_CHECKING:
    from payonce.journal.protocol import Journal

POSTGRES = ("postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2")


def journal_at(
    store: str,
    *,
    clock: Callable[[], float] | None = None,
    patience: float = 30.0,
    create: bool = True,
) -> Journal:
    """The journal at a URL: `sqlite:///payonce.db` (relative), `postgresql://user@host/db`, ….

    Nothing is opened before its first use. `clock` tells seconds since the epoch; `patience` is
    how many seconds a write waits for other processes' writes. Without `create` the first use of
    a journal that isn't there raises `JournalNotFound`.

    Raises:
        StoreNotSupported: the URL names another kind of database.
        ConfigError: psycopg is not installed, or the URL is malformed.
    """
    if store.partition("://")[0] in POSTGRES:
        return _postgres(store, clock=clock, patience=patience, create=create)
    scheme, separator, rest = store.partition(":///")
    if separator and scheme == "sqlite" and rest and not rest.startswith(":memory:"):
        from payonce.journal.sqlite import SqliteJournal

        path = Path(rest.partition("?")[0])
        return SqliteJournal(
            path.absolute(), clock=clock or time.time, patience=patience, create=create
        )
    raise StoreNotSupported(
        f"there is no journal for the store {redact(store)!r}",
        'Use a file, such as "sqlite:///payonce.db", or a database: "postgresql://user@host/db".',
    )


def _postgres(
    store: str, *, clock: Callable[[], float] | None, patience: float, create: bool
) -> Journal:
    try:
        from payonce.journal.postgres import PostgresJournal
    except ImportError as exc:
        raise ConfigError(
            f"a journal in PostgreSQL needs psycopg 3: {exc}",
            'Install it: pip install "payonce[postgres]".',
        ) from exc
    from payonce.journal.postgres_url import parsed

    return PostgresJournal(parsed(store), clock=clock, patience=patience, create=create)
