"""Front of the demo: the story in words, a progress bar while it runs, and the table."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from payonce.demo.figures import Migrated, Protected, Story, Unprotected
from payonce.demo.story import TOTAL
from payonce.money import Money


class Teller:
    """An audience that writes to a console; `quiet` leaves the bar and drops the words."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} deliveries"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=TOTAL)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Show the bar; on a terminal alone."""
        with self._bar:
            yield

    def sees(self, what: str, deliveries: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, description=what, completed=deliveries)

    def hears(self, act: Unprotected | Protected | Migrated) -> None:
        """Say how an act ended, in one line."""
        if not self._quiet:
            _say(self._console, _line(act))

    def close(self, story: Story, keep: Path | None) -> None:
        """Show the table, the receipts, and what is to be said in the end."""
        console = self._console
        console.print(_table(story))
        for call, model in story.receipts:
            _say(console, f"  receipt  {escape(call)}  [dim]{escape(model)}[/]")
        console.print()
        _say(console, _moral(story))
        if keep is not None:
            _say(console, f"\nKept in {escape(str(keep))}. Look at it with:")
            for command in _commands(story, keep):
                _say(console, f"  [cyan]{escape(command)}[/]")


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=not console.is_terminal, highlight=False)


def _line(act: Unprotected | Protected | Migrated) -> str:
    match act:
        case Unprotected():
            return (
                f"[bold]1 The accident.[/] {act.deliveries} deliveries of one task, "
                f"[red]{act.billed_calls} calls billed[/], {act.failing_writes} failing writes: "
                f"{_dollars(act.cost)} for {'one course' if act.succeeded else 'nothing'}."
            )
        case Protected():
            duplicates = _count(act.deliveries - act.wanted, "duplicate")
            return (
                f"[bold]2 The same app with payonce.[/] [green]{act.billed_calls} calls billed[/], "
                f"{_count(act.failing_writes, 'failing write')}, then {act.state}: "
                f"{escape(act.reason)}. The queue needed "
                f"{_count(act.wanted, 'delivery', 'deliveries')}; {duplicates} cost "
                f"{_count(act.billed_to_others, 'call')}."
            )
    key = "the same key" if act.same_key else "another key"
    return (
        f"[bold]3 The migration, and one more delivery.[/] [green]{act.state}[/] under {key}, "
        f"{escape(act.run_key)}; still {act.billed_calls} calls billed."
    )


def _table(story: Story) -> Table:
    lost, parked, healed = story.unprotected, story.protected, story.migrated
    table = Table(box=SIMPLE_HEAD)
    table.add_column("")
    for name, style in (
        ("unprotected", "red"),
        ("with payonce", "yellow"),
        ("after the migration", "green"),
    ):
        table.add_column(name, justify="right", style=style)
    acts = (lost, parked, healed)
    table.add_row("deliveries", *(str(act.deliveries) for act in acts))
    table.add_row("billed calls", *(str(act.billed_calls) for act in acts))
    table.add_row("failing writes", *(str(act.failing_writes) for act in acts))
    table.add_row("cost", *(_dollars(act.cost) for act in acts))
    table.add_row("state", "done" if lost.succeeded else "given up", parked.state, healed.state)
    return table


def _moral(story: Story) -> str:
    calls = story.unprotected.billed_calls - story.migrated.billed_calls
    share = 100 * story.saved.nanos // max(1, story.unprotected.cost.nanos)
    return (
        f"payonce saved [bold]{calls} calls and {_dollars(story.saved)}[/]: {share} % of that bill."
    )


def _commands(story: Story, keep: Path) -> Iterator[str]:
    store = shlex.quote(f"sqlite:///{keep / 'protected' / 'payonce.db'}")
    yield f"payonce show {shlex.quote(story.migrated.run_key)} --store {store}"
    yield f"payonce why --store {store}"
    yield f"payonce runs --store {store}"
    yield f"payonce audit {shlex.quote(str(keep / 'unprotected'))}/*"


def _dollars(cost: Money) -> str:
    return f"${cost.amount}"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
