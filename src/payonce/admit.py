"""On the path, at the door: may this delivery start an attempt?"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from payonce import policy, telling, values
from payonce.delivery import current
from payonce.effects import Pause, Way, Work, journaled
from payonce.errors import ConfigError, KeyReused, Parked
from payonce.failure.rules import Rules
from payonce.job import Arguments, Job
from payonce.journal.protocol import Closing, Journal, Opening
from payonce.lease import is_dead, owner
from payonce.model import Diagnosis, Kind, Run, RunState, World
from payonce.scope import RunScope, is_inside

_log = logging.getLogger("payonce")
_POLL = 0.05
"""Seconds between two looks of a duplicate that waits for the attempt that works."""


class App(Protocol):
    """What a delivery needs of the app."""

    @property
    def journal(self) -> Journal:
        """The journal that its runs are kept in."""

    @property
    def failures(self) -> Rules:
        """The user's own rules of classification."""

    def world(self, job: Job) -> World:
        """The world as it is now."""


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
    world: World | None = None
    while True:
        run = yield from journaled(Work(lambda: journal.find(job.name, key)))
        _same_arguments(journal, job, run, arguments)
        if world is None or run is None or run.state is not RunState.RUNNING:
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
            case policy.Door.GO | policy.Door.GO_WOKEN as way_in:
                opening = _opening(job, arguments, key, run, world)
                woken = way_in is policy.Door.GO_WOKEN
                if woken and (yield from _failed_here_before(journal, run, world)):
                    raise _parked_still(journal, job, run)
                scope = yield from _open(app, job, opening, dead=dead, woken=woken)
                if scope is not None:
                    return scope


def _parked_still(journal: Journal, job: Job, run: Run) -> Parked:
    journal.note(run.id, current().delivery, "park").later()
    return telling.parked_still(run, hold=job.hold)


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


def _open(app: App, job: Job, opening: Opening, *, dead: bool, woken: bool) -> Way[RunScope | None]:
    """Take the lease, then read the run's receipts; None when another one was faster."""
    seen = opening.seen
    holder = seen.lease_owner if seen is not None and dead else None
    opening = replace(opening, woken=woken, dead_owner=holder)
    write = app.journal.open(opening)
    try:
        run = yield from journaled(write)
    except BaseException:  # cancelled meanwhile: nobody is there to work
        write.unwanted(partial(_give_back, app.journal, opening.world))
        raise
    if run is None:
        return None
    try:
        calls = []
        if seen is not None:
            calls = yield from journaled(Work(lambda: app.journal.calls(run.id)))
        return RunScope(
            app,
            app.journal,
            run,
            calls,
            world=opening.world,
            limits=job.limits,
            pays_drift=policy.pays_drift(seen),
        )
    except BaseException:
        _give_back(app.journal, opening.world, run)
        raise


def _give_back(journal: Journal, world: World, run: Run | None) -> None:
    """Close an attempt whose work did not begin."""
    if run is None:
        return
    why = Diagnosis(Kind.TRANSIENT, "its work did not begin", "cancelled", "cancelled")
    closing = Closing(
        run_id=run.id,
        attempt=run.attempt,
        state=RunState.WAITING,
        outcome="retry",
        answer="retry",
        world=world,
        diagnosis=why,
        retry_at=journal.now(),
    )
    journal.close(closing).later()


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


def _wait_or_leave(journal: Journal, job: Job, run: Run, now: float, came: float) -> Way[None]:
    """A duplicate of a run that works: its result may be here soon."""
    left = min(job.limits.wait, came + job.limits.wait - now)
    if left <= 0:
        journal.note(run.id, current().delivery, "busy").later()
        raise telling.busy(run, now)
    yield Pause(min(_POLL, left))


def _wait_or_return(journal: Journal, job: Job, run: Run, now: float, came: float) -> Way[None]:
    """A delivery before its time: wait for it if it is near, else come back then."""
    early = (run.retry_at or now) - now
    if early > min(job.limits.wait, came + job.limits.wait - now):
        journal.note(run.id, current().delivery, "retry").later()
        raise telling.retry(run, run.reason or "it is too early", early, paid="no")
    yield Pause(early)
