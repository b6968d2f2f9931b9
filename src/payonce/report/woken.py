"""Reading: how it went with runs that were called again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from payonce.model import Run, RunState
from payonce.report import text
from payonce.report.commands import command
from payonce.report.tables import table
from payonce.waking import Woken

_STYLES = {"done": "green", "parked": "yellow", "retry": "blue", "busy": "cyan", "refused": "red"}


def woken_table(woken: Sequence[Woken]) -> RenderableType:
    """One line for each."""
    return table(
        "key,job,outcome,#paid now,why",
        (
            [
                each.run.key,
                each.run.job,
                Text(_outcome(each), style=_STYLES[each.outcome]),
                str(each.paid),
                text.short(each.reason, 160),
            ]
            for each in woken
        ),
    )


def _outcome(woken: Woken) -> str:
    match woken.outcome:
        case "parked":
            return "parked again"
        case "retry" | "busy" if woken.after is not None:
            return f"{woken.outcome} in {woken.after:.0f} s"
        case other:
            return other


def woken_row(woken: Woken) -> dict[str, Any]:
    """The same for programs."""
    return {
        "key": woken.run.key,
        "job": woken.run.job,
        "outcome": woken.outcome,
        "reason": woken.reason,
        "after": woken.after,
        "paid_calls": woken.paid,
    }


def plan_table(runs: Sequence[Run]) -> RenderableType:
    """The runs that would be called again."""
    return table(
        "key,job,state,reason",
        (
            [
                run.key,
                run.job,
                Text(run.state.value, style=text.STYLES[run.state]),
                text.short(run.reason),
            ]
            for run in runs
        ),
    )


def plan_row(run: Run) -> dict[str, Any]:
    """The same for programs."""
    return {"key": run.key, "job": run.job, "state": run.state.value, "reason": run.reason}


def left_alone(runs: Sequence[Run], jobs: Sequence[str]) -> list[str]:
    """Sentences on runs that were meant, and not called again."""
    done = [run.key for run in runs if run.state is RunState.DONE]
    runs = [run for run in runs if run.state is not RunState.DONE]
    foreign = sorted({run.job for run in runs if run.job not in jobs})
    own = [run for run in runs if run.job in jobs]
    parked = sum(run.state is RunState.PARKED for run in own)
    rest = len(own) - parked
    said = [f"{', '.join(done)}: done already"] if done else []
    if parked:
        wait = "waits" if parked == 1 else "wait"
        said.append(
            f"{text.plural(parked, 'parked run')} still {wait} for the world to change; "
            f"see: {command('payonce parked')}. To call them again all the same: --force"
        )
    if rest:
        has = "has" if rest == 1 else "have"
        said.append(
            f"{text.plural(rest, 'run')} {has} a delivery to come; to go ahead of it: --all"
        )
    if foreign:
        count = sum(run.job in foreign for run in runs)
        said.append(
            f"{text.plural(count, 'run')} of jobs that this app doesn't have: {', '.join(foreign)}"
        )
    return said
