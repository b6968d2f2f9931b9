"""On the path, at its end: how the end of an attempt is told to the caller and to the queue."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from payonce import budget
from payonce.errors import (
    BudgetReached,
    Busy,
    Drifted,
    InDoubt,
    KeyReused,
    LeaseLost,
    NoJournal,
    NotDone,
    Paid,
    Parked,
    PriceUnknown,
    RetryLater,
    Stop,
)
from payonce.model import CallState, Diagnosis, Kind, Run, Trouble, Verdict, WakesOn, World
from payonce.money import Budget
from payonce.notices import BreakerClosed, BreakerOpened, CallInDoubt, RunParked, RunWoken
from payonce.redact import redact

if TYPE_CHECKING:
    from payonce.scope import RunScope

_JOURNAL_AGAIN = 5.0
_WAKES = {
    WakesOn.SCHEMA: "the schema of a watched database changes",
    WakesOn.CODE: "a new version of the code is deployed",
    WakesOn.INPUT: "the input is corrected",
    WakesOn.CONFIG: "the configuration is corrected",
    WakesOn.CREDENTIALS: "the credentials are corrected",
    WakesOn.ACCOUNT: "the provider's account is in order again",
    WakesOn.BUDGET: "the budget is raised or lifted",
}

_MENDS: dict[type[Stop], tuple[WakesOn, ...]] = {
    Drifted: (WakesOn.CODE,),
    PriceUnknown: (WakesOn.CODE, WakesOn.BUDGET),
}


def parked(
    run: Run, found: Diagnosis, *, paid: Paid, hold: bool, probe_in: float | None = None
) -> Parked:
    """A run that is set aside; `probe_in` seconds until it is tried again in the same world."""
    return Parked(
        held(run) if run.held else found.reason,
        job=run.job,
        run_key=run.key,
        kind=found.kind.value,
        fingerprint=found.fingerprint,
        paid=paid,
        hold=hold,
        todo=_todo(run, found, probe_in),
    )


def parked_still(run: Run, *, hold: bool, now: float) -> Parked:
    """A run that was set aside before, in a world that has not changed since."""
    found = Diagnosis(
        kind=run.kind or Kind.UNKNOWN,
        reason=run.reason or "",
        evidence=run.evidence or "",
        fingerprint=run.fingerprint or "",
        wakes_on=run.wakes_on,
    )
    probe_in = None if run.retry_at is None else max(0.0, run.retry_at - now)
    return parked(run, found, paid="no", hold=hold, probe_in=probe_in)


def held(run: Run) -> str:
    """Why a run that has not failed itself is set aside."""
    return f"it is held at the door: other runs of this job have failed here: {run.reason}"


def wait(job: str, run_key: str, trouble: Trouble, *, after: float) -> RetryLater:
    """A run that has to see first how others of its job end."""
    why = f"{trouble.in_flight} runs of this job are at work and none was done in this world yet"
    if trouble.found is not None:
        why += f"; {trouble.failed} failed: {trouble.found.reason}"
    return RetryLater(
        why,
        job=job,
        run_key=run_key,
        paid="no",
        after=after,
        todo="Deliver it again. How many may begin at once: breaker= in @app.job.",
    )


def notice(scope: RunScope, found: Diagnosis, told: Parked) -> RunParked:
    """The same for hooks."""
    return RunParked(
        job=told.job,
        run_key=told.run_key,
        tenant=scope.run.tenant,
        reason=redact(found.reason),
        kind=told.kind,
        evidence=found.evidence,
        fingerprint=told.fingerprint,
        world=scope.world,
        paid=told.paid,
        todo=told.todo,
    )


def woken(run: Run, world: World) -> RunWoken:
    """A parked run that goes on, for hooks."""
    return RunWoken(
        run.job, run.key, run.tenant, redact(run.reason or ""), run.fingerprint or "", world
    )


def opened(job: str, trouble: Trouble, found: Diagnosis, world: World) -> BreakerOpened:
    """A job whose new runs are held, for hooks."""
    return BreakerOpened(job, trouble.failed, redact(found.reason), found.fingerprint, world)


def closed(scope: RunScope) -> BreakerClosed | None:
    """A job whose runs are held no more, now that this one is done; None where none were."""
    breaker, trouble = scope.limits.breaker, scope.trouble
    if breaker is None or trouble is None or trouble.found is None:
        return None
    if trouble.failed < breaker.runs:
        return None
    found = trouble.found
    return BreakerClosed(
        scope.run.job, scope.run.key, redact(found.reason), found.fingerprint, scope.world
    )


def doubts(scope: RunScope) -> Iterator[CallInDoubt]:
    """The calls that this attempt leaves in doubt, or that the one before it has left."""
    run = scope.run
    for call in scope.all_known():
        recent = call.attempt >= scope.attempt - 1
        if call.state is CallState.IN_DOUBT and call.resolution is None and recent:
            why = redact(call.reason or "no answer was recorded")
            yield CallInDoubt(run.job, run.key, run.tenant, call.id, call.name, why)


def retry(run: Run, reason: str, after: float, *, paid: Paid) -> RetryLater:
    """A run that goes on after a while."""
    return RetryLater(
        reason,
        job=run.job,
        run_key=run.key,
        paid=paid,
        after=after,
        todo="Deliver it again: every receipt is replayed.",
    )


def busy(run: Run, now: float) -> Busy:
    """A run that another attempt works on."""
    left = max(1.0, (run.lease_until or now) - now)
    return Busy(job=run.job, run_key=run.key, owner=run.lease_owner or "another", after=left)


def no_journal(job: str, run_key: str, stop: NoJournal) -> RetryLater:
    """A delivery that could not even look at its run."""
    return RetryLater(
        stop.what, job=job, run_key=run_key, paid="no", after=_JOURNAL_AGAIN, todo=stop.todo
    )


def of_inner(told: NotDone) -> Diagnosis:
    """A job that was called inside of this one, and did not end."""
    return Diagnosis(
        kind=Kind.DETERMINISTIC if isinstance(told, Parked) else Kind.TRANSIENT,
        reason=told.what,
        evidence=type(told).__name__,
        fingerprint=f"{type(told).__name__}:{told.job}:{told.run_key}",
        wakes_on=(WakesOn.SCHEMA, WakesOn.CODE) if isinstance(told, Parked) else (),
        after=told.after if isinstance(told, RetryLater | Busy) else None,
    )


def of_stop(stop: Stop) -> Diagnosis:
    """A stop from the inside, as a diagnosis: only time or the next attempt mend some of them."""
    if isinstance(stop, BudgetReached):
        return _of_budget(stop)
    passing = isinstance(stop, NoJournal | LeaseLost) or (
        isinstance(stop, InDoubt) and stop.repeatable
    )
    return Diagnosis(
        kind=Kind.TRANSIENT if passing else Kind.DETERMINISTIC,
        reason=f"{stop.what}. {stop.todo.removesuffix('.')}",
        evidence=type(stop).__name__,
        fingerprint=f"{type(stop).__name__}:{stop.what}",
        wakes_on=_MENDS.get(type(stop), ()),
    )


def _of_budget(stop: BudgetReached) -> Diagnosis:
    balance = stop.balance
    return Diagnosis(
        kind=Kind.THROTTLED if stop.waits else Kind.DETERMINISTIC,
        reason=f"{stop.what}. {stop.todo.removesuffix('.')}",
        evidence=type(stop).__name__,
        fingerprint=budget.fingerprint(
            Budget(balance.scope, stop.rule, balance.per, None, balance.currency)
        ),
        wakes_on=(WakesOn.BUDGET,),
        after=stop.again,
    )


def verdict_of(told: NotDone | KeyReused) -> Verdict:
    """What the queue hears."""
    match told:
        case RetryLater():
            return Verdict("retry", after=told.after)
        case Busy():
            return Verdict("busy", after=told.after)
        case Parked():
            return Verdict("park", hold=told.hold)
        case _:
            return Verdict("park")


def _todo(run: Run, found: Diagnosis, probe_in: float | None) -> str:
    when = " or ".join(_wakes(word, found) for word in found.wakes_on)
    key = shlex.quote(run.key)
    if not when and not run.held:
        tried = "" if probe_in is None else f"It is tried again {_from(probe_in)}. "
        return f"{tried}See payonce show {key}; then: payonce wake MODULE:APP {key} --force."
    when = when or "the world changes"
    probed = "" if probe_in is None else f" {_probed(found, probe_in)}"
    return (
        f"It goes on by itself, under the same key, when {when}; "
        f"or: payonce wake MODULE:APP {key}.{probed}"
    )


def _wakes(word: WakesOn, found: Diagnosis) -> str:
    rule = budget.of_fingerprint(found.fingerprint)
    if word is WakesOn.BUDGET and rule is not None and rule.per != "total":
        return f"{_WAKES[word]}, or its period is over"
    return _WAKES[word]


def _probed(found: Diagnosis, probe_in: float) -> str:
    if WakesOn.BUDGET in found.wakes_on:
        return f"At a delivery or a look from {_time(probe_in)} on, too: what was paid is replayed."
    why = "That can't be seen from here"
    if WakesOn.SCHEMA in found.wakes_on:
        why = "No database is watched besides the journal's own (see app.watch)"
    return f"{why}, so it is tried again, too, {_from(probe_in)}."


def _from(probe_in: float) -> str:
    return f"at a delivery or a look from {_time(probe_in)} on: what was paid for is replayed"


def _time(seconds: float) -> str:
    if seconds < 1:
        return "now"
    for unit, size, least in (("d", 86_400, 172_800), ("h", 3_600, 7_200), ("min", 60, 90)):
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
