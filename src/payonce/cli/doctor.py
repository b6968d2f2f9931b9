"""Front: `payonce doctor`."""

from __future__ import annotations

import click

from payonce.cli.options import journal_of, json_option, store_option

_AN_HOUR = 3600.0
"""Seconds that the indices of a big journal may take to build."""


@click.command()
@store_option
@click.option(
    "--migrate",
    is_flag=True,
    help="First make the journal's tables, or bring them up to date, as the role in the URL.",
)
@json_option
@click.pass_context
def doctor(context: click.Context, store: str, migrate: bool, as_json: bool) -> None:
    """Look at what is installed and at the journal, and say what is wrong.

    It lists the LLM SDKs and queues found here, what app.capture() sees of each, how often each
    repeats a failing call by itself, and how these layers multiply. The exit code is 1 if there
    is a problem.

    \b
    Examples:
      payonce doctor
      payonce doctor --store sqlite:////var/lib/shop/payonce.db --json
      payonce doctor --store postgresql://owner@db/shop --migrate
    """
    from payonce.cli.printing import print_json, print_view
    from payonce.report.health import examine, health_document, health_view

    if migrate:
        journal_of(store, create=True, patience=_AN_HOUR)
    health = examine(store, lambda: journal_of(store))
    if as_json:
        print_json(health_document(health))
    else:
        print_view(health_view(health))
    if health.problems:
        context.exit(1)
