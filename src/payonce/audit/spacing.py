"""Reading, for `audit`: whether the waits between attempts are those of a known retry schedule.

Sources: Cloud Tasks' documentation (waits double from the minimum, max_doublings times, then grow
by as much each time, up to the maximum; in 1 s … 1 h by default), Celery's `default_retry_delay`
(180 s) and its exponential back-off with jitter, Sidekiq's n⁴ + 15 s + jitter, AWS Lambda's
asynchronous retries after 1 and 2 minutes, SQS's visibility timeout (a constant).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

_SECOND = 1_000_000
_FEW, _ENOUGH = 2, 4
_ON_TIME = 10 * _SECOND
_NEAR = 0.2


def waits(times: Sequence[tuple[int, int | None]]) -> list[float]:
    """Seconds from the end of each attempt (its beginning, where that isn't known) to the next."""
    pairs = pairwise(times)
    return [
        max(0.0, (after - (ended if ended is not None and ended <= after else began)) / _SECOND)
        for (began, ended), (after, _) in pairs
    ]


def by_the_clock(times: Sequence[int]) -> bool:
    """Whether all begin shortly after a full minute, as what a timetable starts does."""
    return len(times) > _FEW and all(time % (60 * _SECOND) < _ON_TIME for time in times)


def schedule_of(found: list[float], queue: str | None = None) -> str | None:
    """The schedule that these waits fit, in words; None if they fit none.

    Args:
        found: waits in seconds, in their order.
        queue: what delivered, if known; it breaks ties of names alone.
    """
    if len(found) < _FEW:
        return None
    if max(found) < 1:
        return "at once, without a wait"
    if _is_near(found[:2], (60, 120)) and len(found) <= _FEW + 1:
        return "after 1 and 2 minutes, as AWS Lambda's asynchronous retries do"
    if len(found) > _FEW and _is_sidekiq(found):
        return "by n⁴ + 15 s, as Sidekiq does"
    middle = median(found)
    if sum(abs(each - middle) <= max(1.0, 0.1 * middle) for each in found) >= 0.9 * len(found):
        return f"every {_seconds(middle)}" + _named(queue, middle)
    return _growing(found, queue)


def _growing(found: list[float], queue: str | None) -> str | None:
    """Waits that double at first, then grow by as much each time, or stay.

    What is shorter than a second says more of the work than of the waits, if enough is left.
    """
    longer = [each for each in found if each >= 1]
    found = longer if len(longer) >= _ENOUGH and found[-len(longer) :] == longer else found
    steps = [(after / before, after - before) for before, after in pairwise(found) if before > 0]
    doubled = 0
    for ratio, _ in steps:
        if not 1.6 <= ratio <= 2.5:
            break
        doubled += 1
    rest = [found[i + 1] - found[i] for i in range(doubled, len(found) - 1)]
    if doubled < _FEW and not (doubled and len(found) <= _FEW + 1):
        return None
    slack = 0.15 * max(found)
    settled = max(rest, default=0.0)
    if any(each < -slack for each in rest) or any(
        abs(each - settled) > slack and abs(each) > slack for each in rest
    ):
        return None
    whose = ", as Cloud Tasks does" if queue == "cloud-tasks" else ", an exponential back-off"
    return f"twice as long each time from {_seconds(found[0])} to {_seconds(max(found))}{whose}"


def _is_sidekiq(found: Sequence[float]) -> bool:
    """n⁴ + 15 s, and up to 10·(n + 1) s of jitter, for n = 0, 1, 2 …; the first may be missing."""
    for first in (0, 1):
        wanted = [(n**4 + 15, n**4 + 15 + 10 * (n + 1) + 5) for n in range(first, 40)]
        if all(low - 1 <= each <= high for each, (low, high) in zip(found, wanted, strict=False)):
            return len(set(map(round, found))) > 1 and found[-1] > 2 * found[0]
    return False


def _is_near(found: Sequence[float], wanted: Sequence[float]) -> bool:
    return all(abs(a - b) <= _NEAR * b for a, b in zip(found, wanted, strict=False))


def _named(queue: str | None, seconds: float) -> str:
    if queue == "sqs":
        return ", a visibility timeout"
    if queue == "celery":
        default = " (its default)" if abs(seconds - 180) < 10 else ""
        return f", a fixed retry delay{default}"
    return ", a fixed delay"


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
