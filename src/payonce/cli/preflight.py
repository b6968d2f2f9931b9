"""Front: `payonce preflight`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from payonce.cli.options import json_option
from payonce.errors import ConfigError, PayonceError

if TYPE_CHECKING:
    from payonce.app import Payonce
    from payonce.ready import Need
    from payonce.report.readiness import Checked

EXIT = {"ready": 0, "not ready": 1, "can't tell": 2}
_CANT_TELL = 2
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def _seconds(context: click.Context, option: click.Parameter, value: str) -> float:
    """The seconds behind 90, 90s, 5m or 1h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no length of time; write 90s, 5m or 1h.")
    return float(found.group(1)) * _SECONDS[found.group(2)]


@click.command()
@click.argument("target")
@click.option("--job", metavar="NAME", help="Only what this job needs.")
@click.option(
    "--wait",
    callback=_seconds,
    metavar="TIME",
    default="0",
    help="Look again, each second, for as long (90s, 5m, 1h) until all is ready.",
)
@json_option
@click.pass_context
def preflight(
    context: click.Context, target: str, job: str | None, wait: float, as_json: bool
) -> None:
    """Look whether the databases hold what the jobs need, before anything is paid.

    TARGET names the app as it is imported, module:attribute; the attribute may be left out where
    the module has one app only. Looked at is what app.schema() names in a job's needs=. The
    journal is not opened. What is waited for is told on stderr.

    The exit code is 0 if all is ready, 1 if something is not, 2 if that can't be told.

    \b
    Examples:
      payonce preflight shop.jobs:app
      payonce preflight shop.jobs:app --wait 5m
      payonce preflight shop.jobs --job shop.jobs.generate_course --json
    """
    from payonce.cli.printing import print_error, print_json, print_view
    from payonce.cli.target import app_at
    from payonce.report.readiness import readiness_document, readiness_view, state_of

    try:
        with redirect_stdout(sys.stderr):
            app = app_at(target, None)
            needs = _needs(app, job)
    except PayonceError as exc:
        print_error(exc)
        context.exit(_CANT_TELL)
    context.call_on_close(app.close)
    checked = _check(needs, wait, _teller())
    if as_json:
        print_json(readiness_document(checked))
    else:
        print_view(readiness_view(checked))
    context.exit(EXIT[state_of(checked)])


def _needs(app: Payonce, job: str | None) -> Sequence[tuple[Need, list[str]]]:
    """Each need of the app once, with the jobs that have it."""
    if job is not None and job not in app.jobs:
        raise ConfigError(
            f"the app has no job named {job!r}",
            f"Its jobs are: {', '.join(sorted(app.jobs)) or 'none'}.",
        )
    found: dict[Need, list[str]] = {}
    for name, each in app.jobs.items():
        for need in each.needs if job in (None, name) else ():
            found.setdefault(need, []).append(name)
    if not found:
        raise ConfigError(
            "no job says what it needs, so nothing can be looked at",
            "Give it needs=[app.schema(engine, Course)] in @app.job.",
        )
    return list(found.items())


def _check(
    needs: Sequence[tuple[Need, list[str]]], wait: float, tell: Callable[[str], None]
) -> list[Checked]:
    import time

    from payonce.report.readiness import check, state_of, summary

    end = time.monotonic() + wait
    while True:
        checked = check(needs)
        left = end - time.monotonic()
        if state_of(checked) == "ready" or left <= 0:
            return checked
        tell(summary(checked))
        time.sleep(min(1.0, left))


def _teller() -> Callable[[str], None]:
    """Tells what is waited for, once per change of it."""
    last: list[str] = []

    def tell(text: str) -> None:
        if last[-1:] != [text]:
            click.echo(f"waiting: {text}", err=True)
            last.append(text)

    return tell
