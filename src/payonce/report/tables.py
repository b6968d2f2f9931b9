"""Reading: how tables look, on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

Cell = str | Text

_WORDS = {"reason", "why", "note", "more or fewer by", "step", "at step", "message"}
_FOLDED = 24
"""A column of words may be made as narrow as this."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table that fits the terminal: columns with sentences are folded, spare ones left out.

    A column without any content is left out too. One whose name starts with "#" holds numbers,
    and is shown without that sign; `spare` names columns, the first to be left out first.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell | None]]
    spare: Sequence[str] = ()
    title: str | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        filled = {self.columns[number].removeprefix("#") for number in self._least_widths(())}
        spare = [name for name in self.spare if name in filled]
        for count in range(len(spare) + 1):
            left_out = spare[:count]
            widths = self._least_widths(left_out)
            if sum(widths.values()) + 2 * len(widths) - 1 <= options.max_width:
                break
        else:
            widths = dict.fromkeys(widths, 0)
        yield self._made(widths)
        if left_out:
            yield Text(f"(no room for: {', '.join(left_out)})", style="dim")

    def _least_widths(self, left_out: Sequence[str]) -> dict[int, int]:
        """The width that each column to be shown needs at least, by its number."""
        widths = {}
        for number, name in enumerate(self.columns):
            cells = [_cell(row[number]).cell_len for row in self.rows]
            plain = name.removeprefix("#")
            if plain not in left_out and any(cells):
                natural = max(len(plain), *cells)
                widths[number] = min(natural, _FOLDED) if plain in _WORDS else natural
        return widths

    def _made(self, widths: Mapping[int, int]) -> Table:
        made = Table(
            box=box.SIMPLE_HEAD,
            title=self.title,
            title_justify="left",
            title_style="bold",
            header_style="bold",
            padding=(0, 1, 0, 0),
            show_edge=False,
        )
        for number, width in widths.items():
            name = self.columns[number]
            made.add_column(
                name.removeprefix("#"),
                justify="right" if name.startswith("#") else "left",
                overflow="fold",
                min_width=width,
            )
        for row in self.rows:
            made.add_row(*(_cell(row[number]) for number in widths))
        return made


def table(
    columns: str,
    rows: Iterable[Sequence[Cell | None]],
    *,
    spare: Sequence[str] = (),
    title: str | None = None,
) -> Fitted:
    """A table whose columns are named in one text, with commas between them; see `Fitted`."""
    return Fitted(columns.split(","), list(rows), spare, title)


def facts(rows: Iterable[tuple[str, Cell | None]]) -> Table:
    """Names and what they stand for, one under the other; those without a value are left out."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in rows:
        if value:
            made.add_row(name, _cell(value))
    return made


def _cell(cell: Cell | None) -> Text:
    return cell if isinstance(cell, Text) else Text(cell or "")
