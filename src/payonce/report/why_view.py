"""Reading: `payonce why` for people, on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from payonce.journal.ledger import Doubt, EntryFilter, Sum
from payonce.ledger import Account, by_use
from payonce.report import text
from payonce.report.tables import facts, table
from payonce.report.why_next import to_do
from payonce.report.why_sentence import besides, saved, sentence
from payonce.report.why_tree import Node, trees
from payonce.report.why_words import clock, money, paid, sums

_WIDTH = 12
_LEAST = 24
MOST_DOUBTS = 20
MOST_MODELS = 5


def why_view(account: Account, chosen: str) -> Iterator[RenderableType]:
    """The sentence, sums, the tree, what is in doubt, what to do; `chosen` is the period."""
    yield Text(sentence(account), style="bold")
    for line in besides(account):
        yield Text(line)
    yield ""
    yield facts(
        [
            ("period", chosen),
            ("paid", paid(account.sums) if account.sums else "nothing"),
            ("of use", _of_use(account)),
            ("wasted", _wasted(account.sums)),
            ("in doubt", in_doubt(account)),
            ("saved", saved(account)),
            ("models", by_model(account)),
        ]
    )
    yield ""
    for one in account.sums:
        if nodes := trees(account, one.currency):
            yield Drawn(nodes)
            yield ""
    if account.doubts:
        yield _doubts(account.doubts)
        yield ""
    yield Text("What to do now", style="bold")
    yield from to_do(account)


def period(wanted: EntryFilter, how: str) -> str:
    """From when to when, and how that was chosen."""
    since = clock(wanted.since) if wanted.since else "the beginning"
    return f"{since} to {clock(wanted.until)} UTC ({how})"


def by_model(account: Account) -> str | None:
    """What the dearest models cost; nothing where no call names one, or there are too many."""
    named = [each for each in account.models or () if each.model is not None]
    told = [f"{each.model} {amount(each.sum)}" for each in named[:MOST_MODELS]]
    if len(named) > MOST_MODELS:
        told.append(f"{len(named) - MOST_MODELS} more")
    return ", ".join(told) or None


def _wasted(found: Sequence[Sum]) -> str:
    calls = sum(one.wasted for one in found)
    if not calls:
        return "nothing: no receipt was rejected or doubled"
    known = [(one.waste, one.currency) for one in found if one.waste]
    amount = sums(known) if known else "an unknown amount"
    return f"{amount}, {text.plural(calls, 'receipt')} that did no good"


def _of_use(account: Account) -> str | None:
    """What became of it, where each day was looked into."""
    if not all(day.shares for day in account.days):
        return None
    useful, not_yet, gone = (
        sums((nanos, currency) for currency, nanos in sorted(found.items()))
        for found in by_use(account)
    )
    parts = [
        useful,
        f"not yet {not_yet}: of runs that are not done" if not_yet != "nothing" else "",
        f"{gone} of runs that have been pruned since" if gone != "nothing" else "",
    ]
    return "; ".join(part for part in parts if part)


def in_doubt(account: Account) -> str:
    """How much may have been billed besides."""
    if not account.doubts:
        return "nothing"
    found: dict[str, int] = {}
    unknown = 0
    for doubt in account.doubts:
        most = at_most(doubt)
        if most is None:
            unknown += 1
        else:
            currency = doubt.entry.currency
            found[currency] = found.get(currency, 0) + most
    calls = text.plural(len(account.doubts), "call")
    amount = sums((found[currency], currency) for currency in sorted(found))
    known = f"up to {amount}" if found else ""
    beside = f"{text.plural(unknown, 'amount')} not known" if unknown else ""
    return f"{calls}, {' and '.join(part for part in (known, beside) if part)}"


def at_most(doubt: Doubt) -> int | None:
    """What a call in doubt has cost: its ceiling, else what its repeat cost, else unknown."""
    return doubt.repeat_nanos if doubt.entry.nanos is None else doubt.entry.nanos


def _doubts(doubts: Sequence[Doubt]) -> RenderableType:
    rows = [_doubt_row(doubt) for doubt in doubts[:MOST_DOUBTS]]
    more = len(doubts) - len(rows)
    title = f"In doubt: {text.plural(len(doubts), 'call')} that may have been billed"
    return table(
        "#call,job,run,step,since,at most,repeat cost,reason",
        rows,
        spare=("since", "job"),
        title=f"{title}, the first {len(rows)}" if more else title,
    )


def _doubt_row(doubt: Doubt) -> list[str | Text | None]:
    entry = doubt.entry
    said = f"({doubt.resolution.replace('_', ' ')}) " if doubt.resolution else ""
    return [
        str(entry.call_id),
        entry.job,
        entry.key,
        entry.step,
        clock(entry.at),
        text.UNKNOWN if entry.nanos is None else money(entry.nanos, entry.currency),
        None if doubt.repeat_nanos is None else money(doubt.repeat_nanos, entry.currency),
        f"{said}{text.short(doubt.reason or 'its run has been pruned since')}",
    ]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Days one under the other, with their branches, and bars that say their parts.

    Each node has one line: where there is little room, names and notes are cut.
    """

    nodes: Sequence[Node]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = list(self._rows())
        names, amounts, calls, told = (
            max(cell_len(row[column]) for _, row in rows) for column in range(4)
        )
        room = options.max_width - _WIDTH - amounts - calls - 10
        named = min(names, max(room - min(told, room * 2 // 5), _LEAST))
        made = Table.grid(padding=(0, 2, 0, 0))
        made.add_column(width=named, no_wrap=True, overflow="ellipsis")
        made.add_column(width=_WIDTH)
        made.add_column(width=amounts, justify="right", no_wrap=True)
        made.add_column(width=calls, justify="right", no_wrap=True)
        made.add_column(
            width=max(1, min(told, room - named)), no_wrap=True, overflow="ellipsis", style="dim"
        )
        for bar, (name, *others) in rows:
            made.add_row(name, bar, *others)
        yield made

    def _rows(self) -> Iterator[tuple[Bar, tuple[str, str, str, str]]]:
        dearest = max(_size(node.sum, self.nodes) for node in self.nodes)
        for top in self.nodes:
            for guide, node in top.lines():
                whole = dearest if node is top else _size(top.sum, self.nodes)
                size = _size(node.sum, self.nodes)
                color = "cyan" if node is top else "blue"
                bar = Bar(max(whole, 1), 0, size, width=_WIDTH, color=color)
                counted = text.plural(node.sum.calls, "call")
                yield bar, (guide + node.name, amount(node.sum), counted, notes(node))


def _size(one: Sum, nodes: Sequence[Node]) -> int:
    """What bars measure: the money, or the calls where no price is known."""
    return one.paid if any(node.sum.paid for node in nodes) else one.calls


def amount(one: Sum) -> str:
    """What a node cost, as far as it is known."""
    if one.calls and one.calls == one.unpriced:
        return text.UNKNOWN
    return money(one.paid, one.currency) if one.calls else text.NOTHING


def notes(node: Node) -> str:
    """What else there is to say of a node."""
    one = node.sum
    parts = [
        node.note,
        f"{money(one.waste, one.currency)} wasted" if one.waste else "",
        f"≤ {money(one.doubt, one.currency)} in doubt" if one.doubt > 0 else "",
        f"{one.unpriced} of unknown price" if 0 < one.unpriced < one.calls else "",
    ]
    return ", ".join(part for part in parts if part)
