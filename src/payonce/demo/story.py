"""Front of the demo: the three acts, from the accident to the healing."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from payonce.demo.child import ChildFailed
from payonce.demo.figures import Migrated, Protected, Story, Unprotected
from payonce.demo.logs import write_logs
from payonce.demo.stage import DELIVERIES, Stage
from payonce.errors import ConfigError
from payonce.journal import journal_at
from payonce.journal.protocol import RunFilter
from payonce.model import Call, CallState, Run
from payonce.money import Money
from payonce.testing import BilledCall

TOTAL = 2 * DELIVERIES + 1
"""Deliveries of the whole story."""


class Audience(Protocol):
    """Who is told how far the story is, and how each act ended."""

    def sees(self, what: str, deliveries: int) -> None:
        """What happens now, and how many of the `TOTAL` deliveries have been answered."""

    def hears(self, act: Unprotected | Protected | Migrated) -> None:
        """An act has ended."""


def tell(audience: Audience, keep: Path | None = None) -> Story:
    """Play all acts.

    Args:
        audience: who watches.
        keep: the folder for the apps, their logs and the journal; None throws them away.

    Raises:
        ConfigError: the folder holds something, or is no folder; nothing was touched.
        ChildFailed: a process of the demo did not do its part.
    """
    if keep is not None:
        _claim(keep)
    with tempfile.TemporaryDirectory(prefix="payonce-demo-") as folder:
        home = Path(folder) / "apps" if keep is None else keep.absolute()
        stages = [Stage(kind, home, Path(folder)) for kind in ("unprotected", "protected")]
        with ExitStack() as stack:
            audience.sees("Starting the apps and their provider", 0)
            for stage in stages:
                stack.enter_context(stage).start()
            acts = _acts(audience, *stages)
        for stage in stages:
            write_logs(stage)
        _, calls = _recorded(stages[1])
    receipts = ((call.name, call.model or "unknown model") for call in _receipts(calls))
    return Story(*acts, tuple(receipts))


def _claim(keep: Path) -> None:
    try:
        keep.mkdir(parents=True, exist_ok=True)
        taken = any(keep.iterdir())
    except OSError as exc:
        raise ConfigError(f"{keep} can't be used: {exc.strerror}", "Name a new folder.") from exc
    if taken:
        raise ConfigError(
            f"{keep} is not empty", "Name a new folder, or an empty one; nothing was changed."
        )


def _acts(
    audience: Audience, unprotected: Stage, protected: Stage
) -> tuple[Unprotected, Protected, Migrated]:
    first = _accident(audience, unprotected)
    audience.hears(first)
    second, parked = _protected(audience, protected)
    audience.hears(second)
    third = _migrated(audience, protected, parked)
    audience.hears(third)
    return first, second, third


def _accident(audience: Audience, stage: Stage) -> Unprotected:
    stage.await_address()
    delivered = stage.deliver(
        DELIVERIES, DELIVERIES - 1, lambda: audience.sees("Without payonce", stage.arrived)
    )
    bill = stage.bill
    return Unprotected(
        deliveries=len(delivered.statuses),
        billed_calls=len(bill),
        failing_writes=stage.failing_writes,
        cost=_sum(bill),
        succeeded=delivered.succeeded,
    )


def _protected(audience: Audience, stage: Stage) -> tuple[Protected, Run]:
    def watch() -> None:
        audience.sees("With payonce", DELIVERIES + stage.arrived)

    delivered = stage.deliver(DELIVERIES, DELIVERIES - 1, watch)
    bill = stage.bill
    run, calls = _recorded(stage)
    paid_first = sum(call.attempt == 1 for call in _receipts(calls))
    return Protected(
        deliveries=len(delivered.statuses),
        wanted=delivered.wanted,
        billed_calls=len(bill),
        failing_writes=stage.failing_writes,
        state=str(run.state),
        reason=run.reason or "",
        cost=_sum(bill),
        billed_to_others=len(bill) - paid_first,
    ), run


def _migrated(audience: Audience, stage: Stage, before: Run) -> Migrated:
    audience.sees("After the migration", 2 * DELIVERIES)
    stage.migrate()
    stage.deliver(1, 0, lambda: None)
    audience.sees("After the migration", DELIVERIES + stage.arrived)
    bill = stage.bill
    run, _ = _recorded(stage)
    return Migrated(
        deliveries=sum(len(each.statuses) for each in stage.delivered),
        billed_calls=len(bill),
        failing_writes=stage.failing_writes,
        state=str(run.state),
        run_key=run.key,
        same_key=(run.id, run.key) == (before.id, before.key),
        cost=_sum(bill),
    )


def _recorded(stage: Stage) -> tuple[Run, list[Call]]:
    """The one run in the journal and its calls, read beside the app as anybody may."""
    journal = journal_at(f"sqlite:///{stage.folder / 'payonce.db'}")
    try:
        summaries = journal.runs(RunFilter())
        if len(summaries) != 1:
            raise ChildFailed("journal", f"has {len(summaries)} runs, not one", stage.app_log)
        run = summaries[0].run
        return run, journal.calls(run.id)
    finally:
        journal.stop()


def _receipts(calls: list[Call]) -> list[Call]:
    return [call for call in calls if call.state is CallState.PAID]


def _sum(bill: list[BilledCall]) -> Money:
    return Money(sum(call.cost_nanos for call in bill))
