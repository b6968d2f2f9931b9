"""Testing: when Cloud Tasks tries a failed task again; pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """A queue's retry settings; seconds, with Cloud Tasks' own defaults.

    `max_attempts` includes the first attempt, -1 is unlimited. With a `max_retry_duration`,
    counted from the first attempt, retrying stops only when both limits are reached.
    Source: the reference of `RetryConfig`, Cloud Tasks API v2.
    """

    min_backoff: float = 0.1
    max_backoff: float = 3600.0
    max_doublings: int = 16
    max_attempts: int = 100
    max_retry_duration: float = 0.0

    def interval(self, retry: int) -> float:
        """Seconds before the `retry`-th retry, counted from 1.

        It doubles `max_doublings` times, then grows by its last value, and stays at
        `max_backoff`: 10, 20, 40, 80, 160, 240, 300, 300 for 10 s, 300 s and 3 doublings.
        """
        doublings = min(retry - 1, self.max_doublings)
        steps = max(0, retry - 1 - self.max_doublings)
        return min(self.min_backoff * 2.0**doublings * (1 + steps), self.max_backoff)

    def gives_up(self, attempts: int, age: float) -> bool:
        """Whether a task is dropped after so many attempts, `age` seconds after the first."""
        if self.max_attempts == -1:
            return False
        return attempts >= self.max_attempts and age >= self.max_retry_duration
