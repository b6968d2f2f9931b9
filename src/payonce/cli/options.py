"""Front: the options that commands share, and the journal behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from payonce.errors import JournalError

if TYPE_CHECKING:
    from payonce.journal.protocol import Journal
    from payonce.model import Run

F = TypeVar("F", bound=Callable[..., Any])

STORE = "sqlite:///payonce.db"


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


def journal_of(store: str, *, create: bool = False, patience: float = 30.0) -> Journal:
    """The journal at a URL, which has to be there if not told otherwise: to look is not to make.

    `patience` is how long it waits for the database, in seconds.

    Raises:
        JournalNotFound: there is none.
        StoreNotSupported: the URL names another kind of database.
    """
    from payonce.journal import journal_at
    from payonce.report.commands import of_store

    journal = journal_at(store, create=create, patience=patience)
    context = click.get_current_context()
    context.call_on_close(journal.stop)
    given = context.get_parameter_source("store")
    context.with_resource(of_store(store if given is ParameterSource.COMMANDLINE else None))
    journal.find("", "")
    return journal


def the_run(journal: Journal, key: str, job: str | None) -> Run:
    """The run of a key.

    Raises:
        RunNotFound: there is none.
        JournalError: several jobs have one; `job` says whose is meant.
    """
    from payonce.waking import find_named

    found = find_named(journal, key, job)
    if len(found) > 1:
        jobs = ", ".join(sorted(run.job for run in found))
        raise JournalError(
            f"{len(found)} jobs have a run with the key {key!r}", f"Name one with --job: {jobs}."
        )
    return found[0]
