"""On the path, from its other end: runs are called again after the queue's message is gone."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from payonce import policy
from payonce.delivery import WAKE, receiving
from payonce.errors import Busy, Parked, PayonceError, RetryLater, RunNotFound
from payonce.job import Job
from payonce.journal.protocol import Journal, RunFilter
from payonce.lease import is_dead
from payonce.model import Call, CallState, Delivery, Run, RunState, World

ALL = 1_000_000_000
"""A limit for lists of runs that leaves none out."""

Outcome = Literal["done", "parked", "retry", "busy", "refused"]


class App(Protocol):
    """What waking needs of the app."""

    @property
    def journal(self) -> Journal:
        """The journal that its runs are kept in."""

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Its jobs, by name."""

    def world(self, job: Job) -> World:
        """The world as it is now."""

    def watches(self, job: Job) -> bool:
        """Whether a database is watched for this job, besides the journal's own."""

    def again(self, job: Job, arguments: bytes, loop: Any = None) -> Any:
        """Call a job with the arguments that the journal kept, as one delivery."""


@dataclass(frozen=True, slots=True)
class Woken:
    """How it went with one run that was called again.

    `run` is as it was before; `reason` why it is not done; `after` the seconds it has to wait;
    `paid` the calls that were paid meanwhile.
    """

    run: Run
    outcome: Outcome
    reason: str | None
    after: float | None
    paid: int


def wake(
    app: App,
    keys: Sequence[str] = (),
    *,
    job: str | None = None,
    cause: str | None = None,
    force: bool = False,
    overdue: bool = False,
    workers: int = 1,
) -> Iterator[Woken]:
    """Call again the app's runs that may go on; each is told of as soon as it has ended.

    Args:
        app: the app that the runs' jobs belong to.
        keys: run keys; by default all of the app's.
        job: the name of one job, where only its runs are meant.
        cause: the beginning of a failure's fingerprint, where only runs parked for it are meant.
        force: call parked runs again in an unchanged world too.
        overdue: call again, too, what only waits for a delivery that may never come: runs whose
            time to be tried again has passed, and those whose worker died. Runs that are named
            in `keys` are called again without asking for it.
        workers: how many runs are called at the same time, by threads.

    Raises:
        RunNotFound: a key names no run of the app, or no run is parked for this cause.
    """
    runs = wakeable(app, keys, job=job, cause=cause, force=force, overdue=overdue)
    yield from wake_each(app, runs, force=force, workers=workers)


def wake_each(
    app: App, runs: Sequence[Run], *, force: bool = False, workers: int = 1
) -> Iterator[Woken]:
    """Call these runs again, so many at a time."""
    if min(workers, len(runs)) <= 1:
        for run in runs:
            yield wake_one(app, run, force=force)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="payonce-wake") as threads:
        waiting = [threads.submit(wake_one, app, run, force=force) for run in runs]
        try:
            for ended in as_completed(waiting):
                yield ended.result()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def wakeable(
    app: App,
    keys: Sequence[str] = (),
    *,
    job: str | None = None,
    cause: str | None = None,
    force: bool = False,
    overdue: bool = False,
) -> list[Run]:
    """The runs that `wake` would call again, the oldest first; see there."""
    named = [run for key in dict.fromkeys(keys) for run in find_named(app.journal, key, job)]
    found = named if keys else list(unfinished(app.journal, job))
    if cause is not None:
        found = _parked_for(cause, found)
    worlds = {name: app.world(known) for name, known in app.jobs.items()}
    now = app.journal.now()
    return [
        run
        for run in sorted(found, key=lambda run: run.id)
        if run.job in worlds
        and _may_go(run, worlds[run.job], now, force=force, overdue=overdue or bool(keys))
    ]


def _parked_for(cause: str, runs: Sequence[Run]) -> list[Run]:
    parked = [run for run in runs if run.state is RunState.PARKED]
    found = [run for run in parked if cause and (run.fingerprint or "").startswith(cause)]
    if not found:
        known = sorted({run.fingerprint for run in parked if run.fingerprint})
        raise RunNotFound(
            f"no run is parked for the cause {cause!r}",
            f"The causes are: {', '.join(known)}." if known else "No run is parked.",
        )
    return found


def _may_go(run: Run, world: World, now: float, *, force: bool, overdue: bool) -> bool:
    if run.state is RunState.PARKED and force:
        return True
    door = policy.door(run, now=now, world=world, holder_is_dead=is_dead(run.lease_owner))
    woken_by_a_person = run.state is RunState.WAITING and run.retry_at is None
    return door in (policy.Door.GO_WOKEN, policy.Door.GO_AGAIN) or (
        door is policy.Door.GO and (overdue or woken_by_a_person)
    )


def wake_one(app: App, run: Run, *, force: bool = False) -> Woken:
    """Call one run again, and tell how it went; with `force`, whatever the world looks like."""
    job, journal = app.jobs[run.job], app.journal
    before = _paid(journal, run)
    if force and run.state is RunState.PARKED:
        journal.wake(run).now()
    outcome, reason, after = again(app, job, run, WAKE)
    return Woken(run, outcome, reason, after, _paid(journal, run) - before)


def again(
    app: App, job: Job, run: Run, queue: str, *, loop: Any = None
) -> tuple[Outcome, str | None, float | None]:
    """Call one run again as a delivery: how it went, why it is not done, seconds to wait."""
    try:
        with receiving(Delivery(queue=queue)):
            app.again(job, run.arguments, loop)
    except Parked as exc:
        return "parked", exc.reason, None
    except RetryLater as exc:
        return "retry", exc.reason, exc.after
    except Busy as exc:
        return "busy", exc.what, exc.after
    except (PayonceError, TypeError, ValueError) as exc:  # what was kept no longer fits the job
        return "refused", str(exc), None
    return "done", None, None


def _paid(journal: Journal, run: Run) -> int:
    return len(billed(journal.calls(run.id)))


def billed(calls: Sequence[Call]) -> list[Call]:
    """The paid calls of a run, each once.

    A step that only made captured calls, and has no cost of its own, was not billed besides them.
    """
    parents = {call.parent_id for call in calls}
    return [
        call
        for call in calls
        if call.state is CallState.PAID and (call.id not in parents or call.cost_nanos is not None)
    ]


def unfinished(journal: Journal, job: str | None = None) -> Iterator[Run]:
    """All runs that are not done."""
    for state in (RunState.PARKED, RunState.WAITING, RunState.RUNNING):
        for summary in journal.runs(RunFilter(state=state, job=job, limit=ALL)):
            yield summary.run


def find_named(journal: Journal, key: str, job: str | None = None) -> list[Run]:
    """The runs of this key, one per job that has it.

    Raises:
        RunNotFound: there is none.
    """
    found = [summary.run for summary in journal.runs(RunFilter(key=key, job=job, limit=ALL))]
    if not found:
        raise _not_found(journal, key, job)
    return found


def _not_found(journal: Journal, key: str, job: str | None) -> RunNotFound:
    known = (summary.run.key for summary in journal.runs(RunFilter(job=job, limit=10_000)))
    near = _nearest(key, known)
    of_job = f" of {job}" if job is not None else ""
    todo = f"Did you mean: {', '.join(near)}?" if near else "List what is there: payonce runs."
    return RunNotFound(f"no run{of_job} has the key {key!r}", todo)


def _nearest(key: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(key, sorted(set(known)), n=3)
