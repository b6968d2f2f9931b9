"""Front: `payonce budget`, and what it says of limits: set, lift, clear."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from payonce.cli.options import journal_of, json_option, store_option, the_run
from payonce.errors import RunNotFound

if TYPE_CHECKING:
    from payonce.journal.protocol import Journal
    from payonce.model import Run
    from payonce.money import Budget

F = TypeVar("F", bound=Callable[..., Any])
_PERIODS = ("total", "day", "month")


class _Amount(click.Command):
    """A command whose first word is an amount, which a minus makes no option of."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words; a negative amount is told as what it is."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as exc:
            if re.match(r"-+\.?\d", exc.option_name) is None:
                raise
            raise _bad("a limit can't be less than nothing; to stop all spending: '0 USD'") from exc


def _bad(told: str) -> click.BadParameter:
    return click.BadParameter(told, param_hint="AMOUNT")


def _listing(function: F) -> F:
    """The options of what lists."""
    app = click.option(
        "--app", "target", metavar="TARGET", help="List this app's, too: module:attribute."
    )
    return app(store_option(json_option(function)))


@click.group(invoke_without_command=True)
@_listing
@click.pass_context
def budget(context: click.Context, target: str | None, store: str, as_json: bool) -> None:
    """List budgets, and what is used of them now; set, lift or clear one.

    Listed is what people have set, and what the code says as far as a call was held for it in the
    period of now; with --app, all that the code says. Held is what calls in flight may cost; what
    is in doubt counts until payonce resolve ends it; unpriced counts receipts of unknown cost.
    Days and months are those of UTC.

    \b
    Examples:
      payonce budget
      payonce budget --app shop.jobs:app
      payonce budget set '50 USD' --tenant acme --per day
      payonce budget --json | jq '.[] | select(.left == "0.00") | .name'
    """
    if context.invoked_subcommand is not None:
        _refuse_lost_options(context)
        return
    _list(target, store, as_json=as_json)


@budget.command("list")
@_listing
def list_(target: str | None, store: str, as_json: bool) -> None:
    """List budgets, as payonce budget does without a command.

    \b
    Examples:
      payonce budget list --app shop.jobs:app
    """
    _list(target, store, as_json=as_json)


def _list(target: str | None, store: str, *, as_json: bool) -> None:
    from payonce.cli.printing import print_json, print_view
    from payonce.report.budgets import budget_row, budgets_table, lines

    found = lines(journal_of(store), _code_of(target, store))
    if as_json:
        print_json([budget_row(line) for line in found])
    elif found:
        print_view(budgets_table(found))
    else:
        click.echo("No budget is known. See app.budget, and payonce budget set --help.")


def _refuse_lost_options(context: click.Context) -> None:
    given = [
        option.opts[0]
        for option in context.command.params
        if context.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"Write {given[0]} after {context.invoked_subcommand}.")


def _code_of(target: str | None, store: str) -> list[Budget]:
    if target is None:
        return []
    from payonce.cli.target import app_at

    given = click.get_current_context().get_parameter_source("store")
    app = app_at(target, store if given is click.core.ParameterSource.COMMANDLINE else None)
    click.get_current_context().call_on_close(app.close)
    return list(dict.fromkeys(each for job in app.jobs.values() for each in app.budgets_of(job)))


def _whose(function: F) -> F:
    """The options that name a budget; without any it is the application's."""
    for option in (
        json_option,
        store_option,
        click.option(
            "--per",
            type=click.Choice(_PERIODS),
            default="total",
            show_default=True,
            help="The period, in UTC.",
        ),
        click.option("--each-run-of", metavar="JOB", help="What each run of this job may spend."),
        click.option("--run", metavar="KEY", help="One run; --job says whose where jobs share it."),
        click.option("--job", metavar="NAME", help="One job, or '*' for each."),
        click.option("--tenant", metavar="NAME", help="One tenant, or '*' for each."),
    ):
        function = option(function)
    return function


@budget.command("set", cls=_Amount, short_help="Say how much may be spent.")
@click.argument("words", nargs=-1, required=True, metavar="AMOUNT")
@_whose
def set_(words: tuple[str, ...], store: str, as_json: bool, **whose: str | None) -> None:
    """Say how much may be spent, over what the code says; without an option, by all together.

    AMOUNT has its currency, quoted or not: '50 USD'.
    Running processes know it at their next call. What was held or paid stays as it is.

    \b
    Examples:
      payonce budget set '50 USD' --tenant acme --per day
      payonce budget set '20 USD' --run course:42
      payonce budget set '0 USD'            # nothing more is paid
    """
    from payonce.money import Money

    try:
        money = Money.parse(" ".join(words))
    except ValueError as exc:
        raise _bad(str(exc)) from exc
    _say(money, money.currency, store, as_json=as_json, whose=whose)


@budget.command()
@click.option(
    "--currency", metavar="XXX", default="USD", show_default=True, help="That of the limit."
)
@_whose
def lift(currency: str, store: str, as_json: bool, **whose: str | None) -> None:
    """Say that there is no limit, though the code has one.

    \b
    Examples:
      payonce budget lift --tenant acme --per day
      payonce budget lift --each-run-of shop.jobs.generate_course
    """
    _say(None, currency, store, as_json=as_json, whose=whose)


@budget.command()
@click.option(
    "--currency", metavar="XXX", default="USD", show_default=True, help="That of the limit."
)
@_whose
def clear(currency: str, store: str, as_json: bool, **whose: str | None) -> None:
    """Take back what was set or lifted: what the code says holds again.

    \b
    Examples:
      payonce budget clear --tenant acme --per day
    """
    _say(None, currency, store, as_json=as_json, whose=whose, cleared=True)


def _say(
    limit: Any,
    currency: str,
    store: str,
    *,
    as_json: bool,
    whose: dict[str, str | None],
    cleared: bool = False,
) -> None:
    from payonce.cli.printing import print_json
    from payonce.report.budgets import budget_row, freed, line_of, of_people, said

    journal = journal_of(store)
    asked = _asked(journal, limit, currency, **whose)
    before, own = line_of(journal, asked), of_people(journal, asked)
    if not cleared:
        journal.ledger.set_budget(asked).now()
    elif own is not None:
        journal.ledger.set_budget(own, cleared=True).now()
    now = line_of(journal, asked)
    runs = _waiting(journal, asked)
    if as_json:
        print_json(
            {
                "budget": budget_row(now) if now else None,
                "before": budget_row(before) if before else None,
                "runs": [{"job": run.job, "key": run.key} for run in runs],
            }
        )
    elif cleared and own is None:
        click.echo("There is nothing to clear: nobody has set or lifted it.")
    else:
        click.echo(said(before, now, asked))
        click.echo(freed(now, runs))


def _waiting(journal: Journal, asked: Budget) -> list[Run]:
    """The runs that a limit on this may have parked."""
    from payonce import budget as budgets
    from payonce.model import RunState, WakesOn
    from payonce.waking import unfinished

    return [
        run
        for run in unfinished(journal)
        if run.state is RunState.PARKED
        and WakesOn.BUDGET in run.wakes_on
        and budgets.concerns(asked, run)
    ]


def _asked(
    journal: Journal,
    limit: Any,
    currency: str,
    *,
    run: str | None,
    job: str | None,
    tenant: str | None,
    each_run_of: str | None,
    per: str | None,
) -> Budget:
    from payonce.budget import told

    named = [name for name in (run or job, tenant, each_run_of) if name is not None]
    if len(named) > 1:
        raise click.UsageError("Name one: a tenant, a job, a run, or each run of a job.")
    if run is not None:
        found = _run_named(journal, run, job)
        run, job = f"{found.job} {found.key}", None
    return told(
        limit, run=run or each_run_of, job=job, tenant=tenant, per=per or "total", currency=currency
    )


def _run_named(journal: Journal, key: str, job: str | None) -> Any:
    """The run of a key, as `payonce show` finds it, or of "JOB KEY", as errors name it."""
    try:
        return the_run(journal, key, job)
    except RunNotFound:
        job_of, _, rest = key.partition(" ")
        found = journal.find(job_of, rest) if job is None else None
        if found is None:
            raise
        return found
