"""Front: `payonce why`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from payonce.cli.options import job_option, journal_of, json_option, store_option
from payonce.cli.prune import Age
from payonce.errors import RunNotFound

if TYPE_CHECKING:
    from payonce.journal.ledger import EntryFilter
    from payonce.journal.protocol import Journal
    from payonce.ledger import Account

_DAY = 86_400.0
_SLOW = 1.0
_AGE = re.compile(r"\d+(?:\.\d+)?\s*[smhdw]")


class Moment(click.ParamType[str]):
    """A day (2026-06-12), a day and a time, or how long ago (36h); in UTC."""

    name = "moment"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The text, if it is one of these."""
        written = str(value).strip()
        if not _AGE.fullmatch(written):
            try:
                moment_at(written, 0.0)
            except ValueError:
                what = "write it like 2026-06-12, 2026-06-12T14:30 or 36h"
                self.fail(f"{value!r} is no moment: {what}", param, ctx)
        return written


@click.command()
@click.option(
    "--day", metavar="DAY", help="One day in UTC: today, yesterday or one such as 2026-06-12."
)
@click.option("--since", type=Moment(), metavar="MOMENT", help="From this day or moment on.")
@click.option("--until", type=Moment(), metavar="MOMENT", help="Up to this one.")
@click.option("--tenant", metavar="NAME", help="Only what was paid for this tenant.")
@job_option
@click.option("--run", "key", metavar="KEY", help="Only the runs of this run key, of all time.")
@click.option("--markdown", is_flag=True, help="Print a post-mortem to paste.")
@store_option
@json_option
def why(
    day: str | None,
    since: str | None,
    until: str | None,
    tenant: str | None,
    job: str | None,
    key: str | None,
    markdown: bool,
    store: str,
    as_json: bool,
) -> None:
    """Say what the money went to, and how that came, the morning after.

    One sentence first, then sums, a tree of day, job, tenant, run, attempt and step, what is in
    doubt, what replays have saved, and what to do now. Without a period: from the beginning of
    yesterday until now, on Sundays and Mondays from that of Friday; where nothing was paid since
    then, the last day on which something was. Days are those of UTC; the dearest are opened. What
    has been pruned is still in the ledger: its money is told, its attempts are not.

    \b
    Examples:
      payonce why
      payonce why --day 2026-06-12 --tenant acme
      payonce why --since 30d --json | jq -r .sentence
      payonce why --run course:42 --markdown > post-mortem.md
    """
    from payonce.journal.ledger import EntryFilter
    from payonce.ledger import account

    if day is not None and (since or until):
        raise click.UsageError("--day is a period of its own: leave --since and --until out.")
    if markdown and as_json:
        raise click.UsageError("--markdown and --json are two ways out: choose one.")
    journal = journal_of(store)
    begin, end, how = _period(journal, day, since, until, every=key is not None)
    wanted = EntryFilter(begin, end, job, tenant)
    with _waiting() as tell:
        found = account(journal, wanted, key, tell)
    if key is not None and not (found.stories or found.days):
        _check_known(journal, key, wanted)
    if as_json:
        _print_document(found)
    elif markdown:
        _print_post_mortem(found, how)
    else:
        _print_view(found, how)


def _print_document(found: Account) -> None:
    from payonce.cli.printing import print_json
    from payonce.report.why_document import why_document

    print_json(why_document(found))


def _print_post_mortem(found: Account, how: str) -> None:
    from payonce.report.why_post_mortem import post_mortem
    from payonce.report.why_view import period

    click.echo(post_mortem(found, period(found.wanted, how)), nl=False)


def _print_view(found: Account, how: str) -> None:
    from payonce.cli.printing import print_view
    from payonce.report.why_view import period, why_view

    print_view(why_view(found, period(found.wanted, how)))


def _check_known(journal: Journal, key: str, wanted: EntryFilter) -> None:
    from payonce.waking import find_named

    find_named(journal, key, wanted.job)
    raise RunNotFound(
        f"the runs with the key {key!r} are none of tenant {wanted.tenant!r}",
        "Leave --tenant out.",
    )


def _period(
    journal: Journal, day: str | None, since: str | None, until: str | None, *, every: bool
) -> tuple[float, float, str]:
    """From when to when, and how that was chosen; a day begins it."""
    now = journal.now()
    if day is not None:
        begin = _day(day, now)
        return begin, begin + _DAY, "one day"
    if since is not None or until is not None:
        end = now if until is None else moment_at(until, now)
        begin = 0.0 if since is None else moment_at(since, now)
        if begin >= end:
            raise click.UsageError("--since has to be before --until.")
        return begin, end, "as asked for"
    soon = now + 1.0
    if every:
        return 0.0, soon, "of all time"
    weekday = datetime.fromtimestamp(now, UTC).weekday()
    back = {6: 2, 0: 3}.get(weekday, 1)
    begin = now // _DAY * _DAY - back * _DAY
    span = journal.ledger.span()
    if span is not None and span[1] < begin:
        last = span[1] // _DAY * _DAY
        return last, last + _DAY, "the last day on which money moved; --since looks further back"
    named = "Friday" if back > 1 else "yesterday"
    return begin, soon, f"since {named}; --day and --since choose another"


def _day(written: str, now: float) -> float:
    today = now // _DAY * _DAY
    words = {"today": today, "yesterday": today - _DAY}
    if written in words:
        return words[written]
    try:
        found = datetime.strptime(written, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise click.BadParameter(
            f"{written!r} is no day: write it like 2026-06-12, today or yesterday",
            param_hint="--day",
        ) from None
    return found.timestamp()


def moment_at(written: str, now: float) -> float:
    """The moment that is meant; one without an offset is in UTC."""
    if _AGE.fullmatch(written):
        return now - Age().convert(written, None, None)
    if written in ("now", "today", "yesterday"):
        return now if written == "now" else _day(written, now)
    found = datetime.fromisoformat(written)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


@contextmanager
def _waiting() -> Iterator[Callable[[str], None]]:
    """Say what is being read, on a terminal and once it has taken a second."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.status import Status

    from payonce.cli.printing import console

    began = time.monotonic()
    status = Status("", console=console(stderr=True))

    def tell(what: str) -> None:
        if time.monotonic() - began > _SLOW:
            status.update(f"{what} …")
            status.start()

    try:
        yield tell
    finally:
        status.stop()
