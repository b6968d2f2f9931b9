"""Memory: what a journal can do; one exam in `tests/journal` holds every journal to it.

Verbs that write return a `Write`, which its caller does `now()` or has done `later()`; writes are
done in the order in which they are asked for, one at a time per process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from payonce.journal.ledger import Ledger
from payonce.journal.writer import Write
from payonce.model import (
    Arrival,
    Attempt,
    Call,
    CallState,
    Delivery,
    Diagnosis,
    Intent,
    Payload,
    Receipt,
    Run,
    RunState,
    Trouble,
    World,
)
from payonce.money import Money, Short

Resolution = Literal["happened", "did_not_happen", "pay_again"]
Execute = Callable[[str, Mapping[str, Any]], int]


@dataclass(frozen=True, slots=True)
class Opening:
    """All that is needed to take the lease on a run that was seen in a certain state.

    `seen` is None for a run that isn't there yet; `woken` starts the count of tries anew;
    `dead_owner` names a holder whose process is known to be gone; `lease` is in seconds.

    With `asks` no lease is given where the job is in trouble in this world, but for the trouble
    that it `knows`; a `cautious` one asks, too, whether the job is proven there. `held_by` parks
    the run at the door instead.
    """

    job: str
    key: str
    tenant: str | None
    arguments: bytes
    arguments_fingerprint: str
    owner: str
    lease: float
    world: World
    delivery: Delivery
    seen: Run | None = None
    woken: bool = False
    dead_owner: str | None = None
    asks: bool = False
    cautious: bool = False
    knows: Trouble | None = None
    held_by: Diagnosis | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """How an attempt ended; `answer` is what the queue is told, for the record.

    `drifts` are calls that turned out to stand in the place of others, with what is told of it.
    """

    run_id: int
    attempt: int
    state: RunState
    outcome: Literal["done", "retry", "parked"]
    answer: str
    world: World
    result: Payload | None = None
    diagnosis: Diagnosis | None = None
    error: str | None = None
    at_step: str | None = None
    retry_at: float | None = None
    drifts: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list; None lets everything through.

    With `wakeable_in`, only what a look calls again, above the id `after`, the oldest first and
    without counts: parked runs of `job` that this world may wake, and runs that only lack a
    delivery, those that a queue may still have once they are `overdue` for so many seconds. The
    other fields are not looked at.
    """

    state: RunState | None = None
    job: str | None = None
    key: str | None = None
    tenant: str | None = None
    limit: int = 100
    run_id: int | None = None
    wakeable_in: World | None = None
    after: int = 0
    overdue: float = 900.0


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run with the counts that a list shows.

    `money` is what its calls cost, an amount for each currency; `unpriced` counts those paid calls
    whose cost is not known.
    """

    run: Run
    deliveries: int
    paid: int
    in_doubt: int
    rejected: int
    money: tuple[Money, ...] = ()
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """A run's attempts and the deliveries that reached it, both in order."""

    attempts: list[Attempt]
    arrivals: list[Arrival]


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many runs were removed, and how many calls and bytes of answers with them."""

    runs: int
    calls: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Right:
    """A named right: who has it, or had it last, and until when."""

    name: str
    owner: str
    until: float


@dataclass(frozen=True, slots=True)
class About:
    """A journal's place and size; `schema` is the last migration's number, `states` counts runs.

    `spilled` receipts wait beside it to be merged; `rights` are those that `claim` gave.
    """

    place: str
    schema: int
    bytes: int
    spilled: int
    states: Mapping[str, int]
    rights: tuple[Right, ...] = ()


class Journal(Protocol):
    """The durable record of runs, attempts, deliveries and calls; the money is in its ledger."""

    ledger: Ledger

    def now(self) -> float:
        """The journal's clock, in seconds since the epoch."""

    def about(self) -> About:
        """Look at the journal itself."""

    def find(self, job: str, key: str) -> Run | None:
        """Read one run, result included."""

    def calls(self, run_id: int | None = None, *, call_id: int | None = None) -> list[Call]:
        """Read all calls of a run, or the one of this id, answers included, in one query."""

    def runs(self, wanted: RunFilter) -> list[RunSummary]:
        """List runs, the last changed first."""

    def history(self, run_id: int) -> History:
        """How a run came to where it is."""

    def open(self, opening: Opening) -> Write[Run | Trouble | None]:
        """Take the lease and start an attempt; None when the run is not as it was seen.

        What a lost attempt had in flight is in doubt from here on. Where the job is in trouble in
        this world, and it was asked for, the trouble is told and the run waits; where the run is
        to be held, it comes back parked.
        """

    def renew(self, run_id: int, attempt: int, lease: float) -> Write[bool]:
        """Prolong the lease; False when it is lost."""

    def close(self, closing: Closing) -> Write[bool]:
        """End the attempt and move the run, durably; False when the lease is lost."""

    def close_within(self, execute: Execute, closing: Closing) -> bool:
        """The same inside the user's own open transaction, by the user's own connection."""

    def note(self, run_id: int, delivery: Delivery, answer: str) -> Write[None]:
        """Record a delivery that got no attempt."""

    def claim(self, name: str, owner: str, lease: float) -> Write[bool]:
        """Take or keep a named right for so many seconds; False while somebody else has it.

        One that has run out is remembered for a day.
        """

    def wake(self, run: Run) -> Write[bool]:
        """Let a parked run go on; False when it is no longer parked."""

    def intend(self, intent: Intent) -> Write[int | Short | None]:
        """Write an intent and hold what its call may cost; None: the lease is lost or has run out.

        `Short` where a budget has too little left, or where other budgets hold than it knew of.
        """

    def complete(self, call_id: int, intent: Intent, receipt: Receipt) -> Write[None]:
        """Write a receipt, durably; where that fails, into the spill file."""

    def end(self, call_id: int, intent: Intent, state: CallState, reason: str) -> Write[None]:
        """End a call without a receipt: released or in doubt."""

    def reject(self, call_id: int, reason: str) -> Write[None]:
        """Mark a receipt as waste."""

    def resolve(
        self, call_id: int, resolution: Resolution, reason: str, receipt: Receipt | None
    ) -> Write[bool]:
        """Write down a person's word on a call; with a receipt, the call is paid by it."""

    def prune(self, before: float, *, parked: bool = False, most: int = 500) -> Pruned:
        """Remove at most so many runs that were done, or parked too, and not touched since then.

        One short transaction of its own; whoever works on other runs is not held up.
        """

    def stop(self) -> None:
        """Write what is still to be written, then let go of the database."""
