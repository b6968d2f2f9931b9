"""Front: `payonce wake`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from payonce.cli.options import journal_of, json_option
from payonce.errors import ConfigError

if TYPE_CHECKING:
    from payonce.app import Payonce
    from payonce.model import Run
    from payonce.waking import Woken

STILL_NOT_DONE = 3


@click.command()
@click.argument("target")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--job", metavar="NAME", help="Only runs of this job.")
@click.option(
    "--all",
    "overdue",
    is_flag=True,
    help="Call runs, too, that wait for a delivery though their time has passed, and those "
    "whose worker died.",
)
@click.option("--cause", metavar="FINGERPRINT", help="Only runs that are parked for this cause.")
@click.option(
    "--workers",
    type=click.IntRange(min=1, max=64),
    metavar="N",
    default=4,
    show_default=True,
    help="Call so many runs at the same time.",
)
@click.option("--force", is_flag=True, help="Call parked runs in an unchanged world, too.")
@click.option("--dry-run", is_flag=True, help="Only list what would be called.")
@click.option("--store", metavar="URL", help="Set $PAYONCE_STORE before TARGET is imported.")
@json_option
def wake(
    target: str,
    keys: tuple[str, ...],
    job: str | None,
    overdue: bool,
    cause: str | None,
    workers: int,
    force: bool,
    dry_run: bool,
    store: str | None,
    as_json: bool,
) -> None:
    """Call runs again that may go on: what was paid for is replayed, the rest is done.

    TARGET names the app as it is imported, module:attribute; the attribute may be left out where
    the module has one app only. Without KEYs these are all of its parked runs whose world has
    changed (the code's version, the schema of a watched database), those that were held at the
    door or are due for a probe, and those that payonce resolve let go on. Runs that are named are
    called, too, where only a delivery is missing. What the jobs print goes to stderr.

    The exit code is 0 if all that were called are done, 3 if some are not.

    \b
    Examples:
      payonce wake shop.jobs:app
      payonce wake shop.jobs course:42 course:43
      payonce wake shop.jobs:app --dry-run --all
      payonce wake shop.jobs:app course:42 --force
      payonce wake shop.jobs:app --cause 5f1c2a --workers 8
    """
    from payonce.cli.target import app_at
    from payonce.waking import wakeable

    app = app_at(target, store)
    journal_of(app.store)
    click.get_current_context().call_on_close(app.close)
    _known(app, job)
    runs = wakeable(app, keys, job=job, cause=cause, force=force, overdue=overdue)
    if dry_run:
        _print_plan(app, runs, keys, job, as_json=as_json)
        return
    woken = list(_call_each(app, runs, force=force, workers=workers))
    woken.sort(key=lambda each: each.run.id)
    _print_outcome(app, woken, keys, job, as_json=as_json)
    if any(each.outcome != "done" for each in woken):
        raise click.exceptions.Exit(STILL_NOT_DONE)


def _known(app: Payonce, job: str | None) -> None:
    if job is not None and job not in app.jobs:
        raise ConfigError(
            f"the app has no job named {job!r}",
            f"Its jobs are: {', '.join(sorted(app.jobs)) or 'none'}.",
        )


def _call_each(app: Payonce, runs: list[Run], *, force: bool, workers: int) -> Iterator[Woken]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from payonce.cli.printing import console
    from payonce.waking import wake_each

    out = console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress,
        redirect_stdout(sys.stderr),
    ):
        task = progress.add_task("calling", total=len(runs))
        for woken in wake_each(app, runs, force=force, workers=workers):
            progress.update(task, advance=1, description=woken.run.key)
            yield woken


def _print_plan(
    app: Payonce, runs: list[Run], keys: tuple[str, ...], job: str | None, *, as_json: bool
) -> None:
    from payonce.cli.printing import print_json, print_view
    from payonce.report.woken import plan_row, plan_table

    if as_json:
        print_json([plan_row(run) for run in runs])
        return
    if runs:
        print_view([plan_table(runs)])
    else:
        click.echo("There is nothing to wake.")
    _say_of_the_rest(app, runs, keys, job)


def _print_outcome(
    app: Payonce, woken: list[Woken], keys: tuple[str, ...], job: str | None, *, as_json: bool
) -> None:
    from payonce.cli.printing import print_json, print_view
    from payonce.report.woken import woken_row, woken_table

    if as_json:
        print_json([woken_row(each) for each in woken])
        return
    if woken:
        print_view([woken_table(woken)])
    else:
        click.echo("There was nothing to wake.")
    _say_of_the_rest(app, [each.run for each in woken], keys, job)


def _say_of_the_rest(
    app: Payonce, called: list[Run], keys: tuple[str, ...], job: str | None
) -> None:
    """What becomes of the runs that were meant, and not called."""
    from payonce.report.woken import left_alone
    from payonce.waking import find_named, unfinished

    ids = {run.id for run in called}
    if keys:
        meant = [run for key in dict.fromkeys(keys) for run in find_named(app.journal, key, job)]
    else:
        meant = list(unfinished(app.journal, job))
    for sentence in left_alone([run for run in meant if run.id not in ids], list(app.jobs)):
        click.echo(sentence, err=True)
