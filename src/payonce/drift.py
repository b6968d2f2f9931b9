"""Decision: does a request that has no receipt stand in the place of one that has?

A run that goes on may ask what it never asked before: the code was changed on purpose, or
something got into the request that differs each time (a time, a random id, rows in no order),
and then what was paid for is paid for again. That is drift. At the moment of such a request it is
certain only where

    it equals one with a receipt but for times, and no attempt asked for several of them
    or the same code asks one thing after the other, and asks something alike in its place

Else a call may have been inserted, or the order may have changed, and each receipt may still be
asked for: then it is certain at the end of the attempt, for the receipts that lie there unused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import msgspec

from payonce.model import Call
from payonce.redact import redact
from payonce.sketch import Change, Sketch, changes, likeness, without

Rule = Literal["pay", "park"]

ALIKE = 0.5
"""How much of two requests has to be the same, at least."""
MOST_CHANGES = 8


@dataclass(frozen=True, slots=True)
class Earlier:
    """A receipt of an earlier attempt; `same_code` says whether the code was the same then."""

    call: Call
    sketch: Sketch
    same_code: bool


class Drift(msgspec.Struct, frozen=True):
    """That a call was made while the receipt of another lay unused, and how the two differ."""

    unused: int
    changes: tuple[Change, ...]
    more: int = 0

    def __str__(self) -> str:
        shown = "; ".join(str(change) for change in self.changes) or "nothing that was kept of it"
        return f"{shown}; {self.more} more" if self.more else shown


def one_by_one(calls: Sequence[Call]) -> bool:
    """Whether, in each of their attempts, none of these calls began before another had ended."""
    ordered = sorted(calls, key=lambda call: (call.attempt, call.started_at, call.id))
    return not any(
        one.attempt == other.attempt and (one.ended_at is None or other.started_at < one.ended_at)
        for one, other in pairwise(ordered)
    )


def same(asked: Sketch, unused: Sequence[Earlier], ignore: Sequence[str]) -> Earlier | None:
    """The receipt of the same request, from a time when `ignore` was not in force yet."""
    if not ignore:
        return None
    wanted = without(asked, ignore)
    return next((each for each in unused if without(each.sketch, ignore) == wanted), None)


def certain(asked: Sketch, unused: Sequence[Earlier], *, in_order: bool) -> Earlier | None:
    """The receipt in whose place something else is asked, where that is certain already.

    Args:
        asked: a request that was never made before.
        unused: the receipts of earlier attempts, to the same endpoint, not asked for (yet).
        in_order: whether the run makes its calls one by one.
    """
    twins = [each for each in unused if asked.timeless and each.sketch.timeless == asked.timeless]
    if twins and len({each.call.attempt for each in twins}) == len(twins):
        return twins[-1]
    if not in_order:
        return None
    return _nearest(asked, [each for each in unused if each.same_code])


def leftover(
    fresh: Sequence[tuple[int, Sketch]], unused: Sequence[Earlier]
) -> list[tuple[int, Earlier, Sketch]]:
    """Each of the new calls of an attempt that is over with an unused receipt like it, if any."""
    left, found = list(unused), []
    for call_id, asked in fresh:
        if (nearest := _nearest(asked, left)) is not None:
            left.remove(nearest)
            found.append((call_id, nearest, asked))
    return found


def _nearest(asked: Sketch, among: Sequence[Earlier]) -> Earlier | None:
    likenesses = [(likeness(each.sketch, asked), each) for each in among]
    alike = [(much, each) for much, each in likenesses if much >= ALIKE]
    return max(alike, key=lambda pair: (pair[0], -pair[1].call.id))[1] if alike else None


def drift(earlier: Earlier, asked: Sketch) -> Drift:
    """What is told of one that was found."""
    found = changes(earlier.sketch, asked)
    return Drift(earlier.call.id, tuple(found[:MOST_CHANGES]), len(found[MOST_CHANGES:]))


def write(found: Drift) -> str:
    """The form in which the journal keeps it."""
    return redact(msgspec.json.encode(found).decode())


def read(kept: str | None) -> Drift | None:
    """What the journal has kept; nothing where it can't be read."""
    try:
        return None if kept is None else msgspec.json.decode(kept, type=Drift)
    except msgspec.MsgspecError:
        return None
