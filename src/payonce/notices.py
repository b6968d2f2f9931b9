"""Nouns: what hooks are told of, one frozen value for each; secrets in its texts are masked."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

from payonce.model import World
from payonce.money import Balance, Money


@dataclass(frozen=True, slots=True)
class RunParked:
    """A run was set aside; further runs of its job that are for the same cause are not told of.

    `todo` is what would let it go on, `paid` whether money had moved: no, yes or unknown.
    """

    job: str
    run_key: str
    tenant: str | None
    reason: str
    kind: str
    evidence: str
    fingerprint: str
    world: World
    paid: str
    todo: str

    @property
    def cause(self) -> str:
        """What it is told of once for."""
        return f"parked:{self.job}:{self.fingerprint}:{self.world.code}:{self.world.schema}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"{self.job}: parked"

    @property
    def text(self) -> str:
        """All of it in sentences."""
        tenant = f" ({self.tenant})" if self.tenant else ""
        return (
            f"run {self.run_key!r}{tenant} of {self.job} is parked: {self.reason} "
            f"(paid: {self.paid}). {self.todo}"
        )


@dataclass(frozen=True, slots=True)
class RunWoken:
    """A run that was parked goes on; others that were parked for the same follow untold."""

    job: str
    run_key: str
    tenant: str | None
    reason: str
    fingerprint: str
    world: World

    @property
    def cause(self) -> str:
        """What it is told of once for."""
        return f"woken:{self.job}:{self.fingerprint}:{self.world.code}:{self.world.schema}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"{self.job}: woken"

    @property
    def text(self) -> str:
        """All of it in a sentence."""
        return f"run {self.run_key!r} of {self.job} goes on; it was parked: {self.reason}"


@dataclass(frozen=True, slots=True)
class BreakerOpened:
    """New runs of a job are held at the door, for `failed` runs have failed by one cause."""

    job: str
    failed: int
    reason: str
    fingerprint: str
    world: World

    @property
    def cause(self) -> str:
        """What it is told of once for."""
        return f"opened:{self.job}:{self.fingerprint}:{self.world.code}:{self.world.schema}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"{self.job}: new runs are held"

    @property
    def text(self) -> str:
        """All of it in sentences."""
        return (
            f"new runs of {self.job} are held at the door, unpaid: {self.failed} runs have failed "
            f"in this world: {self.reason}. See: payonce parked"
        )


@dataclass(frozen=True, slots=True)
class BreakerClosed:
    """A run of a job whose new runs were held is done: the others may go on."""

    job: str
    run_key: str
    reason: str
    fingerprint: str
    world: World

    @property
    def cause(self) -> str:
        """What it is told of once for."""
        return f"closed:{self.job}:{self.fingerprint}:{self.world.code}:{self.world.schema}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"{self.job}: new runs go on"

    @property
    def text(self) -> str:
        """All of it in a sentence."""
        return (
            f"new runs of {self.job} are held no more: run {self.run_key!r} is done; "
            f"they were held for: {self.reason}"
        )


@dataclass(frozen=True, slots=True)
class CallInDoubt:
    """A call may have been billed without leaving a receipt; later ones of the same step follow
    untold."""

    job: str
    run_key: str
    tenant: str | None
    call_id: int
    step: str
    why: str

    @property
    def cause(self) -> str:
        """What it is told of once for."""
        return f"doubt:{self.job}:{self.step}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"{self.job}: a call is in doubt"

    @property
    def text(self) -> str:
        """All of it in sentences."""
        return (
            f"call {self.call_id} of {self.step}, in run {self.run_key!r} of {self.job}, may have "
            f"been billed: {self.why}. See: payonce show {shlex.quote(self.run_key)}; for all of "
            f"them: payonce resolve --all --job {shlex.quote(self.job)}"
        )


@dataclass(frozen=True, slots=True)
class BudgetUsedUp:
    """A budget has not got left what a call may cost, and the call was not made.

    `wanted` nanos were to be held; others that meet the same limit in the same period follow
    untold.
    """

    job: str
    run_key: str
    tenant: str | None
    step: str
    balance: Balance
    wanted: int

    @property
    def cause(self) -> str:
        """What it is told of once for."""
        b = self.balance
        return f"budget:{b.scope}:{b.name}:{b.per}:{b.period}:{b.currency}:{b.limit}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"the budget of {self.balance.title} is reached"

    @property
    def text(self) -> str:
        """All of it in sentences."""
        cost, listing = Money(self.wanted, self.balance.currency), self.balance.listing
        doubts = "" if listing is None else f"; or say what is in doubt: {listing}"
        return (
            f"{self.balance.sentence()}; {self.step}, in run {self.run_key!r} of {self.job}, may "
            f"cost {cost} and was not called. To let it go on now: {self.balance.command}"
            f"{doubts}"
        )


@dataclass(frozen=True, slots=True)
class UnusualSpending:
    """A job or a tenant has spent more within an hour than it does; once a day for each.

    `usual` is what its dearest hour of a day has cost before, or that of all together where it is
    not `known` for a day yet. Of all together (`"app"`) it is what an hour may cost (`hour=`).
    """

    scope: Literal["job", "tenant", "app"]
    name: str
    spent: Money
    usual: Money
    known: bool
    day: str

    @property
    def cause(self) -> str:
        """What it is told of once for."""
        return f"spending:{self.scope}:{self.name}:{self.spent.currency}:{self.day}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"{self._whose} spends unusually much"

    @property
    def text(self) -> str:
        """All of it in sentences."""
        named = "" if self.scope == "app" else f"--{self.scope} {shlex.quote(self.name)} "
        return (
            f"{self._whose} has spent {self.spent} within an hour; {self._usual}. "
            f"To stop it: payonce budget set 'N {self.spent.currency}' {named}--per day"
        )

    @property
    def _whose(self) -> str:
        return "the application" if self.scope == "app" else f"{self.scope} {self.name}"

    @property
    def _usual(self) -> str:
        if self.scope == "app":
            return f"an hour may cost {self.usual}, as hour= of Alarms says"
        if self.known:
            return f"in a day's dearest hour it has spent {self.usual} at most before"
        return f"it is new, and all together have spent {self.usual} at most in an hour before"


@dataclass(frozen=True, slots=True)
class DeliveryStorm:
    """A run is delivered again and again; `runs` counts those that are, of this job and cause.

    `deliveries` are those of the last hour, and `paid` is what the run has paid in it.
    """

    job: str
    run_key: str
    tenant: str | None
    deliveries: int
    queue: str
    runs: int
    state: str
    reason: str | None
    fingerprint: str
    paid: Money
    day: str

    @property
    def cause(self) -> str:
        """What it is told of once for."""
        return f"storm:{self.job}:{self.fingerprint}:{self.day}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"{self.job}: delivered again and again"

    @property
    def text(self) -> str:
        """All of it in sentences."""
        others = f", as are {self.runs - 1} other runs of its job" if self.runs > 1 else ""
        why = f": {self.reason}" if self.reason else ""
        return (
            f"run {self.run_key!r} of {self.job} was delivered {self.deliveries} times within an "
            f"hour by {self.queue}{others}, and has paid {self.paid} meanwhile. It is "
            f"{self.state}{why}. See: payonce show {shlex.quote(self.run_key)}"
        )


@dataclass(frozen=True, slots=True)
class RunTakesMost:
    """One run has taken most of a day's money; `dearest` is what another of its job has cost."""

    job: str
    run_key: str
    tenant: str | None
    paid: Money
    of_all: Money
    dearest: Money | None
    day: str

    @property
    def cause(self) -> str:
        """What it is told of once for."""
        return f"most:{self.job}:{self.run_key}:{self.paid.currency}:{self.day}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"{self.job}: one run takes most of the day's money"

    @property
    def text(self) -> str:
        """All of it in sentences."""
        dearest = f" Others of its job have cost {self.dearest} at most." if self.dearest else ""
        run = shlex.quote(f"{self.job} {self.run_key}")
        return (
            f"run {self.run_key!r} of {self.job} has taken {self.paid} of the {self.of_all} that "
            f"were spent on {self.day}.{dearest} "
            f"To stop it: payonce budget set 'N {self.paid.currency}' --run {run}"
        )


@dataclass(frozen=True, slots=True)
class RunStandsOut:
    """One run has cost far more than any other of its job, the `dearest` among them."""

    job: str
    run_key: str
    tenant: str | None
    paid: Money
    dearest: Money
    day: str

    @property
    def cause(self) -> str:
        """What it is told of once for."""
        return f"most:{self.job}:{self.run_key}:{self.paid.currency}:{self.day}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"{self.job}: one run costs far more than the others"

    @property
    def text(self) -> str:
        """All of it in sentences."""
        run = shlex.quote(f"{self.job} {self.run_key}")
        return (
            f"run {self.run_key!r} of {self.job} has cost {self.paid} on {self.day}; others of its "
            f"job have cost {self.dearest} at most. "
            f"To stop it: payonce budget set 'N {self.paid.currency}' --run {run}"
        )


Notice = (
    RunParked
    | RunWoken
    | BreakerOpened
    | BreakerClosed
    | CallInDoubt
    | BudgetUsedUp
    | UnusualSpending
    | DeliveryStorm
    | RunTakesMost
    | RunStandsOut
)
