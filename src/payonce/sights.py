"""Nouns: what an observer is told of, one frozen value for each thing that begins or ends.

Run keys, tenants and the names of steps are masked as in notices. No prompt, no answer and no text
of an error is in here: those may hold what a user wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from payonce.model import Call, Delivery


@dataclass(frozen=True, slots=True)
class Whose:
    """The run that something belongs to; `attempt` is None where there is none yet."""

    job: str
    run_key: str
    tenant: str | None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class DeliverySeen:
    """A delivery begins; `nested` says that a job of another run made it.

    `carrier` are the headers that it came with, by lower-case name: they hold secrets, and are
    there for the context of a trace alone.
    """

    whose: Whose
    delivery: Delivery
    carrier: Mapping[str, str] = field(default_factory=dict, repr=False)
    nested: bool = False


@dataclass(frozen=True, slots=True)
class AttemptSeen:
    """An attempt begins, in the world of this version of the code."""

    whose: Whose
    code: str


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A call begins, or something is told of one that is not made now.

    `encloses` says that the call of a step is made of captured ones, which are told of by
    themselves: what it costs is on them.
    """

    whose: Whose
    call: Call
    encloses: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a delivery or an attempt ends.

    `verdict` is what its queue is told, None where it is told nothing (the process ends);
    `kind`, `evidence` and `fingerprint` are the failure's; `error` is the class of what was
    raised, `stop` that of what ended the attempt from the inside (a budget, a lost lease), and
    `budget` whose budget it was and per what, such as "tenant day".
    """

    verdict: Literal["done", "retry", "park", "busy"] | None
    kind: str | None = None
    evidence: str | None = None
    fingerprint: str | None = None
    error: str | None = None
    stop: str | None = None
    budget: str | None = None


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call ends: paid, released or in doubt; `error` is a status or the class of an error."""

    call: Call
    error: str | None = None
    encloses: bool = False


Begun = DeliverySeen | AttemptSeen | CallSeen
Ended = Outcome | CallEnded
Word = Literal["replayed", "rejected", "lost", "found"]
"""What is told of a call that is not made now: its receipt is handed out, or is waste; its attempt
has left it in doubt; or it was found out to be paid."""
