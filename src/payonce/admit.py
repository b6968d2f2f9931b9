"""On the path, at the door: may this delivery start an attempt?"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from payonce import policy, telling, values
from payonce.delivery import LOOKOUT, current
from payonce.effects import Pause, Way, Work, journaled
from payonce.entering import App, enter
from payonce.errors import ConfigError, KeyReused, Parked
from payonce.job import Arguments, Job
from payonce.journal.protocol import Journal, Opening
from payonce.lease import is_dead, owner
from payonce.model import Run, RunState, World
from payonce.scope import RunScope, is_inside

_log = logging.getLogger("payonce")
_UNSEEN = World("", "")
_POLL = 0.05
"""Seconds between two looks of a duplicate that waits for the attempt that works."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has its value."""

    value: Any


def admit(app: App, job: Job, arguments: Arguments) -> Way[Finished | RunScope]:
    """Look at the run, and take its lease if this delivery may.

    Raises:
        NotDone: parked in the same world, too early, or another attempt works on it.
        KeyReused: the run was started with other arguments.
    """
    journal, key = app.journal, job.key.fill(arguments.by_name)
    came: float | None = None
    world = _UNSEEN
    while True:
        run = yield from journaled(Work(lambda: journal.find(job.name, key)))
        _same_arguments(journal, job, run, arguments)
        if _may_depend_on(world, run):
            world = yield Work(lambda: app.world(job))
        dead = run is not None and is_dead(run.lease_owner)
        now = journal.now()
        came = now if came is None else came
        match policy.door(run, now=now, world=world, holder_is_dead=dead):
            case policy.Door.FINISHED:
                return _finished(journal, job, run)
            case policy.Door.PARKED:
                raise _parked_still(journal, job, run)
            case policy.Door.HELD:
                if is_inside(app, run):
                    raise _recursion(job, key)
                yield from _wait_or_leave(journal, job, run, now, came)
            case policy.Door.EARLY:
                yield from _wait_or_return(journal, job, run, now, came)
            case policy.Door.GO | policy.Door.GO_WOKEN | policy.Door.GO_AGAIN as way_in:
                opening = _opening(job, arguments, key, run, world)
                if way_in is policy.Door.GO_WOKEN and (
                    yield from _failed_here_before(journal, run, world)
                ):
                    raise _parked_still(journal, job, run)
                holder = run.lease_owner if run is not None and dead else None
                left = came + _patience(job) - now
                scope = yield from enter(app, job, opening, way_in, holder=holder, left=left)
                if scope is not None:
                    return scope


def _may_depend_on(world: World, run: Run | None) -> bool:
    """Whether the door has to know the world, as it is now: not for a run that is done."""
    if run is None or run.state in (RunState.WAITING, RunState.PARKED):
        return True
    return run.state is RunState.RUNNING and world is _UNSEEN


def _parked_still(journal: Journal, job: Job, run: Run) -> Parked:
    journal.note(run.id, current().delivery, "park").later()
    return telling.parked_still(run, hold=job.hold, now=journal.now())


def _failed_here_before(journal: Journal, run: Run, world: World) -> Way[bool]:
    """A changed world may be an earlier one: two versions side by side must not wake in turn."""
    attempts = yield from journaled(Work(lambda: journal.history(run.id).attempts))
    return policy.failed_before(attempts, world)


def _opening(job: Job, arguments: Arguments, key: str, seen: Run | None, world: World) -> Opening:
    return Opening(
        job=job.name,
        key=key,
        tenant=job.tenant.fill(arguments.by_name) if job.tenant else None,
        arguments=arguments.kept,
        arguments_fingerprint=arguments.fingerprint,
        owner=owner(),
        lease=job.limits.lease,
        world=world,
        delivery=current().delivery,
        seen=seen,
    )


def _recursion(job: Job, key: str) -> ConfigError:
    return ConfigError(
        f"{job.name} calls itself under its own run key {key!r}, and would wait for itself",
        "Give the inner call a run key of its own.",
    )


def _same_arguments(journal: Journal, job: Job, run: Run | None, arguments: Arguments) -> None:
    if run is not None and run.arguments_fingerprint != arguments.fingerprint:
        journal.note(run.id, current().delivery, "refused").later()
        raise KeyReused(run.job, run.key, job.differing(run.arguments, arguments.kept))


def _finished(journal: Journal, job: Job, run: Run) -> Finished:
    journal.note(run.id, current().delivery, "done").later()
    return finished(job, run)


def finished(job: Job, run: Run) -> Finished:
    """A finished run's recorded value; None where it could not be kept."""
    if run.result is None:
        return Finished(None)
    try:
        return Finished(values.decode(run.result, job.returns))
    except ValueError as exc:
        _log.warning("the result of run %r can't be rebuilt, None is returned: %s", run.key, exc)
        return Finished(None)


def _patience(job: Job) -> float:
    """Seconds that a delivery waits for others; the app's own look has other runs to call."""
    return 0.0 if current().delivery.queue == LOOKOUT else job.limits.wait


def _wait_or_leave(journal: Journal, job: Job, run: Run, now: float, came: float) -> Way[None]:
    """A duplicate of a run that works: its result may be here soon."""
    left = min(_patience(job), came + _patience(job) - now)
    if left <= 0:
        journal.note(run.id, current().delivery, "busy").later()
        raise telling.busy(run, now)
    yield Pause(min(_POLL, left))


def _wait_or_return(journal: Journal, job: Job, run: Run, now: float, came: float) -> Way[None]:
    """A delivery before its time: wait for it if it is near, else come back then."""
    early = (run.retry_at or now) - now
    if early > min(_patience(job), came + _patience(job) - now):
        journal.note(run.id, current().delivery, "retry").later()
        raise telling.retry(run, run.reason or "it is too early", early, paid="no")
    yield Pause(early)
