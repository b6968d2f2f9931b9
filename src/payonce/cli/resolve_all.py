"""Front: `payonce resolve --all`, one word on many calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from payonce.report.text import plural

if TYPE_CHECKING:
    from payonce.journal.protocol import Journal, Resolution
    from payonce.resolving import Doubtful

WORDS = {
    "happened": "it happened",
    "did_not_happen": "it did not happen",
    "pay_again": "it may be paid again",
}


def resolve_all(
    journal: Journal,
    found: list[Doubtful],
    resolution: Resolution | None,
    *,
    answer: Any,
    because: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """List calls in doubt; with a word, and the consent of whoever sits there, say it of each."""
    from payonce.cli.printing import print_json, print_view
    from payonce.report.doubtful import doubtful_row, doubtful_view
    from payonce.resolving import resolve_each

    if resolution is None or dry_run or not found:
        if as_json:
            print_json([doubtful_row(each, None) for each in found])
        elif found:
            print_view(doubtful_view(found))
        else:
            click.echo("No such call is in doubt.")
        return
    if not yes:
        if as_json:
            raise click.UsageError("--json asks nobody: say --yes, too, or --dry-run.")
        print_view(doubtful_view(found))
        click.confirm(f"Say of {plural(len(found), 'call')} that {WORDS[resolution]}?", abort=True)
    done = resolve_each(journal, found, resolution, answer=answer, because=because)
    said = {each.call.id: each for each in done}
    if as_json:
        print_json([doubtful_row(each, said.get(each.call.id)) for each in found])
        return
    woken = len({each.run.id for each in done if each.woken})
    click.echo(
        f"{plural(len(done), 'call')} resolved: {WORDS[resolution]}. "
        f"{plural(woken, 'parked run')} may go on, by payonce wake or a delivery."
    )
    if len(done) < len(found):
        left = plural(len(found) - len(done), "call")
        click.echo(f"{left} changed meanwhile: nothing was said of them.", err=True)
