"""Front: `payonce runs`."""

from __future__ import annotations

import click

from payonce.cli.options import job_option, journal_of, json_option, limit_option, store_option
from payonce.model import RunState


@click.command()
@click.option(
    "--state", type=click.Choice([state.value for state in RunState]), help="Only runs in it."
)
@job_option
@click.option("--key", metavar="KEY", help="Only runs of this run key.")
@click.option("--tenant", metavar="NAME", help="Only runs for this tenant.")
@limit_option(100)
@store_option
@json_option
def runs(
    state: str | None,
    job: str | None,
    key: str | None,
    tenant: str | None,
    limit: int,
    store: str,
    as_json: bool,
) -> None:
    """List runs, the last changed first.

    Each line has the run's state and key, how often it was delivered and attempted, how many of
    its calls were paid for and what they cost, how many are in doubt, or were paid for and
    rejected (wasted).

    \b
    Examples:
      payonce runs
      payonce runs --state parked --tenant acme
      payonce runs --json | jq -r '.[] | select(.in_doubt > 0) | .key'
    """
    from payonce.cli.printing import print_json, print_view
    from payonce.journal.protocol import RunFilter
    from payonce.report.listing import run_row, runs_table

    wanted = RunFilter(RunState(state) if state else None, job, key, tenant, limit)
    found = journal_of(store).runs(wanted)
    if as_json:
        print_json([run_row(summary) for summary in found])
    elif not found:
        click.echo("No such run.")
    else:
        print_view([runs_table(found)])
        if len(found) == limit:
            click.echo(f"Only the last {limit} listed; --limit shows more.", err=True)
