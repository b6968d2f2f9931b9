"""Nouns: the frozen values that travel along the way of a delivery.

Words and states are those of `docs/glossary.md`. Times are seconds since the epoch, by the
journal's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct

from payonce.money import Allowance


class RunState(StrEnum):
    """`running` while an attempt holds the lease, `waiting` between two attempts."""

    RUNNING = "running"
    WAITING = "waiting"
    PARKED = "parked"
    DONE = "done"


class CallState(StrEnum):
    """One call's life: intended, then paid, released (surely not billed) or in doubt."""

    INTENDED = "intended"
    PAID = "paid"
    RELEASED = "released"
    IN_DOUBT = "in_doubt"


class Kind(StrEnum):
    """Failure kinds: what repetition would do to this failure."""

    DETERMINISTIC = "deterministic"
    TRANSIENT = "transient"
    THROTTLED = "throttled"
    STOCHASTIC = "stochastic"
    UNKNOWN = "unknown"


class WakesOn(StrEnum):
    """What has to change before a deterministic failure can get better."""

    SCHEMA = "schema"
    CODE = "code"
    INPUT = "input"
    CONFIG = "config"
    CREDENTIALS = "credentials"
    ACCOUNT = "account"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is known of a failure.

    `reason` is one plain sentence for people; `evidence` the code that decided, such as
    "SQLSTATE 42703"; `fingerprint` is equal for the same cause, whatever ids and times the
    message carries; `wakes_on` says what would have to change; `after` the seconds that the
    other side asked to wait.
    """

    kind: Kind
    reason: str
    evidence: str
    fingerprint: str
    wakes_on: tuple[WakesOn, ...] = ()
    after: float | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What a deterministic failure depends on: the code's version, the schemas' fingerprint."""

    code: str
    schema: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """How a job fares in one world.

    `failed` runs have failed there for good by one cause, `found`, since one was done; the last
    of them at `last`. `in_flight` attempts at other runs work there just now; `proven`: a run of
    the job was done there.
    """

    failed: int
    in_flight: int
    proven: bool
    last: float | None = None
    found: Diagnosis | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One arrival of a message; all that its queue says of itself is recorded, none trusted."""

    queue: str = "direct"
    message: str | None = None
    retry_count: int | None = None
    previous_response: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the queue is told; `after` in seconds; `hold` keeps a parked message in the queue."""

    word: Literal["done", "retry", "park", "busy"]
    after: float | None = None
    hold: bool = False


class Payload(Struct, frozen=True):
    """Bytes kept apart from the hot rows; `codec` names how to read them back."""

    codec: str
    body: bytes

    def __repr__(self) -> str:
        """Without the body: an answer belongs into no log."""
        return f"Payload({self.codec!r}, {len(self.body)} bytes)"


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the journal has it; `attempt` is the last attempt's number, its fencing token.

    `tries` counts attempts since the run was last woken, `kills` those in a row that ended
    without a word at the same place, `killed_at`. A parked run that was `held` at the door has
    not failed itself; one with `retry_at` may be probed from then on.
    """

    id: int
    job: str
    key: str
    tenant: str | None
    state: RunState
    attempt: int
    tries: int
    kills: int
    killed_at: str | None
    lease_owner: str | None
    lease_until: float | None
    retry_at: float | None
    arguments: bytes
    arguments_fingerprint: str
    reason: str | None
    kind: Kind | None
    evidence: str | None
    fingerprint: str | None
    wakes_on: tuple[WakesOn, ...]
    world: World | None
    created_at: float
    updated_at: float
    result: Payload | None
    held: bool = False


class Intent(Struct, frozen=True):
    """A call about to be made, as it is written down before it is made.

    `drift` tells, as JSON, in whose place the call is made, while a receipt lies unused. The call
    costs no more than `ceiling_nanos`, if that is known; it is held against `allowances`, which
    were made with the knowledge of so many limits as people have set, `told`. Its receipt is
    found again by its run's `job` and `key` where the number of that has become another run's.
    """

    run_id: int
    attempt: int
    step_key: str
    occurrence: int
    send: int
    name: str
    source: Literal["step", "capture"]
    parent_id: int | None = None
    model: str | None = None
    idempotency_key: str | None = None
    drift: str | None = None
    ceiling_nanos: int | None = None
    hold_currency: str = "USD"
    allowances: tuple[Allowance, ...] = ()
    told: int = 0
    job: str = ""
    key: str = ""


class Said(Struct, frozen=True):
    """What a provider's answer says of itself: its id, and why it ended, for each of its texts."""

    id: str | None = None
    finishes: tuple[str, ...] = ()


class Receipt(Struct, frozen=True):
    """The durable outcome of a paid call: the answer, its usage and its cost.

    `usage` is the provider's own object, with its `service_tier` and the `server_tools` that it ran
    where the answer tells of those elsewhere; `cost_nanos` stays None where the price is not known.
    What is `said` of the answer is for observers, and is not kept.
    """

    answer: Payload
    model: str | None = None
    usage: Mapping[str, Any] | None = None
    cost_nanos: int | None = None
    currency: str = "USD"
    said: Said | None = None


class Call(Struct, frozen=True):
    """One call of a step as the journal has it.

    `send` counts the physical sends from 1; `receipt_id` grows in the order in which receipts were
    recorded. What its answer has `said` of itself is there while the attempt works that made it.
    """

    id: int
    run_id: int
    attempt: int
    step_key: str
    occurrence: int
    send: int
    name: str
    source: str
    parent_id: int | None
    state: CallState
    rejected: bool
    reason: str | None
    resolution: str | None
    model: str | None
    usage: Mapping[str, Any] | None
    cost_nanos: int | None
    currency: str
    idempotency_key: str | None
    started_at: float
    ended_at: float | None
    answer: Payload | None = None
    drift: str | None = None
    receipt_id: int | None = None
    ceiling_nanos: int | None = None
    hold_currency: str = "USD"
    said: Said | None = None

    @property
    def intent(self) -> Intent:
        """What was written down before it was made."""
        return Intent(
            run_id=self.run_id,
            attempt=self.attempt,
            step_key=self.step_key,
            occurrence=self.occurrence,
            send=self.send,
            name=self.name,
            source="capture" if self.source == "capture" else "step",
            parent_id=self.parent_id,
            model=self.model,
            idempotency_key=self.idempotency_key,
            drift=self.drift,
            ceiling_nanos=self.ceiling_nanos,
            hold_currency=self.hold_currency,
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One holding of the lease, as the journal has it; `outcome` is None while it works."""

    number: int
    owner: str
    started_at: float
    ended_at: float | None
    outcome: str | None
    kind: Kind | None
    reason: str | None
    error: str | None
    fingerprint: str | None
    at_step: str | None
    world: World


@dataclass(frozen=True, slots=True)
class Arrival:
    """A recorded delivery: when it came, what it carried, and what its queue was told."""

    at: float
    delivery: Delivery
    attempt: int | None
    answer: str
