"""Front: the two ways out, to people and to programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.text import Text

from payonce.errors import PayonceError, Stop

_PIPE_WIDTH = 10_000
"""Columns where there is no terminal: nothing is folded for those who read line by line."""


def console(*, stderr: bool = False) -> Console:
    """Where people read: as wide as the terminal; colours only there, and not under NO_COLOR."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def print_view(renderables: Iterable[RenderableType]) -> None:
    """Print a report, without blanks at the ends of its lines where there is no terminal."""
    out = console()
    if out.is_terminal:
        out.print(*renderables, sep="\n")
        return
    with out.capture() as captured:
        out.print(*renderables, sep="\n")
    lines = [line.rstrip() for line in captured.get().splitlines()]
    click.echo("\n".join(lines))


def print_json(document: Any) -> None:
    """Print a document for programs."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_error(error: PayonceError | Stop) -> None:
    """Print what happened, whether money moved, and what to do."""
    out = console(stderr=True)
    out.print(Text.assemble(("Error: ", "bold red"), f"{error.what} (paid: {error.paid})."))
    out.print(Text(error.todo))
