"""Front: `payonce parked`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from payonce.cli.options import job_option, journal_of, json_option, limit_option, store_option
from payonce.model import RunState

if TYPE_CHECKING:
    from payonce.model import Run
    from payonce.waking import Look


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

    \b
    Examples:
      payonce parked
      payonce parked --app shop.jobs:app
      payonce parked --json | jq 'group_by(.fingerprint) | map(length)'
    """
    from payonce.cli.printing import print_json, print_view
    from payonce.journal.protocol import RunFilter
    from payonce.report.listing import look_row, parked_row, parked_tables

    look = None if target is None else _look_of(target, store)
    found = journal_of(store).runs(RunFilter(state=RunState.PARKED, job=job, limit=limit))
    if as_json:
        rows = [
            parked_row(summary) | ({} if look is None else look_row(look(summary.run)))
            for summary in found
        ]
        print_json(rows)
    elif not found:
        click.echo("No run is parked.")
    else:
        print_view(parked_tables(found, look))
        if len(found) == limit:
            click.echo(f"These are the last {limit}; --limit shows more.", err=True)


def _look_of(target: str, store: str) -> Callable[[Run], Look | None]:
    """What an app sees of the world of its parked runs; asked once for each job and world."""
    from payonce.cli.target import app_at
    from payonce.waking import look_at

    given = click.get_current_context().get_parameter_source("store")
    app = app_at(target, store if given is click.core.ParameterSource.COMMANDLINE else None)
    click.get_current_context().call_on_close(app.close)
    known: dict[tuple[str, object], Look | None] = {}

    def look(run: Run) -> Look | None:
        if (run.job, run.world) not in known:
            known[run.job, run.world] = look_at(app, run)
        return known[run.job, run.world]

    return look
