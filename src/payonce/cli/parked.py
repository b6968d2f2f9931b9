"""Front: `payonce parked`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from payonce.cli.options import job_option, journal_of, json_option, limit_option, store_option
from payonce.model import RunState

if TYPE_CHECKING:
    from payonce.journal.protocol import Journal
    from payonce.looks import Look
    from payonce.model import Run


@click.command()
@click.option(
    "--app",
    "target",
    metavar="TARGET",
    help="Look at the world of this app, module:attribute, now: what is still missing?",
)
@job_option
@limit_option(1000)
@store_option
@json_option
def parked(target: str | None, job: str | None, limit: int, store: str, as_json: bool) -> None:
    """List parked runs by what they wait for, the most frequent cause first.

    A parked run costs nothing. It goes on under its own key, with everything that was paid for,
    when what it waits for has changed, or by payonce wake. Runs that are held at the door have
    not failed: others of their job have, by the cause that they stand with.
    Under each cause stands what was seen of the world at the last look of the
    processes of the app, or now, by --app.

    \b
    Examples:
      payonce parked
      payonce parked --app shop.jobs:app
      payonce parked --json | jq 'group_by(.fingerprint) | map(length)'
    """
    from payonce.cli.printing import print_json, print_view
    from payonce.journal.protocol import RunFilter
    from payonce.report.listing import look_row, parked_row, parked_tables

    journal = journal_of(store)
    found = journal.runs(RunFilter(state=RunState.PARKED, job=job, limit=limit))
    look = _last_look(journal) if target is None else _look_of(target, store)
    if as_json:
        print_json([parked_row(summary) | look_row(look(summary.run)) for summary in found])
    elif not found:
        click.echo("No run is parked.")
    else:
        print_view(parked_tables(found, look, journal.now()))
        if len(found) == limit:
            click.echo(f"Only the last {limit} listed; --limit shows more.", err=True)


def _last_look(journal: Journal) -> Callable[[Run], Look | None]:
    """What the last look of any process saw of a run's world."""
    from payonce.looks import last_look

    rights = journal.about().rights
    return lambda run: last_look(rights, run)


def _look_of(target: str, store: str) -> Callable[[Run], Look | None]:
    """What an app sees of the world of its parked runs; asked once for each job and world."""
    from payonce.cli.target import app_at
    from payonce.looks import look_at

    given = click.get_current_context().get_parameter_source("store")
    app = app_at(target, store if given is click.core.ParameterSource.COMMANDLINE else None)
    click.get_current_context().call_on_close(app.close)
    known: dict[tuple[str, object], Look | None] = {}

    def look(run: Run) -> Look | None:
        if (run.job, run.world) not in known:
            known[run.job, run.world] = look_at(app, run)
        return known[run.job, run.world]

    return look
