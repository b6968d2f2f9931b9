"""Decision: whom a job in trouble still lets in, and when a parked run is probed; pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from payonce.model import Attempt, Diagnosis, Kind, Run, RunState, Trouble, WakesOn
from payonce.policy import Breaker

_UNSEEN = frozenset({WakesOn.CONFIG, WakesOn.CREDENTIALS, WakesOn.ACCOUNT})
"""What can be mended without a trace in the world."""

_PROBE_DOUBLINGS, _ENTRY_DOUBLINGS = 6, 3


class Entry(Enum):
    """May a run begin to work: yes, not now, or not before the world changes."""

    GO = auto()
    WAIT = auto()
    HOLD = auto()


def asks(seen: Run | None, breaker: Breaker | None) -> bool:
    """Has a delivery to ask for its job's trouble before it gets the lease?

    Not where a person has let the run go on, nor where an attempt is taken over from.
    """
    if breaker is None:
        return False
    if seen is None:
        return True
    let_go = seen.state is RunState.WAITING and not seen.tries and (seen.attempt > 0 or seen.held)
    return seen.state is not RunState.RUNNING and not let_go


def entry(trouble: Trouble, breaker: Breaker, *, now: float, probing: bool, watched: bool) -> Entry:
    """May a run of a job in trouble begin?

    From `breaker.runs` failed runs on the breaker is open: new runs are held, but for one now
    and then where the world need not show that the cause is gone. A parked run that is `probing`
    its own failure pays nothing again; one at a time may. Before that, in a world where no run of
    the job was ever done, no more may be at work than the breaker has room for.
    """
    if trouble.failed >= breaker.runs:
        may = probing or _may_probe(trouble, breaker, now, watched=watched)
        return Entry.GO if may and not trouble.in_flight else Entry.HOLD
    unproven = not trouble.proven and (trouble.failed > 0 or breaker.cautious)
    full = trouble.failed + trouble.in_flight >= breaker.runs
    return Entry.WAIT if unproven and full else Entry.GO


def _may_probe(trouble: Trouble, breaker: Breaker, now: float, *, watched: bool) -> bool:
    """A new run that is let in may have to be paid for: spaced, and not where trying is no use."""
    wakes_on = trouble.found.wakes_on if trouble.found else ()
    if breaker.probe_after is None or (watched and WakesOn.SCHEMA in wakes_on):
        return False
    doublings = min(trouble.failed - breaker.runs, _ENTRY_DOUBLINGS)
    return bool(now >= (trouble.last or 0.0) + breaker.probe_after * 2.0**doublings)


def is_blind(found: Diagnosis, *, watched: bool) -> bool:
    """Can what a failure waits for change without being seen?

    What passes does: a run whose attempts were used up by it is tried again once it may have.
    """
    if found.kind in (Kind.TRANSIENT, Kind.THROTTLED):
        return True
    unwatched = WakesOn.SCHEMA in found.wakes_on and not watched
    return unwatched or not _UNSEEN.isdisjoint(found.wakes_on)


def probe_after(
    found: Diagnosis,
    attempts: Sequence[Attempt],
    breaker: Breaker | None,
    *,
    watched: bool,
    probing: bool,
    paid: bool,
) -> float | None:
    """Seconds until a run that parks is tried again in an unchanged world; None for never.

    It doubles with each time in a row that the run has parked for this, up to 64 times
    `breaker.probe_after`. A probe that has `paid` something new, because the code doesn't ask the
    same in each attempt, is the last one.
    """
    if breaker is None or breaker.probe_after is None or (probing and paid):
        return None
    if not is_blind(found, watched=watched):
        return None
    return breaker.probe_after * 2.0 ** min(_in_a_row(found, attempts), _PROBE_DOUBLINGS)


def _in_a_row(found: Diagnosis, attempts: Sequence[Attempt]) -> int:
    count = 0
    for attempt in reversed([a for a in attempts if a.outcome is not None]):
        if attempt.outcome != "parked" or attempt.fingerprint != found.fingerprint:
            break
        count += 1
    return count
