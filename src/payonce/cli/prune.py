"""Front: `payonce prune`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from payonce.cli.options import journal_of, json_option, store_option

if TYPE_CHECKING:
    from payonce.journal.protocol import Journal, Pruned

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class Age(click.ParamType[float]):
    """A length of time such as 90d, 12h or 30m, in seconds."""

    name = "age"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds in a text such as 90d."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no length of time: write it like 90d, 12h or 30m", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@click.command()
@click.option("--older-than", type=Age(), required=True, metavar="AGE", help="Such as 90d or 12h.")
@click.option("--parked", is_flag=True, help="Remove parked runs, too: they will not go on.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    metavar="N",
    help="Remove so many runs in one transaction.",
)
@store_option
@json_option
def prune(older_than: float, parked: bool, batch: int, store: str, as_json: bool) -> None:
    """Remove runs that were done, and that nothing has touched since.

    Receipts, answers, attempts and deliveries go with them; the ledger keeps what they cost, with
    job, run key and tenant. A delivery that comes after that finds no run and pays anew, so keep
    them for longer than any queue may repeat a message. It goes in steps, each a short transaction
    of its own: workers go on meanwhile, and what is removed when it is interrupted stays removed.

    \b
    Examples:
      payonce prune --older-than 90d
      payonce prune --older-than 26w --parked --store postgresql://owner@db/shop
    """
    from payonce.cli.printing import print_json

    journal = journal_of(store)
    total = _pruned(journal, journal.now() - older_than, parked=parked, batch=batch)
    if as_json:
        print_json({"runs": total.runs, "calls": total.calls, "answer_bytes": total.bytes})
        return
    word = "run" if total.runs == 1 else "runs"
    click.echo(
        f"{total.runs:,} {word} removed, with {total.calls:,} calls and "
        f"{total.bytes:,} bytes of answers and results."
    )


def _pruned(journal: Journal, before: float, *, parked: bool, batch: int) -> Pruned:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    from payonce.cli.printing import console
    from payonce.journal.protocol import Pruned

    total, out = Pruned(0, 0, 0), console(stderr=True)
    columns = ("Removing runs", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    states = journal.about().states
    most = states.get("done", 0) + (states.get("parked", 0) if parked else 0)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("", total=most)
        while (step := journal.prune(before, parked=parked, most=batch)).runs:
            total = Pruned(
                total.runs + step.runs, total.calls + step.calls, total.bytes + step.bytes
            )
            bar.update(task, completed=total.runs)
    return total
