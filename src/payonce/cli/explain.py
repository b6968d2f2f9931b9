"""Front: `payonce explain`."""

from __future__ import annotations

from typing import BinaryIO

import click

from payonce.cli.options import json_option

_MOST = 8_000_000


@click.command()
@click.argument("traceback", type=click.File("rb"), default="-")
@json_option
def explain(traceback: BinaryIO, as_json: bool) -> None:
    """Say what payonce would make of a failure: its kind, why, and what to mend.

    TRACEBACK is a file with a Python traceback, or - for what is pasted or piped in. It may
    come out of a log: with prefixes, as JSON, with escaped line ends, cut off at its head. Of
    several the last one is read. Nothing is stored, no journal is needed; keys are masked.

    The fingerprint is that of the text alone: a live exception carries more, and has another.

    \b
    Examples:
      payonce explain error.txt
      kubectl logs worker-0 | payonce explain -
      payonce explain error.txt --json | jq -r .kind
    """
    from payonce.cli.printing import print_json, print_view
    from payonce.report.explained import explain as explained_of
    from payonce.report.explained import explained_document, explained_view

    explained = explained_of(traceback.read(_MOST).decode("utf-8", "replace"))
    if as_json:
        print_json(explained_document(explained))
    else:
        print_view(explained_view(explained))
