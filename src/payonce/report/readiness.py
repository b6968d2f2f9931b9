"""Reading: what a preflight found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from payonce.ready import Need, Readiness, State
from payonce.report.tables import table

_STYLES = {State.READY: "green", State.NOT_READY: "red", State.CANT_TELL: "yellow"}


@dataclass(frozen=True, slots=True)
class Checked:
    """One need, the jobs that have it, and what was found of it."""

    name: str
    jobs: tuple[str, ...]
    found: Readiness


def check(needs: Sequence[tuple[Need, Sequence[str]]]) -> list[Checked]:
    """Look at each need now."""
    return [Checked(need.name, tuple(jobs), need.check()) for need, jobs in needs]


def state_of(checked: Sequence[Checked]) -> State:
    """The state of all of them: what is not ready counts most, then what can't be told."""
    states = {each.found.state for each in checked}
    if State.NOT_READY in states:
        return State.NOT_READY
    return State.CANT_TELL if State.CANT_TELL in states else State.READY


def summary(checked: Sequence[Checked]) -> str:
    """What isn't ready, in one line."""
    told = []
    for each in checked:
        if each.found.state is not State.READY:
            first, *more = each.found.defects or ("",)
            rest = f" and {len(more)} more" if more else ""
            told.append(f"{each.name}: {each.found.state}: {first}{rest}")
    return "; ".join(told)


def readiness_view(checked: Sequence[Checked]) -> list[RenderableType]:
    """One line for each defect; then what would mend them."""
    rows: list[list[str | Text | None]] = [
        [
            each.name if n == 0 else "",
            Text(each.found.state if n == 0 else "", style=_STYLES[each.found.state]),
            defect,
        ]
        for each in checked
        for n, defect in enumerate(each.found.defects or ("",))
    ]
    view: list[RenderableType] = [table("database,state,what", rows)]
    view += [Text(f"{each.name}: {each.found.todo}") for each in checked if each.found.todo]
    return view


def readiness_document(checked: Sequence[Checked]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "state": str(state_of(checked)),
        "needs": [
            {
                "name": each.name,
                "jobs": list(each.jobs),
                "state": str(each.found.state),
                "defects": list(each.found.defects),
                "todo": each.found.todo,
                "fingerprint": each.found.fingerprint,
            }
            for each in checked
        ],
    }
