"""Decision: what may happen next to a run, an attempt or a call; pure, on frozen values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Literal

from payonce.errors import InDoubt, Rejected, SendsUsedUp
from payonce.model import (
    Attempt,
    Call,
    CallState,
    Diagnosis,
    Kind,
    Run,
    RunState,
    Verdict,
    WakesOn,
    World,
)

Doubt = Literal["retry", "park"]

ANSWERED = "answered HTTP"
"""How the reason of a doubt starts when the provider answered, if only with an error."""

REFUSED_BY_DATABASE = "refused by the database"
"""How it starts when a step's own database refused a statement of it."""

STOPPED_INSIDE = "stopped inside"
"""How it starts when a call or a job inside a step was stopped, which is on record by itself."""

CAME_BACK = "the same failure came back"
"""How the reason of an unknown failure starts once it has."""

_CERTAIN = (ANSWERED, REFUSED_BY_DATABASE, STOPPED_INSIDE)
_A_MONTH = 30 * 86_400.0
_WIDER = {Kind.THROTTLED: 15, Kind.UNKNOWN: 5}
_ANYTHING = (WakesOn.CODE, WakesOn.SCHEMA, WakesOn.CONFIG)


@dataclass(frozen=True, slots=True)
class Breaker:
    """What keeps a broken deploy from failing every run of a job, one after the other.

    Args:
        runs: how many runs may fail for good by one cause in one world before new ones are held
            at the door, without paying anything.
        probe_after: seconds until a parked run, or one that is held, is first tried again in the
            same world, where the world need not show that the cause is gone; doubled each time.
            None: never.
        cautious: let no more than `runs` begin in a world in which no run of the job was done
            yet, even before one has failed.
    """

    runs: int = 3
    probe_after: float | None = 900.0
    cautious: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """The caps of one job.

    `attempts` per run since it was last woken; `sends` per step, hidden retries included;
    `kills` in a row at the same place; `repeats` of a step that is in doubt; `wait` seconds that
    a duplicate waits for the attempt that works; `lease` seconds; back-off from `backoff` seconds,
    doubling, up to `backoff_most`; 15 times that after throttling, 5 times after what is unknown.
    """

    attempts: int = 5
    sends: int = 20
    kills: int = 3
    repeats: int = 1
    wait: float = 10.0
    lease: float = 30.0
    backoff: float = 1.0
    backoff_most: float = 300.0
    breaker: Breaker | None = None


class Door(Enum):
    """What a delivery finds: go in, or not yet, or no more.

    `GO_WOKEN` into a changed world, `GO_AGAIN` into the same one: the run was only held at the
    door, or is due for a probe.
    """

    GO = auto()
    GO_WOKEN = auto()
    GO_AGAIN = auto()
    FINISHED = auto()
    PARKED = auto()
    HELD = auto()
    EARLY = auto()


def door(run: Run | None, *, now: float, world: World, holder_is_dead: bool) -> Door:
    """May a delivery start an attempt on this run?"""
    if run is None:
        return Door.GO
    match run.state:
        case RunState.DONE:
            return Door.FINISHED
        case RunState.PARKED:
            if moved(run.world, world):
                return Door.GO_WOKEN
            probe = run.retry_at is not None and run.retry_at <= now
            return Door.GO_AGAIN if run.held or probe else Door.PARKED
        case RunState.WAITING:
            early = run.retry_at is not None and run.retry_at > now
            return Door.EARLY if early else Door.GO
        case RunState.RUNNING:
            expired = run.lease_until is not None and run.lease_until <= now
            return Door.GO if expired or holder_is_dead else Door.HELD


def moved(before: World | None, now: World) -> bool:
    """Has the world changed? A schema that can't be read just now ("name=?") has not."""
    if before is None or before.code != now.code:
        return True
    seen, told = _by_name(before.schema), _by_name(now.schema)
    return any(seen.get(name) != print_ for name, print_ in told.items() if print_ != "?")


def _by_name(schemas: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in schemas.split("+"))


def failed_before(attempts: Sequence[Attempt], world: World) -> bool:
    """Has the run parked in this very world before, for what repetition can't mend?"""
    return any(
        a.outcome == "parked" and a.kind is Kind.DETERMINISTIC and not moved(a.world, world)
        for a in attempts
    )


def pays_drift(seen: Run | None) -> bool:
    """Has a person let a run go on that was parked for drift?"""
    woken = seen is not None and seen.state is RunState.WAITING and seen.tries == 0
    return woken and seen is not None and seen.evidence == "Drifted"


def hopeless(run: Run, limits: Limits) -> Diagnosis | None:
    """Why an attempt that was just opened should not start to work, if it should not."""
    if run.kills >= limits.kills:
        return Diagnosis(
            Kind.DETERMINISTIC,
            f"its process died {run.kills} times in a row without a word; "
            f"last seen: {run.killed_at}",
            "killed",
            f"killed:{run.killed_at}",
            wakes_on=(WakesOn.CODE, WakesOn.INPUT),
        )
    if run.tries > limits.attempts:
        return Diagnosis(
            run.kind or Kind.UNKNOWN,
            f"its {limits.attempts} attempts are used up"
            + (f"; the last failure: {run.reason}" if run.reason else ""),
            "attempts",
            run.fingerprint or "attempts",
        )
    return None


def after_failure(
    found: Diagnosis,
    run: Run,
    world: World,
    limits: Limits,
    *,
    hold: bool,
    chance: float,
    now: World | None = None,
    asks_again: bool = False,
    probing: bool = False,
) -> Verdict:
    """What the queue is told about a failed attempt; `chance` in [0, 1) spreads the retries.

    What passes is tried again within the cap on attempts; `probing` of a parked run is one attempt.
    `asks_again` says that the answer to blame was rejected, so that the next attempt gets another.
    `world` is the one that the attempt began in: a run that would be woken by the one that is
    `now` isn't parked, for its message may be the last that comes.
    """
    stop = found.kind is Kind.DETERMINISTIC or (
        found.kind in (Kind.UNKNOWN, Kind.STOCHASTIC)
        and _came_back(found, run, world)
        and not asks_again
    )
    passes = found.kind in (Kind.TRANSIENT, Kind.THROTTLED)
    spent = run.tries >= limits.attempts or (probing and passes)
    if spent or (stop and not moved(world, now or world)):
        return Verdict("park", hold=hold)
    return Verdict("retry", after=backoff(run.tries, limits, chance, found.kind, found.after))


def _came_back(found: Diagnosis, run: Run, world: World) -> bool:
    """Has the attempt before this one failed in the same way, in the same world?"""
    return run.fingerprint == found.fingerprint and run.world == world


def settled(found: Diagnosis, run: Run, world: World) -> Diagnosis:
    """What a run is parked for: a failure that nobody knew is deterministic once it came back.

    What would mend it is still not known, so whatever changes may: the world wakes it, and where
    there is nothing to be seen it is probed.
    """
    if found.kind is not Kind.UNKNOWN or not _came_back(found, run, world):
        return found
    reason = found.reason
    if not reason.startswith(CAME_BACK):
        reason = f"{CAME_BACK}: {reason}"
    return replace(found, kind=Kind.DETERMINISTIC, reason=reason, wakes_on=_ANYTHING, after=None)


def backoff(
    tries: int,
    limits: Limits,
    chance: float,
    kind: Kind = Kind.TRANSIENT,
    at_least: float | None = None,
) -> float:
    """Seconds to wait: exponential with full jitter, never under what the other side asked for.

    What was throttled, and what nobody knows, gets a wider spacing, and never a short pause: a
    limit counts by the minute, and an unknown failure gets one retry only. Where the other side
    named a time the pause is spread beyond it, for it has told everybody the same; who asks for
    more than a month is asked again after a month.

    Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    first, least = limits.backoff * _WIDER.get(kind, 1), 0.5 if kind in _WIDER else 0.0
    most: float = min(limits.backoff_most, first * 2 ** min(60, max(0, tries - 1)))
    pause = most * (least + (1 - least) * chance)
    return pause if at_least is None else min(at_least + most * chance, _A_MONTH)


def standing(calls: Sequence[Call]) -> Call | None:
    """The receipt that stands for a step, if it has one: the first that was recorded.

    A second one comes late, from an attempt that lost its lease; an attempt may have used the first
    meanwhile, and what it asked for next depends on that answer. A receipt of this very attempt
    has no number yet: it is the last.
    """
    paid = [c for c in calls if c.state is CallState.PAID and not c.rejected]
    return min(paid, key=lambda c: (c.receipt_id is None, c.receipt_id or 0), default=None)


def open_doubt(calls: Sequence[Call], parents: Collection[int]) -> Call | None:
    """The last call of a step that may have been billed without leaving a receipt.

    A step that calls were made inside of (`parents`), at whichever send, is as certain as those.
    """
    open_ = _doubts(calls, parents)
    return open_[-1] if open_ else None


def may_send(
    calls: Sequence[Call],
    *,
    name: str,
    attempt: int,
    in_doubt: Doubt,
    resamples: int,
    parents: Collection[int],
    limits: Limits,
) -> None:
    """Let a step that has no standing receipt be sent, or say why not.

    Raises:
        Rejected: every answer that `resamples` allows was rejected.
        SendsUsedUp: the cap on physical sends is reached.
        InDoubt: an earlier call may have been billed, and repeating it is not allowed (now).
    """
    rejected = [c for c in calls if c.rejected and c.resolution is None]
    if len(rejected) > resamples:
        raise Rejected(name, len(rejected), rejected[-1].reason or "no reason given")
    doubt = open_doubt(calls, parents)
    if doubt is not None:
        _may_repeat(doubt, calls, name, attempt, in_doubt, parents, limits)
    if len(calls) >= limits.sends:
        raise SendsUsedUp(name, len(calls))


def _may_repeat(
    doubt: Call,
    calls: Sequence[Call],
    name: str,
    attempt: int,
    in_doubt: Doubt,
    parents: Collection[int],
    limits: Limits,
) -> None:
    why = doubt.reason or "no answer was recorded"
    silent = [c for c in _doubts(calls, parents) if not _was_answered(c)]
    repeatable = in_doubt == "retry" or why.startswith(_CERTAIN[1:])
    allowed = repeatable and len(silent) <= limits.repeats
    if not allowed or doubt.attempt == attempt:
        raise InDoubt(name, doubt.id, why, repeatable=allowed)


def _doubts(calls: Sequence[Call], parents: Collection[int]) -> list[Call]:
    if any(c.id in parents for c in calls):
        return []
    unknown = (CallState.INTENDED, CallState.IN_DOUBT)
    return [c for c in calls if c.state in unknown and c.resolution is None]


def _was_answered(doubt: Call) -> bool:
    return (doubt.reason or "").startswith(_CERTAIN)
