"""What really happened, before anybody writes a log of it: one accident among healthy tasks."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

START = 1_790_000_000.0
ERROR = 'column "outline" of relation "courses" does not exist'
REASON = 'column "outline" of table "courses" does not exist'
DELIVERIES, CALLS = 21, 3
TENANT = "acme"


@dataclass(frozen=True, slots=True)
class Call:
    """One paid call: its prompt, its tokens and its cost as decimal text."""

    at: float
    prompt: str
    tokens_in: int = 417
    tokens_out: int = 53
    cost: str = "0.000125"
    model: str = "gpt-5-mini"

    @property
    def hash(self) -> str:
        """What a gateway's cache would know the prompt by."""
        return hashlib.sha256(self.prompt.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a task, and what was paid in it."""

    task: str
    number: int
    at: float
    calls: tuple[Call, ...]
    failed: bool
    tenant: str = TENANT

    @property
    def end(self) -> float:
        """When it was answered."""
        return self.at + 4

    @property
    def trace(self) -> str:
        """Its trace: each delivery has one of its own."""
        return hashlib.sha256(f"{self.task}:{self.number}".encode()).hexdigest()[:32]

    @property
    def uuid(self) -> str:
        """The task's id at Celery, SQS or Lambda; it stays the same over all deliveries."""
        return str(uuid.UUID(hashlib.sha256(self.task.encode()).hexdigest()[:32]))


def waits(first: float = 10, most: float = 3600) -> Iterator[float]:
    """Cloud Tasks' waits between attempts."""
    wait = first
    while True:
        yield min(wait, most)
        wait *= 2


def delivery(task: str, number: int, at: float, *, failed: bool) -> Delivery:
    """One pass: the same three prompts each time."""
    calls = tuple(Call(at + 1 + n, f"{task}, part {n}") for n in range(CALLS))
    return Delivery(task, number, at, calls, failed)


def accident() -> list[Delivery]:
    """A task that is delivered 21 times, and never writes what it paid for."""
    found, at = [], START
    for number, wait in zip(range(1, DELIVERIES + 1), waits(), strict=False):
        found.append(delivery("course-42", number, at, failed=True))
        at += 4 + wait
    return found


def healthy(count: int = 40) -> list[Delivery]:
    """Tasks that go well, between the others; one of them needs a second delivery."""
    found = []
    for n in range(count):
        at = START + 500 + n * 97 * 60
        if n == 7:
            found.append(delivery(f"course-{100 + n}", 1, at - 60, failed=True))
        found.append(delivery(f"course-{100 + n}", 1 + (n == 7), at, failed=False))
    return found


def month() -> list[Delivery]:
    """All of it, in the order of time; no two are at work at once."""
    found: list[Delivery] = []
    for each in sorted([*accident(), *healthy()], key=lambda delivery: delivery.at):
        if not found or each.at >= found[-1].end + 1 or each.task == "course-42":
            if found and each.at < found[-1].end + 1:
                found.pop()
            found.append(each)
    return found


def rfc3339(at: float) -> str:
    """A time as Google writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(at: float) -> str:
    """A time as Python's logging writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
