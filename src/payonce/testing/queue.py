"""Testing: a queue that delivers at least once, over HTTP, by Cloud Tasks' rules.

`python -m payonce.testing.queue --url URL --payload JSON` delivers one task from a process of its
own.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from payonce.testing.backoff import Backoff
from payonce.testing.dispatch import headers_for, retry_after, send
from payonce.testing.queue_clock import QueueClock, RealClock, VirtualClock
from payonce.testing.queue_log import write_log
from payonce.testing.task import AlreadyExists, QueueDelivery, Reply, Task, TaskGone, succeeded

_EXAMPLE = "projects/demo/locations/local/queues/batches"
_NAME = re.compile(r"projects/[^/]+/locations/[^/]+/queues/[^/]+")
Until = Literal["empty"] | float | Callable[[QueueDelivery], bool]


@dataclass(slots=True)
class _Progress:
    """Where a task stands; `next_at` is None once it left the queue."""

    task: Task
    next_at: float | None
    attempts: int = 0
    deliveries: int = 0
    answers: int = 0
    executions: int = 0
    previous: int | None = None
    first_at: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class AtLeastOnceQueue:
    """Delivers tasks again and again until one delivery is answered with 2xx.

    Each task has its own back-off; what Cloud Tasks does to a whole queue (rate limits, the
    slow-down after 429 and 503) is left out.

    Args:
        name: The queue's full name; headers carry its last part.
        dispatch_deadline: Real seconds without an answer after which a delivery has failed.
            As with the real one, the worker may go on working.
        clock: `"virtual"` skips the waiting between deliveries, `"real"` does it.
        min_backoff, max_backoff, max_doublings, max_attempts, max_retry_duration: See `Backoff`.

    Raises:
        ValueError: the name is not a full one.
    """

    def __init__(
        self,
        name: str = _EXAMPLE,
        *,
        dispatch_deadline: float = 600.0,
        clock: Literal["virtual", "real"] = "virtual",
        min_backoff: float = 0.1,
        max_backoff: float = 3600.0,
        max_doublings: int = 16,
        max_attempts: int = 100,
        max_retry_duration: float = 0.0,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"a queue's full name reads like {_EXAMPLE!r}, not {name!r}")
        self.name = name
        self.backoff = Backoff(
            min_backoff, max_backoff, max_doublings, max_attempts, max_retry_duration
        )
        self.deliveries: list[QueueDelivery] = []
        self._deadline = dispatch_deadline
        self._clock: QueueClock = VirtualClock() if clock == "virtual" else RealClock()
        self._started = self._clock.now()
        self._progress: dict[str, _Progress] = {}
        self._lock = threading.Lock()

    @property
    def tasks(self) -> list[Task]:
        """The tasks that are still in the queue."""
        return [p.task for p in self._progress.values() if p.next_at is not None]

    @property
    def virtual_seconds(self) -> float:
        """How much time has passed for the queue since it was made."""
        return self._clock.now() - self._started

    def push(
        self,
        url: str,
        payload: Any,
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Task:
        """Put a task in the queue; nothing is delivered yet.

        Args:
            url: An `http://` address.
            payload: Anything that JSON can hold, or bytes as they are.
            name: The task's short id; the queue makes one up.
            headers: Sent with each delivery.

        Raises:
            AlreadyExists: a task had this name before, delivered or not.
            ValueError: the address is not an `http://` one.
        """
        if urlsplit(url).scheme != "http":
            raise ValueError(f"a task goes to an http:// address, not {url!r}")
        name = name or f"task-{len(self._progress) + 1}"
        if name in self._progress:
            raise AlreadyExists(name)
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        task = Task(name, url, body, dict(headers or {}), self._clock.now())
        self._progress[name] = _Progress(task, task.created_at)
        return task

    def run(self, until: Until = "empty", max_deliveries: int | None = None) -> list[QueueDelivery]:
        """Deliver what is due, in the order of time, one after the other.

        Args:
            until: `"empty"`: until every task has succeeded or was given up. A number: so many
                seconds of the queue's time. A function: until it says True of a delivery.
            max_deliveries: Stop after so many at the latest.

        Returns:
            The deliveries made.

        Raises:
            ValueError: nothing would ever end it: unlimited attempts and no other limit.
        """
        if self.backoff.max_attempts == -1 and until == "empty" and max_deliveries is None:
            raise ValueError("unlimited attempts need max_deliveries= or another until=")
        end = self._clock.now() + until if isinstance(until, int | float) else None
        made: list[QueueDelivery] = []
        while max_deliveries is None or len(made) < max_deliveries:
            due = self._next()
            if due is None or (end is not None and (due.next_at or 0.0) > end):
                break
            made.append(self._attempt(due))
            if callable(until) and until(made[-1]):
                break
        if end is not None and (max_deliveries is None or len(made) < max_deliveries):
            self._clock.wait_until(end)
        return made

    def deliver(self, task: Task, times: int = 1, *, anyway: bool = False) -> list[QueueDelivery]:
        """Deliver one task now, waiting for its time, up to `times` times or its success.

        Args:
            task: A task of this queue.
            times: How many deliveries at most.
            anyway: Go on after success: at-least-once allows duplicates. They carry the
                headers of the last delivery.

        Raises:
            TaskGone: it has left the queue, and `anyway` is not set.
        """
        progress = self._progress[task.name]
        if progress.next_at is None and not anyway:
            raise TaskGone(task.name)
        made: list[QueueDelivery] = []
        while len(made) < times and (progress.next_at is not None or anyway):
            made.append(self._attempt(progress))
        return made

    def deliver_together(self, task: Task, n: int) -> list[QueueDelivery]:
        """Make `n` deliveries of one attempt at the same time, duplicates of each other.

        They count as one attempt, which succeeds if any does. The answers come in the order
        they arrived.
        """
        progress = self._progress[task.name]
        wanted, scheduled = self._open(progress)
        start = threading.Barrier(n)
        replies: list[Reply] = []

        def deliver() -> None:
            start.wait()
            reply = send(task, progress.headers, self._deadline)
            with self._lock:
                replies.append(reply)

        with ThreadPoolExecutor(n, thread_name_prefix="at-least-once") as threads:
            for future in [threads.submit(deliver) for _ in range(n)]:
                future.result()
        best = next((r for r in replies if succeeded(r.status)), replies[-1])
        self._settle(progress, best)
        return [
            self._record(progress, reply, wanted and reply is best, scheduled) for reply in replies
        ]

    def log(self, path: Path) -> None:
        """Write Cloud Tasks' `task_operations_log` of all that happened, as JSON lines."""
        tasks = [progress.task for progress in self._progress.values()]
        write_log(path, self.name, tasks, self.deliveries, self.backoff.max_attempts)

    def _next(self) -> _Progress | None:
        waiting = [p for p in self._progress.values() if p.next_at is not None]
        return min(waiting, key=lambda p: p.next_at or 0.0, default=None)

    def _attempt(self, progress: _Progress) -> QueueDelivery:
        wanted, scheduled = self._open(progress)
        reply = send(progress.task, progress.headers, self._deadline)
        self._settle(progress, reply)
        return self._record(progress, reply, wanted, scheduled)

    def _open(self, progress: _Progress) -> tuple[bool, float]:
        """Wait for the task's time and write its headers; a duplicate keeps the last ones."""
        if progress.next_at is None:
            return False, self._clock.now()
        scheduled = progress.next_at
        self._clock.wait_until(scheduled)
        if progress.first_at is None:
            progress.first_at = self._clock.now()
        progress.headers = headers_for(
            progress.task,
            self.name.rpartition("/")[2],
            attempts=progress.attempts,
            executions=progress.executions,
            eta=scheduled,
            previous=progress.previous,
        )
        return True, scheduled

    def _settle(self, progress: _Progress, reply: Reply) -> None:
        """Count the attempt and say when the next one is due."""
        if progress.next_at is None:
            return
        progress.attempts += 1
        progress.previous = reply.status
        if reply.status is not None and reply.status < 500:
            progress.executions += 1
        now = self._clock.now()
        age = now - (progress.first_at or now)
        if succeeded(reply.status) or self.backoff.gives_up(progress.attempts, age):
            progress.next_at = None
        else:
            wait = max(self.backoff.interval(progress.attempts), retry_after(reply))
            progress.next_at = now + wait

    def _record(
        self, progress: _Progress, reply: Reply, wanted: bool, scheduled: float
    ) -> QueueDelivery:
        progress.deliveries += 1
        progress.answers += reply.status is not None
        delivery = QueueDelivery(
            task=progress.task,
            number=progress.deliveries,
            at=self._clock.now(),
            virtual_seconds=self.virtual_seconds,
            wanted=wanted,
            sent=progress.headers,
            reply=reply,
            answers=progress.answers,
            scheduled_at=scheduled,
            next_at=progress.next_at,
        )
        self.deliveries.append(delivery)
        return delivery


if __name__ == "__main__":
    from payonce.testing.queue_process import main

    main()
