"""Reading: budgets, what is used of them now, and who said so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rich.console import RenderableType
from rich.text import Text

from payonce import budget
from payonce.journal.ledger import Told
from payonce.journal.protocol import Journal
from payonce.model import Run
from payonce.money import EVERY, Balance, Budget, Money, Scope
from payonce.report import text
from payonce.report.commands import command
from payonce.report.tables import table

_ORDER: tuple[Scope, ...] = ("app", "job", "tenant", "run")
_SHOWN = 30
_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Line:
    """One budget in the period of now, which ends at `until`.

    `used` is None for what each job, tenant or run has for itself. A limit of the code is not
    `known` from a person's word being cleared until a call is held for it, or the code is at hand.
    """

    budget: Budget
    source: Literal["code", "person"]
    used: Balance | None
    until: float | None
    known: bool = True

    @property
    def share(self) -> float | None:
        """How much of it is gone, from 0 to 1 and beyond."""
        used, limit = self.used, self.budget.nanos
        if used is None or limit is None:
            return None
        gone = used.spent + used.held + used.doubt
        return gone / limit if limit else float(gone > 0)

    @property
    def left(self) -> int | None:
        """Nanos that may still be held."""
        used, limit = self.used, self.budget.nanos
        return None if used is None or limit is None else replace(used, limit=limit).left


def lines(journal: Journal, code: Sequence[Budget] = ()) -> list[Line]:
    """All budgets that are known: of people, of calls that were held, and of the `code` given."""
    ledger, now = journal.ledger, journal.now()
    words = ledger.budgets()
    told = words.budgets
    found: dict[tuple[str, ...], Line] = {}
    for used in ledger.balances():
        said = _said(used, code, words)
        until = budget.period(used.per, now)[2]
        found[used.scope, used.name, used.per, used.currency] = replace(said, until=until)
    for source, budgets in (("person", told), ("code", code)):
        for each in budgets:
            place = each.scope, each.name, each.per, each.currency
            if place not in found:
                until = budget.period(each.per, now)[2]
                used_ = ledger.used(each) if _is_one(each) else None
                found[place] = Line(each, "person" if source == "person" else "code", used_, until)
    return sorted(found.values(), key=_place)


def line_of(journal: Journal, asked: Budget) -> Line | None:
    """What is known of one budget."""
    return next((line for line in lines(journal) if _same(line.budget, asked)), None)


def of_people(journal: Journal, asked: Budget) -> Budget | None:
    """What a person has said of this very budget, and nobody has cleared."""
    told = journal.ledger.budgets().budgets
    return next((each for each in told if _same(each, asked)), None)


def _same(one: Budget, other: Budget) -> bool:
    return (one.scope, one.name, one.per, one.currency) == (
        *(other.scope, other.name, other.per, other.currency),
    )


def _said(used: Balance, code: Iterable[Budget], words: Told) -> Line:
    """What is used of a budget, with the word that holds for it.

    Without the app at hand, the code's word is the limit that a call was held against last.
    """
    place = (used.scope, used.per, used.currency, used.name)
    own, said = budget.nearest(code, *place), budget.nearest(words.budgets, *place)
    mine = Budget(used.scope, used.name, used.per, used.limit, used.currency)
    if said is not None and not (own and own.name == used.name != said.name):
        return Line(replace(mine, nanos=said.nanos, set_at=said.set_at), "person", used, None)
    if own is not None:
        return Line(replace(mine, nanos=own.nanos), "code", used, None)
    gone = budget.nearest(words.cleared, *place)
    if gone is not None and gone.nanos == used.limit:
        return Line(replace(mine, nanos=None), "code", used, None, known=False)
    return Line(mine, "code", used, None)


def _is_one(each: Budget) -> bool:
    return each.scope == "app" or (each.name != EVERY if each.scope != "run" else " " in each.name)


def _place(line: Line) -> tuple[Any, ...]:
    each = line.budget
    return (
        _ORDER.index(each.scope),
        line.used is not None,
        -(line.share or 0.0),
        each.name,
        each.per,
    )


def title(each: Budget) -> str:
    """Whose budget it is."""
    match each.scope:
        case "app":
            return "the application"
        case "run" if " " not in each.name:
            return "each run" if each.name == EVERY else f"each run of {each.name}"
        case "run":
            job, _, key = each.name.partition(" ")
            return f"run {key} of {job}"
        case _:
            return f"each {each.scope}" if each.name == EVERY else f"{each.scope} {each.name}"


def budgets_table(found: Sequence[Line]) -> Iterator[RenderableType]:
    """One line for each, the application's first."""
    yield table(
        "budget,per,#limit,#paid,#held,#in doubt,#unpriced,#left,used,set,until",
        (_row(line) for line in found[:_SHOWN]),
        spare=("until", "unpriced", "held", "in doubt", "set", "used"),
    )
    if len(found) > _SHOWN:
        yield f"and {len(found) - _SHOWN} more: {command('payonce budget')} --json"
    if any(line.used is not None and line.used.doubt for line in found):
        resolve = command("payonce resolve --all")
        yield f"What is in doubt counts until a person says what became of it: {resolve}"


def _row(line: Line) -> list[str | Text | None]:
    each, used = line.budget, line.used
    return [
        title(each),
        "" if each.per == "total" else each.per,
        _limit(line),
        "" if used is None else _money(used.spent, each),
        _money(used.held, each) if used and used.held else "",
        _money(used.doubt, each) if used and used.doubt else "",
        str(used.unpriced) if used and used.unpriced else "",
        None if line.left is None else _money(line.left, each),
        _bar(line.share),
        "by the code" if line.source == "code" else f"by hand, {text.clock(each.set_at)}",
        text.clock(line.until) if used else "",
    ]


def _limit(line: Line) -> str:
    if not line.known:
        return "see --app"
    return "lifted" if line.budget.nanos is None else _money(line.budget.nanos, line.budget)


def _money(nanos: int, each: Budget) -> str:
    return str(Money(nanos, each.currency))


def _bar(share: float | None) -> Text:
    if share is None:
        return Text("")
    full = min(_WIDTH, int(share * _WIDTH + 0.5))
    style = "red" if share >= 1 else "yellow" if share >= 0.8 else "green"
    bar = "█" * full + "░" * (_WIDTH - full)
    return Text.assemble((bar, style), f" {share * 100:.0f} %")


def budget_row(line: Line) -> dict[str, Any]:
    """The same for programs."""
    each, used = line.budget, line.used
    return {
        "scope": each.scope,
        "name": each.name,
        "per": each.per,
        "currency": each.currency,
        "limit": _amount(each.nanos),
        "period": used.period if used else None,
        "until": text.moment(line.until),
        "paid": _amount(used.spent if used else None),
        "held": _amount(used.held if used else None),
        "in_doubt": _amount(used.doubt if used else None),
        "unpriced": used.unpriced if used else None,
        "left": _amount(line.left),
        "source": line.source,
        "set_at": text.moment(each.set_at),
    }


def _amount(nanos: int | None) -> str | None:
    return None if nanos is None else Money(nanos).amount


def said(before: Line | None, now: Line | None, asked: Budget) -> str:
    """What a person's word has changed, in a sentence."""
    whose = title(asked)
    per = "in all" if asked.per == "total" else f"per {asked.per}"
    was = ""
    if before is not None and before.known:
        nanos = before.budget.nanos
        limit = "no limit" if nanos is None else _money(nanos, asked)
        was = f" (before: {limit}, by {'the code' if before.source == 'code' else 'hand'})"
    if now is None or now.source == "code":
        return f"What the code says of {whose} {per} holds again{was}."
    if now.budget.nanos is None:
        return f"{whose} has no limit {per} any more, whatever the code says{was}."
    return f"{whose} may spend {_money(now.budget.nanos, asked)} {per}{was}."


def freed(now: Line | None, runs: Sequence[Run]) -> str:
    """Which parked runs are looked at again by it, and when."""
    if not runs:
        return "No parked run waits for it."
    keys = ", ".join(run.key for run in runs[:5]) + (", …" if len(runs) > 5 else "")
    count = text.plural(len(runs), "parked run")
    if now is not None and now.left is not None and now.left <= 0:
        return f"Nothing is left of it: {count} will park again ({keys})."
    one = len(runs) == 1
    return (
        f"{count} may go on ({keys}): at {'its' if one else 'their'} next delivery, or when the "
        f"app's processes look next, every 30 s. At once: {command('payonce wake MODULE:APP')}"
    )
