"""Front: `payonce parked`."""

from __future__ import annotations

import click

from payonce.cli.options import job_option, journal_of, json_option, limit_option, store_option
from payonce.model import RunState


@click.command()
@job_option
@limit_option(1000)
@store_option
@json_option
def parked(job: str | None, limit: int, store: str, as_json: bool) -> None:
    """List parked runs by what they wait for, the most frequent cause first.

    A parked run costs nothing. It goes on under its own key, with everything that was paid for,
    when it is delivered after what it waits for has changed, or by payonce wake.

    \b
    Examples:
      payonce parked
      payonce parked --json | jq 'group_by(.fingerprint) | map(length)'
    """
    from payonce.cli.printing import print_json, print_view
    from payonce.journal.protocol import RunFilter
    from payonce.report.listing import parked_row, parked_tables

    found = journal_of(store).runs(RunFilter(state=RunState.PARKED, job=job, limit=limit))
    if as_json:
        print_json([parked_row(summary) for summary in found])
    elif not found:
        click.echo("No run is parked.")
    else:
        print_view(parked_tables(found))
        if len(found) == limit:
            click.echo(f"These are the last {limit}; --limit shows more.", err=True)
