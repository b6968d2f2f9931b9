"""Nouns: what hooks are told of, one frozen value for each; secrets in its texts are masked."""

from __future__ import annotations

from dataclasses import dataclass

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
            f"been billed: {self.why}. See: payonce show {self.run_key}"
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
        cost = Money(self.wanted, self.balance.currency)
        return (
            f"{self.balance.sentence()}; {self.step}, in run {self.run_key!r} of {self.job}, may "
            f"cost {cost} and was not called. To let it go on now: {self.balance.command}"
        )


Notice = RunParked | RunWoken | BreakerOpened | BreakerClosed | CallInDoubt | BudgetUsedUp
