"""Memory: the journal behind a store's URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.errors import StoreNotSupported
from payonce.redact import redact

if TYPE_CHECKING:
    from payonce.journal.protocol import Journal


def journal_at(
    store: str,
    *,
    clock: Callable[[], float] | None = None,
    patience: float = 30.0,
    create: bool = True,
) -> Journal:
    """The journal at a URL such as `sqlite:///payonce.db` (relative) or `sqlite:////var/p.db`.

    Nothing is opened before its first use. `clock` tells seconds since the epoch; `patience` is
    how many seconds a write waits for other processes' writes. Without `create` the first use of
    a journal that isn't there raises `JournalNotFound`.

    Raises:
        StoreNotSupported: the URL names another kind of database.
    """
    scheme, separator, rest = store.partition(":///")
    if separator and scheme == "sqlite" and rest and not rest.startswith(":memory:"):
        from payonce.journal.sqlite import SqliteJournal

        path = Path(rest.partition("?")[0])
        return SqliteJournal(
            path.absolute(), clock=clock or time.time, patience=patience, create=create
        )
    raise StoreNotSupported(
        f"there is no journal for the store {redact(store)!r}",
        'Use a file, such as "sqlite:///payonce.db".',
    )
