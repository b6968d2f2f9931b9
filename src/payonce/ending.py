"""On the path, at its end: an attempt finishes its run, or gives it up."""

from __future__ import annotations

import logging
import random
import sys
import traceback
from dataclasses import replace
from typing import Any

from payonce import breaker, policy, telling, values
from payonce.admit import Finished, finished
from payonce.drifting import leftovers
from payonce.effects import Invoke, Way, Work, journaled
from payonce.entering import App
from payonce.errors import Busy, NoJournal, NotDone, Paid, Parked, RetryLater, Stop
from payonce.failure import classify
from payonce.job import Arguments, Job
from payonce.journal.protocol import Closing
from payonce.model import CallState, Diagnosis, RunState, Verdict, WakesOn, World
from payonce.ready import NotBegun
from payonce.redact import redact
from payonce.rejecting import blame
from payonce.scope import RunScope

_log = logging.getLogger("payonce")
_MOST = 8_000


def refuse_hopeless(scope: RunScope) -> None:
    """End an attempt that was opened only to find that there were too many before it."""
    if (found := policy.hopeless(scope.run, scope.limits)) is not None:
        raise NotBegun(found)


def drain(scope: RunScope) -> Way[None]:
    """Read the streams that were left open to their end: they are paid for."""
    for rest in list(scope.unfinished.values()):
        yield Invoke(rest)


def _drain_quietly(scope: RunScope) -> Way[None]:
    try:
        yield from drain(scope)
    except Exception:
        _log.warning("a stream that was left open could not be read to its end", exc_info=True)


def finish(app: App, scope: RunScope, job: Job, value: Any) -> Way[None]:
    """Record the result and close the run, durably.

    Raises:
        LeaseLost: another attempt holds the run now.
        NoJournal: the journal can't be written.
    """
    result = values.encode(value, job.returns, name=f"the result of {job.name}")
    closing = Closing(
        run_id=scope.run_id,
        attempt=scope.attempt,
        state=RunState.DONE,
        outcome="done",
        answer="done",
        world=scope.world,
        result=result,
        drifts=leftovers(scope, finished=True),
    )
    if not (yield from journaled(scope.journal.close(closing))):
        raise scope.lost()
    for doubt in telling.doubts(scope):
        app.tell(doubt)
    if (closed := telling.closed(scope)) is not None:
        app.tell(closed)


def give_up(
    app: App, scope: RunScope, job: Job, arguments: Arguments, failure: BaseException
) -> Way[BaseException | Finished]:
    """Classify what went wrong, decide, close the run; what is to be raised is returned.

    What only ends the process or the task (`CancelledError`, `KeyboardInterrupt`) goes on as it
    is. A run that was completed inside the user's own transaction stays finished.
    """
    stop = scope.stopped or (failure if isinstance(failure, Stop) else None)
    found = _diagnose(app, scope, arguments, failure, stop)
    verdict = _verdict(scope, job, found, scope.world)
    if _is_cancellation(failure):
        scope.journal.close(_closing(scope, verdict, found, failure)).later()
        return failure
    yield from _drain_quietly(scope)
    found, asks_again = yield from _blame(scope, arguments, found, failure)
    verdict = _verdict(scope, job, found, scope.world, asks_again)
    if verdict.word == "park":
        verdict = _verdict(scope, job, found, (yield Work(lambda: app.world(job))))
    if verdict.word == "park":
        found = policy.settled(found, scope.run, scope.world)
    probe_in = yield from _probe_in(app, scope, job, found, verdict)
    try:
        closing = _closing(scope, verdict, found, failure, probe_in)
        kept = yield from journaled(scope.journal.close(closing))
    except NoJournal as exc:
        return _told(scope, telling.of_stop(exc), Verdict("retry", after=scope.limits.backoff))
    if _ends_the_process(failure, stop):
        return failure
    if not kept:
        return (yield from _overtaken(scope, job))
    told = _told(scope, found, verdict, probe_in)
    for doubt in telling.doubts(scope):
        app.tell(doubt)
    if isinstance(told, Parked):
        app.tell(telling.notice(scope, found, told))
    return told


def _blame(
    scope: RunScope, arguments: Arguments, found: Diagnosis, failure: BaseException
) -> Way[tuple[Diagnosis, bool]]:
    """Find the paid answer to blame; a failure is told even where that fails."""
    try:
        return (yield from blame(scope, arguments.by_name, found, failure))
    except Exception:
        _log.warning("the answer to blame could not be rejected", exc_info=True)
        return found, False


def _verdict(
    scope: RunScope, job: Job, found: Diagnosis, now: World, asks_again: bool = False
) -> Verdict:
    """What the queue is told; `now` may differ from the world that the attempt began in."""
    return policy.after_failure(
        found,
        scope.run,
        scope.world,
        scope.limits,
        hold=job.hold,
        chance=random.random(),
        now=now,
        asks_again=asks_again,
        probing=scope.probing,
    )


def _probe_in(
    app: App, scope: RunScope, job: Job, found: Diagnosis, verdict: Verdict
) -> Way[float | None]:
    """Seconds until a run that parks is tried again in the same world, if it is."""
    if WakesOn.BUDGET in found.wakes_on:
        return found.after
    watched = app.watches(job)
    if verdict.word != "park" or not breaker.is_blind(found, watched=watched):
        return None
    try:
        history = yield from journaled(Work(lambda: scope.journal.history(scope.run_id)))
    except NoJournal:
        return None
    return breaker.probe_after(
        found,
        history.attempts,
        scope.limits.breaker,
        watched=watched,
        probing=scope.probing,
        paid=any(call.attempt == scope.attempt for call in scope.all_known()),
    )


def _ends_the_process(failure: BaseException, stop: Stop | None) -> bool:
    if isinstance(failure, KeyboardInterrupt | SystemExit):
        return True
    return stop is None and not isinstance(failure, Exception | BaseExceptionGroup)


def _is_cancellation(failure: BaseException) -> bool:
    """Whether the task is being cancelled: then nothing may be waited for."""
    asyncio = sys.modules.get("asyncio")
    cancelled = asyncio is not None and isinstance(failure, asyncio.CancelledError)
    return cancelled or isinstance(failure, GeneratorExit)


def _overtaken(scope: RunScope, job: Job) -> Way[Busy | RetryLater | Finished]:
    """The run is no longer this attempt's: another one works on it, it is finished, or gone."""
    now_is = yield from journaled(Work(lambda: scope.journal.find(scope.run.job, scope.run.key)))
    if now_is is None:
        lost = NoJournal("the run is not in it any more")
        return telling.no_journal(scope.run.job, scope.run.key, lost)
    if now_is.state is RunState.DONE:
        if now_is.attempt == scope.attempt:
            _log.warning("run %r was completed; what failed after that is ignored", scope.run.key)
        return finished(job, now_is)
    return telling.busy(now_is, scope.journal.now())


def _diagnose(
    app: App, scope: RunScope, arguments: Arguments, failure: BaseException, stop: Stop | None
) -> Diagnosis:
    if stop is not None:
        return telling.of_stop(stop)
    if isinstance(failure, NotBegun):
        return failure.found
    if isinstance(failure, NotDone):
        return telling.of_inner(failure)
    known = [text for value in arguments.by_name.values() if (text := _text(value))]
    return classify(failure, app.failures, known=known, now=scope.journal.now())


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # it may need what is gone by now, such as its session
        return ""


def _closing(
    scope: RunScope,
    verdict: Verdict,
    found: Diagnosis,
    failure: BaseException,
    probe_in: float | None = None,
) -> Closing:
    after = probe_in if verdict.word == "park" else verdict.after or 0.0
    parks = verdict.word == "park"
    trace = "".join(traceback.format_exception(failure))
    scope.seen.diagnosed(found)
    return Closing(
        run_id=scope.run_id,
        attempt=scope.attempt,
        state=RunState.PARKED if parks else RunState.WAITING,
        outcome="parked" if parks else "retry",
        answer=verdict.word,
        world=scope.world,
        diagnosis=found,
        error=redact(trace[-4 * _MOST :])[-_MOST:],
        at_step=scope.at_step,
        retry_at=None if after is None else scope.journal.now() + after,
        drifts=leftovers(scope, finished=False),
    )


def _told(
    scope: RunScope, found: Diagnosis, verdict: Verdict, probe_in: float | None = None
) -> Parked | RetryLater:
    paid = _paid(scope)
    if verdict.word == "park":
        own = replace(scope.run, held=False)
        return telling.parked(own, found, paid=paid, hold=verdict.hold, probe_in=probe_in)
    return telling.retry(scope.run, found.reason, verdict.after or 0.0, paid=paid)


def _paid(scope: RunScope) -> Paid:
    states = {call.state for call in scope.all_known()}
    if CallState.IN_DOUBT in states or CallState.INTENDED in states:
        return "unknown"
    return "yes" if CallState.PAID in states else "no"
