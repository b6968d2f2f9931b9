"""On the path, through the door: a run gets its lease, unless its job is in trouble.

Where several runs of a job have failed for good by one cause in one world, the next ones are
held: parked at the door, with the same cause, before anything is paid. See `breaker` for who is
let in all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from payonce import breaker, policy, telling
from payonce.delivery import current
from payonce.effects import Pause, Way, Work, journaled
from payonce.errors import NotDone
from payonce.failure.rules import Rules
from payonce.job import Job
from payonce.journal.protocol import Closing, Journal, Opening
from payonce.model import Diagnosis, Kind, Run, RunState, Trouble, World
from payonce.money import Budget
from payonce.notices import Notice
from payonce.observing import Observer
from payonce.policy import Door
from payonce.scope import RunScope

_POLL = 0.25
"""Seconds between two looks of a run that waits to see how others of its job end."""

_AGAIN = 10.0
"""Seconds until it is delivered again, where it has waited long enough."""


class App(Protocol):
    """What a delivery needs of the app."""

    @property
    def journal(self) -> Journal:
        """The journal that its runs are kept in."""

    @property
    def failures(self) -> Rules:
        """The user's own rules of classification."""

    @property
    def observer(self) -> Observer | None:
        """What its deliveries are observed by."""

    def world(self, job: Job) -> World:
        """The world as it is now."""

    def watches(self, job: Job) -> bool:
        """Whether a database is watched for this job, besides the journal's own."""

    def budgets_of(self, job: Job) -> Sequence[Budget]:
        """The budgets that the code has for the runs of this job, its tenants and all."""

    def tell(self, notice: Notice) -> None:
        """Put up a notice for hooks."""


def enter(
    app: App, job: Job, opening: Opening, way_in: Door, *, holder: str | None, left: float
) -> Way[RunScope | None]:
    """Take the lease, then read the run's receipts; None when the run is to be looked at again.

    `holder` names one that is known to be dead; `left` is how many seconds the delivery may wait.

    Raises:
        Parked: the run is held, for the job is in trouble in this world.
        RetryLater: so many others are at work that it has to be seen first how they end.
    """
    rules = job.limits.breaker
    opening = replace(
        opening,
        woken=way_in is not Door.GO,
        dead_owner=holder,
        asks=breaker.asks(opening.seen, rules),
        cautious=rules is not None and rules.cautious,
    )
    probing = way_in is Door.GO_AGAIN and opening.seen is not None and not opening.seen.held
    trouble: Trouble | None = None
    opened = yield from _opened(app, opening)
    if isinstance(opened, Trouble) and rules is not None:
        trouble = opened
        match breaker.entry(
            trouble,
            rules,
            now=app.journal.now(),
            probing=probing,
            watched=app.watches(job),
        ):
            case breaker.Entry.HOLD:
                raise (yield from _held(app, job, opening, trouble, probing=probing))
            case breaker.Entry.WAIT:
                yield from _wait(app, job, opening, trouble, left)
                return None
            case breaker.Entry.GO:
                opened = yield from _opened(app, replace(opening, knows=trouble))
    if not isinstance(opened, Run):
        return None
    if (seen := opening.seen) is not None and seen.state is RunState.PARKED and not probing:
        app.tell(telling.woken(seen, opening.world))
    return (yield from _scope(app, job, opening, opened, trouble, probing=probing))


def _opened(app: App, opening: Opening) -> Way[Run | Trouble | None]:
    write = app.journal.open(opening)
    try:
        opened: Run | Trouble | None = yield from journaled(write)
    except BaseException:  # cancelled meanwhile: nobody is there to work
        write.unwanted(partial(_give_back, app.journal, opening.world))
        raise
    return opened


def _scope(
    app: App, job: Job, opening: Opening, run: Run, trouble: Trouble | None, *, probing: bool
) -> Way[RunScope]:
    try:
        calls = []
        if opening.seen is not None:
            calls = yield from journaled(Work(lambda: app.journal.calls(run.id)))
        return RunScope(
            app,
            app.journal,
            run,
            calls,
            world=opening.world,
            limits=job.limits,
            pays_drift=policy.pays_drift(opening.seen),
            trouble=trouble,
            probing=probing,
            budgets=app.budgets_of(job),
            tell=app.tell,
        )
    except BaseException:
        _give_back(app.journal, opening.world, run)
        raise


def _held(app: App, job: Job, opening: Opening, trouble: Trouble, *, probing: bool) -> Way[NotDone]:
    """Set a run aside, unless it is that already, in this world."""
    seen, journal = opening.seen, app.journal
    if seen is not None and seen.state is RunState.PARKED and seen.world == opening.world:
        held: Run | None = seen
    else:
        held = yield from journaled(journal.open(replace(opening, held_by=trouble.found)))
    if held is None:  # somebody moved it meanwhile
        return telling.wait(job.name, opening.key, trouble, after=_AGAIN)
    if trouble.found is not None and not probing:
        app.tell(telling.opened(job.name, trouble, trouble.found, opening.world))
    journal.note(held.id, current().delivery, "park").later()
    return telling.parked_still(held, hold=job.hold, now=journal.now())


def _wait(app: App, job: Job, opening: Opening, trouble: Trouble, left: float) -> Way[None]:
    """Others of the job are at work in a world that it is not proven in: see how they end."""
    if left > 0:
        yield Pause(min(_POLL, left))
        return
    if opening.seen is not None:
        app.journal.note(opening.seen.id, current().delivery, "retry").later()
    raise telling.wait(job.name, opening.key, trouble, after=_AGAIN)


def _give_back(journal: Journal, world: World, opened: Run | Trouble | None) -> None:
    """Close an attempt whose work did not begin."""
    if not isinstance(opened, Run) or opened.state is not RunState.RUNNING:
        return
    why = Diagnosis(Kind.TRANSIENT, "its work did not begin", "cancelled", "cancelled")
    closing = Closing(
        run_id=opened.id,
        attempt=opened.attempt,
        state=RunState.WAITING,
        outcome="retry",
        answer="retry",
        world=world,
        diagnosis=why,
        retry_at=journal.now(),
    )
    journal.close(closing).later()
