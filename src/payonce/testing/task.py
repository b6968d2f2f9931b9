"""Testing: the nouns of the at-least-once queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from payonce.errors import ConfigError


class AlreadyExists(ConfigError):
    """A task of this name was pushed before; Cloud Tasks deduplicates by refusing the second."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"ALREADY_EXISTS: the queue has, or had, a task named {name!r}",
            "Push under another name, or deliver the first task again.",
        )
        self.name = name


class TaskGone(ConfigError):
    """The task is no longer in the queue: it succeeded, or was given up."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"task {name!r} is no longer in the queue",
            "Use deliver(task, anyway=True) for a duplicate delivery.",
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Task:
    """A message: `name` is the short id, `created_at` in seconds by the queue's clock."""

    name: str
    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    created_at: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `status` is None where no answer came, and `error` says why.

    Header names are in lower case; `seconds` are real ones.
    """

    status: int | None
    body: str
    headers: Mapping[str, str]
    seconds: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class QueueDelivery:
    """One delivery of a task and its outcome.

    `number` counts the task's deliveries from 1, duplicates included; `at` is the queue's clock,
    `virtual_seconds` the same since the queue was made; `wanted` is False for a duplicate that a
    test asked for; `next_at` is when the queue will try again, None if it won't.
    """

    task: Task
    number: int
    at: float
    virtual_seconds: float
    wanted: bool
    sent: Mapping[str, str]
    reply: Reply
    answers: int
    scheduled_at: float
    next_at: float | None

    @property
    def status(self) -> int | None:
        """The HTTP status, None where no answer came."""
        return self.reply.status

    @property
    def body(self) -> str:
        """The text of the answer."""
        return self.reply.body

    @property
    def seconds(self) -> float:
        """How long the delivery took, in real seconds."""
        return self.reply.seconds

    @property
    def succeeded(self) -> bool:
        """Whether the queue takes it for done: any status of 200 to 299."""
        return succeeded(self.reply.status)


def succeeded(status: int | None) -> bool:
    """The one rule of success."""
    return status is not None and 200 <= status <= 299
