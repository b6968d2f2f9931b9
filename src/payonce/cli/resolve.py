"""Front: `payonce resolve`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import click

from payonce.cli.options import job_option, journal_of, json_option, store_option
from payonce.cli.why import Moment, moment_at
from payonce.model import RunState

if TYPE_CHECKING:
    from payonce.journal.protocol import Resolution
    from payonce.resolving import Resolved

_DONE = {
    "happened": "happened: its answer is recorded, and it is not made again",
    "did_not_happen": "did not happen and is no longer in doubt: it may be made again",
    "pay_again": "may be paid again: what it cost before stays in the journal",
}


@click.command()
@click.argument("call_id", type=int, metavar="[CALL]", required=False)
@click.option("--all", "every", is_flag=True, help="All calls in doubt; without a word: list them.")
@job_option
@click.option("--tenant", metavar="NAME", help="With --all: only of this tenant.")
@click.option("--run", "key", metavar="KEY", help="With --all: only of runs of this run key.")
@click.option("--step", metavar="NAME", help="With --all: only of this step.")
@click.option(
    "--since",
    type=Moment(),
    metavar="MOMENT",
    help="With --all: in doubt from then on (36h, a day).",
)
@click.option("--until", type=Moment(), metavar="MOMENT", help="With --all: up to then.")
@click.option(
    "--happened",
    "resolution",
    flag_value="happened",
    help="The step took effect. It returns --answer from now on.",
)
@click.option(
    "--did-not-happen",
    "resolution",
    flag_value="did_not_happen",
    help="The call was not billed and had no effect.",
)
@click.option(
    "--pay-again",
    "resolution",
    flag_value="pay_again",
    help="Nobody can tell, or the answer can't be rebuilt: repeat it.",
)
@click.option(
    "--answer", metavar="JSON", help="With --happened: what the step returned; null if left out."
)
@click.option("--because", metavar="TEXT", default="", help="A reason, kept with the call.")
@click.option("--dry-run", is_flag=True, help="With --all: only list what would be resolved.")
@click.option("--yes", is_flag=True, help="With --all: don't ask before.")
@store_option
@json_option
def resolve(
    call_id: int | None,
    every: bool,
    job: str | None,
    tenant: str | None,
    key: str | None,
    step: str | None,
    since: str | None,
    until: str | None,
    resolution: str | None,
    answer: str | None,
    because: str,
    dry_run: bool,
    yes: bool,
    store: str,
    as_json: bool,
) -> None:
    """Say what became of a call in doubt, one that may or may not have been billed.

    CALL is its number, as payonce show KEY lists it. If the run is parked for want of this word,
    it goes on at its next delivery, or by payonce wake. With --all it is said of many, such as
    those of one outage; they are listed first, and it is asked whether they are meant.

    \b
    Examples:
      payonce resolve 17 --did-not-happen --because "not in the dashboard"
      payonce resolve 17 --happened --answer '{"invoice": "in_42"}'
      payonce resolve 17 --pay-again
      payonce resolve --all --job order --since 2h
      payonce resolve --all --job order --since 2h --did-not-happen
    """
    from payonce.cli.resolve_all import resolve_all
    from payonce.journal.ledger import EntryFilter
    from payonce.resolving import doubtful

    _refuse_unfit(call_id, resolution, answer, every=every)
    if call_id is not None:
        narrowed = (job, tenant, key, step, since, until, dry_run, yes)
        if any(narrowed):
            raise click.UsageError("What narrows --all down doesn't go with a CALL.")
        _resolve_one(call_id, cast("Resolution", resolution), answer, because, store, as_json)
        return
    journal, word = journal_of(store), cast("Resolution | None", resolution)
    now = journal.now()
    begin = 0.0 if since is None else moment_at(since, now)
    end = now + 1.0 if until is None else moment_at(until, now)
    resolve_all(
        journal,
        doubtful(journal, EntryFilter(begin, end, job, tenant), word, key=key, step=step),
        word,
        answer=_value(answer),
        because=because,
        dry_run=dry_run,
        yes=yes,
        as_json=as_json,
    )


def _refuse_unfit(
    call_id: int | None, resolution: str | None, answer: str | None, *, every: bool
) -> None:
    if every == (call_id is not None):
        raise click.UsageError("Name one CALL, or say --all.")
    if resolution is None and not every:
        raise click.UsageError("Say one of --happened, --did-not-happen and --pay-again.")
    if answer is not None and resolution != "happened":
        raise click.UsageError("--answer goes with --happened only.")


def _resolve_one(
    call_id: int,
    resolution: Resolution,
    answer: str | None,
    because: str,
    store: str,
    as_json: bool,
) -> None:
    from payonce.cli.printing import print_json
    from payonce.resolving import resolve as take_down

    given = _value(answer)
    done = take_down(journal_of(store), call_id, resolution, answer=given, because=because)
    if as_json:
        print_json(_row(done))
    else:
        click.echo(_sentence(done))


def _value(answer: str | None) -> Any:
    try:
        return None if answer is None else json.loads(answer)
    except ValueError as exc:
        raise click.BadParameter(f"this is no JSON: {exc}", param_hint="--answer") from exc


def _sentence(done: Resolved) -> str:
    then = (
        "goes on at its next delivery, or by payonce wake" if done.woken else f"is {done.run.state}"
    )
    call, what = done.call, _DONE[done.resolution]
    if done.run.state is RunState.DONE:
        what = what.partition(":")[0]
    return f"Call {call.id} ({call.name}) {what}. Run {done.run.key!r} {then}."


def _row(done: Resolved) -> dict[str, Any]:
    return {
        "call": done.call.id,
        "step": done.call.name,
        "resolution": done.resolution,
        "run": done.run.key,
        "job": done.run.job,
        "may_go_on": done.woken,
    }
