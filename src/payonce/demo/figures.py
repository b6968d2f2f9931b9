"""Front of the demo: what was measured, as values, and whether it is what payonce promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from payonce.demo.stage import DELIVERIES
from payonce.money import Money

CALLS = 3
"""Paid calls of one pass through the batch."""


@dataclass(frozen=True, slots=True)
class Unprotected:
    """The accident; `cost` is the sum of the provider's bill."""

    deliveries: int
    billed_calls: int
    failing_writes: int
    cost: Money
    succeeded: bool

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "deliveries": self.deliveries,
            "billed_calls": self.billed_calls,
            "failing_writes": self.failing_writes,
            "cost_usd": self.cost.amount,
        }


@dataclass(frozen=True, slots=True)
class Protected:
    """The same with payonce, before the migration.

    `wanted` are the deliveries that the queue itself made, the others are duplicates;
    `billed_to_others` the calls that any but the first attempt paid.
    """

    deliveries: int
    wanted: int
    billed_calls: int
    failing_writes: int
    state: str
    reason: str
    cost: Money
    billed_to_others: int

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "deliveries": self.deliveries,
            "deliveries_queue_wanted": self.wanted,
            "billed_calls": self.billed_calls,
            "failing_writes": self.failing_writes,
            "state": self.state,
            "reason": self.reason,
            "cost_usd": self.cost.amount,
            "billed_to_other_deliveries": self.billed_to_others,
        }


@dataclass(frozen=True, slots=True)
class Migrated:
    """The same after the migration and one more delivery; the counts go on from `Protected`."""

    deliveries: int
    billed_calls: int
    failing_writes: int
    state: str
    run_key: str
    same_key: bool
    cost: Money

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "billed_calls": self.billed_calls,
            "state": self.state,
            "run_key": self.run_key,
            "same_key": self.same_key,
            "deliveries": self.deliveries,
            "failing_writes": self.failing_writes,
            "cost_usd": self.cost.amount,
        }


@dataclass(frozen=True, slots=True)
class Story:
    """All three acts, and the receipts that the journal has in the end: call and model."""

    unprotected: Unprotected
    protected: Protected
    migrated: Migrated
    receipts: tuple[tuple[str, str], ...]

    @property
    def saved(self) -> Money:
        """What the accident cost more than the same with payonce."""
        return Money(self.unprotected.cost.nanos - self.migrated.cost.nanos)

    def as_json(self) -> dict[str, Any]:
        """What `payonce demo --json` prints."""
        return {
            "unprotected": self.unprotected.as_json(),
            "protected": self.protected.as_json(),
            "after_migration": self.migrated.as_json(),
            "receipts": [{"call": call, "model": model} for call, model in self.receipts],
            "saved_usd": self.saved.amount,
        }

    def wrong(self) -> Iterator[str]:
        """Each figure that is not as payonce promises, one sentence each."""
        told = self.as_json()
        for act, promised in _PROMISED.items():
            for name, figure in promised.items():
                if told[act][name] != figure:
                    yield f"{act}: {name} is {told[act][name]!r}, not {figure!r}"
        if len(self.receipts) != CALLS:
            yield f"the journal has {len(self.receipts)} receipts, not {CALLS}"


_PROMISED: dict[str, dict[str, Any]] = {
    "unprotected": {
        "deliveries": DELIVERIES,
        "billed_calls": DELIVERIES * CALLS,
        "failing_writes": DELIVERIES,
    },
    "protected": {
        "deliveries": DELIVERIES,
        "deliveries_queue_wanted": 1,
        "billed_calls": CALLS,
        "failing_writes": 1,
        "state": "parked",
        "billed_to_other_deliveries": 0,
    },
    "after_migration": {
        "billed_calls": CALLS,
        "state": "done",
        "same_key": True,
        "failing_writes": 1,
    },
}
