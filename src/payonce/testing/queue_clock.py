"""Testing: the queue's clock, virtual or real."""

from __future__ import annotations

import time
from typing import Protocol


class QueueClock(Protocol):
    """Seconds since the epoch, and a way to wait."""

    def now(self) -> float:
        """The time."""

    def wait_until(self, moment: float) -> None:
        """Come back when it is `moment`."""


class VirtualClock:
    """Stands still but for waiting, which takes no time."""

    def __init__(self) -> None:
        self._now = time.time()

    def now(self) -> float:
        """The time."""
        return self._now

    def wait_until(self, moment: float) -> None:
        """Make it `moment`; time never goes back."""
        self._now = max(self._now, moment)


class RealClock:
    """The machine's clock."""

    def now(self) -> float:
        """The time."""
        return time.time()

    def wait_until(self, moment: float) -> None:
        """Sleep until `moment`."""
        time.sleep(max(0.0, moment - time.time()))
