"""Front: the options that commands share, and the journal behind them."""

from __future__ import annotations

from collections.abc import Callable
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from payonce.errors import JournalError

if TYPE_CHECKING:
    from payonce.journal.protocol import Journal

F = TypeVar("F", bound=Callable[..., Any])

STORE = "sqlite:///payonce.db"
_SQLITE, _TABLE = b"SQLite format 3\x00", b"payonce_migrations"


def store_option(function: F) -> F:
    """`--store`."""
    return click.option(
        "--store",
        metavar="URL",
        envvar="PAYONCE_STORE",
        default=STORE,
        help=f"Where the journal is; by default $PAYONCE_STORE, else {STORE}.",
    )(function)


def job_option(function: F) -> F:
    """`--job`."""
    return click.option("--job", metavar="NAME", help="Only runs of this job.")(function)


def json_option(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def limit_option(default: int) -> Callable[[F], F]:
    """`--limit`."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        default=default,
        show_default=True,
        help="List at most so many.",
    )


def journal_of(store: str) -> Journal:
    """The journal at a URL, which has to be there: to look is not to make one.

    Raises:
        JournalError: there is none.
        StoreNotSupported: the URL names another kind of database.
    """
    from payonce.journal import journal_at

    journal = journal_at(store)
    has_to_be_there(journal)
    click.get_current_context().call_on_close(journal.stop)
    return journal


def has_to_be_there(journal: Journal) -> None:
    """Refuse a journal whose file isn't there, or is another database so far.

    Raises:
        JournalError: it isn't there.
    """
    path = path_of(journal)
    if path is None or _may_hold_a_journal(path):
        return
    there = f"{path} is a database without a journal"
    raise JournalError(
        there if path.exists() else f"there is no journal at {path}",
        "Name the app's store with --store or $PAYONCE_STORE; its first delivery makes it.",
    )


def _may_hold_a_journal(path: Path) -> bool:
    """Whether a file isn't surely free of the journal's tables; looked at without opening it.

    SQLite has the tables' names as text in the file, or in the log beside it
    (https://sqlite.org/fileformat2.html, 2.6).
    """
    if not path.exists():
        return False
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) not in (_SQLITE, b""):
            return True  # the journal itself tells what is wrong with it
    return any(_holds(part, _TABLE) for part in (path, path.with_name(f"{path.name}-wal")))


def _holds(path: Path, text: bytes) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return content.find(text) >= 0


def path_of(journal: Journal) -> Path | None:
    """A journal's file, if it is one."""
    from payonce.journal.sqlite import SqliteJournal

    return journal.path if isinstance(journal, SqliteJournal) else None
