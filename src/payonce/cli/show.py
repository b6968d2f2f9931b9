"""Front: `payonce show`."""

from __future__ import annotations

import click

from payonce.cli.options import job_option, journal_of, json_option, store_option, the_run


@click.command()
@click.argument("key")
@job_option
@click.option("--answers", is_flag=True, help="Show the texts of the recorded answers, too.")
@click.option("--error", is_flag=True, help="Show the last failure's traceback, too.")
@store_option
@json_option
def show(key: str, job: str | None, answers: bool, error: bool, store: str, as_json: bool) -> None:
    """Show one run: its deliveries, its attempts, its calls, their money, what to do next.

    \b
    Examples:
      payonce show course:42
      payonce show course:42 --error
      payonce show course:42 --json --answers | jq '.calls[].answer'
    """
    from payonce.cli.printing import print_json, print_view
    from payonce.report.document import run_document
    from payonce.report.run import RunReport, run_view

    journal = journal_of(store)
    report = RunReport.read(journal, the_run(journal, key, job))
    if as_json:
        print_json(run_document(report, answers=answers, error=error))
    else:
        print_view(run_view(report, answers=answers, error=error))
