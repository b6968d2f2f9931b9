"""Memory: what a journal knows of money; one exam in `tests/journal` holds every journal to it.

Entries and balances change where calls do: with an intent, a receipt, a doubt. This is the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from payonce.journal.writer import Write
from payonce.model import Run, RunState
from payonce.money import Balance, Budget, Entry


@dataclass(frozen=True, slots=True)
class Told:
    """The limits that people have set; `version` grows with each.

    `cleared` are those that people have taken back since, as they were.
    """

    version: int
    budgets: tuple[Budget, ...]
    cleared: tuple[Budget, ...] = ()


NOTHING_TOLD = Told(0, ())


@dataclass(frozen=True, slots=True)
class Storm:
    """A run that was delivered often lately, first at `first`; `queue` is one of its queues."""

    run: Run
    deliveries: int
    first: float
    queue: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What was paid in one currency, in nanos: for a job and a tenant, or for one run of theirs."""

    job: str
    tenant: str | None
    currency: str
    nanos: int
    run_id: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """What the dearest hour of a day has cost a job, a tenant, or all together, whose name is "".

    Days and hours are counted back from 0, the last one; `hour` is the earliest of the day in which
    anything was paid.
    """

    name: str
    currency: str
    day: int
    hour: int
    nanos: int


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries to add up: those from `since` on, before `until`; None lets all through."""

    since: float
    until: float
    job: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """What entries add up to in one currency, in nanos: `waste` is part of `paid`.

    `calls` counts receipts, `unpriced` those of them whose price is not known, `wasted` those that
    did no good. A step that only made captured calls has none besides theirs. `doubt` is what may
    have been billed besides, as far as ceilings are known.
    """

    since: float
    until: float
    currency: str
    paid: int
    waste: int
    doubt: int
    calls: int
    unpriced: int
    wasted: int


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of a sum is that of one run, or of several `runs` of one job and tenant.

    Several have neither `run_id` nor `key`. `state` is None where they have been pruned since.
    """

    run_id: int | None
    key: str | None
    job: str
    tenant: str | None
    state: RunState | None
    runs: int
    sum: Sum


@dataclass(frozen=True, slots=True)
class OfModel:
    """Which part of a sum went to one model; `model` is None for what names none."""

    model: str | None
    sum: Sum


@dataclass(frozen=True, slots=True)
class Outlay:
    """What an attempt has paid for one step to one model, in the UTC day that began at `day`."""

    day: float
    attempt: int
    step: str
    model: str | None
    job: str
    key: str
    tenant: str | None
    sum: Sum


@dataclass(frozen=True, slots=True)
class Doubt:
    """A call that may have been billed: its entry, and what the same call cost when repeated.

    `resolution` is what a person has said of it; `reason` is None where its run has been pruned.
    """

    entry: Entry
    repeat_nanos: int | None
    reason: str | None
    resolution: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a run's `deliveries` after its first would have paid again, in one currency.

    `calls` counts the receipts that were there when they came, once for each of them; `unpriced`
    those of them whose price is not known. Without any, `currency` is None.
    """

    run_id: int
    job: str
    key: str
    tenant: str | None
    deliveries: int
    currency: str | None
    saved: int
    calls: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class Again:
    """How many further deliveries the runs of a job and tenant got from one queue on one day."""

    day: float
    job: str
    tenant: str | None
    queue: str
    user_agent: str | None
    deliveries: int


class Ledger(Protocol):
    """Budgets, and the append-only record of money."""

    def budgets(self) -> Told:
        """The limits that people have set."""

    def set_budget(self, budget: Budget, *, cleared: bool = False) -> Write[None]:
        """Set a limit over what the code says; with `nanos` None, lift it.

        With `cleared` nothing is said of it any more, what the code says holds again, and the limit
        given is the one taken back. Runs that were parked by it are due to be looked at again.
        """

    def used(self, budget: Budget) -> Balance:
        """What the ledger has of a budget in the period of now, though no call was held for it."""

    def balances(self) -> list[Balance]:
        """What is used of each budget that a call was held against, in the periods of now."""

    def let_go(self, call_id: int) -> Write[None]:
        """End the hold of a call in flight: what it costs is held by the calls inside of it."""

    def spent(self, wanted: EntryFilter) -> list[Spent]:
        """What was paid, by job and tenant; quicker than `shares`, for what looks often."""

    def peaks(
        self, since: float, until: float, scope: Literal["job", "tenant", "app"], names: list[str]
    ) -> list[Peak]:
        """The dearest hour of each day, for each of these jobs or tenants, in one pass."""

    def dearest(self, wanted: EntryFilter, most: int) -> list[Spent]:
        """The runs that most was paid for, in any currency; quicker than `shares`, too."""

    def storms(self, since: float, least: int) -> list[Storm]:
        """Runs that aren't done and were delivered so often since then, the most often first.

        Looked at are the last 100,000 deliveries, those by the app's own looks and by people left
        aside.
        """

    def expire(self) -> Write[None]:
        """Bring calls into doubt that are held by attempts that are gone; their holds end."""

    def entries(self, run_id: int) -> list[Entry]:
        """All entries of a run, in the order in which they were written."""

    def span(self) -> tuple[float, float] | None:
        """When the first entry was written and when the last; None where there is none."""

    def sums(self, wanted: EntryFilter, every: float | None = None) -> list[Sum]:
        """What entries add up to, by currency, in stretches of `every` seconds from `since` on.

        Stretches without any are left out.
        """

    def models(self, wanted: EntryFilter, every: float | None = None) -> list[OfModel]:
        """What each model cost in each currency, the dearest first, in stretches as `sums`."""

    def shares(self, wanted: EntryFilter, most: int = 100) -> list[Share]:
        """Whose the money is: the dearest runs of each currency, then the others in few rows."""

    def outlays(self, run_id: int, wanted: EntryFilter) -> list[Outlay]:
        """What a run's money went to, in the order in which it was first paid for."""

    def doubts(self, wanted: EntryFilter) -> list[Doubt]:
        """The calls that are in doubt by now, by when they came into doubt."""

    def replayed(self, wanted: EntryFilter) -> list[Replayed]:
        """What deliveries in this period would have paid again, the most first."""

    def again(self, wanted: EntryFilter) -> list[Again]:
        """The deliveries after a run's first, by day, job, tenant and where they came from."""

    def runs_of(self, key: str, job: str | None = None) -> list[int]:
        """The ids of the runs of a key, those that have been pruned since, too."""
