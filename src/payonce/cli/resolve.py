"""Front: `payonce resolve`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import click

from payonce.cli.options import journal_of, json_option, store_option
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
@click.argument("call_id", type=int, metavar="CALL")
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
@store_option
@json_option
def resolve(
    call_id: int,
    resolution: str | None,
    answer: str | None,
    because: str,
    store: str,
    as_json: bool,
) -> None:
    """Say what became of a call in doubt, one that may or may not have been billed.

    CALL is its number, as payonce show KEY lists it. If the run is parked for want of this word,
    it goes on at its next delivery, or by payonce wake.

    \b
    Examples:
      payonce resolve 17 --did-not-happen --because "not in the dashboard"
      payonce resolve 17 --happened --answer '{"invoice": "in_42"}'
      payonce resolve 17 --pay-again
    """
    from payonce.cli.printing import print_json
    from payonce.resolving import resolve as take_down

    if resolution is None:
        raise click.UsageError("Say one of --happened, --did-not-happen and --pay-again.")
    if answer is not None and resolution != "happened":
        raise click.UsageError("--answer goes with --happened only.")
    given = _value(answer)
    done = take_down(
        journal_of(store),
        call_id,
        cast("Resolution", resolution),
        answer=given,
        because=because,
    )
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
