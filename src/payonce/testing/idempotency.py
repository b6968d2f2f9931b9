"""Testing: a billed API's memory of the `Idempotency-Key`s that it has seen."""

from __future__ import annotations

import threading
from collections.abc import Callable

from payonce.testing.asking import Answer
from payonce.testing.bill import BilledCall


class KeyMisused(Exception):
    """A key came again with another request."""


class IdempotencyKeys:
    """What was answered under which key; in memory, so a new provider starts afresh."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[str, Answer]] = {}

    def once(
        self, key: str, request_sha: str, charge: Callable[[], tuple[Answer, BilledCall]]
    ) -> tuple[Answer, BilledCall | None]:
        """Charge for the first request with a key; give later ones its answer.

        Raises:
            KeyMisused: the key came with another request before.
        """
        with self._lock:
            kept = self._answers.get(key)
            if kept is None:
                answer, call = charge()
                self._answers[key] = (request_sha, answer)
                return answer, call
        if kept[0] != request_sha:
            raise KeyMisused(key)
        return kept[1], None
