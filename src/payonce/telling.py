"""On the path, at its end: how the end of an attempt is told to the caller and to the queue."""

from __future__ import annotations

import shlex

from payonce.errors import (
    Busy,
    Drifted,
    InDoubt,
    KeyReused,
    LeaseLost,
    NoJournal,
    NotDone,
    Paid,
    Parked,
    RetryLater,
    Stop,
)
from payonce.model import Diagnosis, Kind, Run, Verdict, WakesOn

_JOURNAL_AGAIN = 5.0
_WAKES = {
    WakesOn.SCHEMA: "the schema of a watched database changes",
    WakesOn.CODE: "a new version of the code is deployed",
    WakesOn.INPUT: "the input is corrected",
    WakesOn.CONFIG: "the configuration is corrected",
    WakesOn.CREDENTIALS: "the credentials are corrected",
    WakesOn.ACCOUNT: "the provider's account is in order again",
}


def parked(run: Run, found: Diagnosis, *, paid: Paid, hold: bool) -> Parked:
    """A run that is set aside."""
    return Parked(
        found.reason,
        job=run.job,
        run_key=run.key,
        kind=found.kind.value,
        fingerprint=found.fingerprint,
        paid=paid,
        hold=hold,
        todo=_todo(run, found),
    )


def parked_still(run: Run, *, hold: bool) -> Parked:
    """A run that was set aside before, in a world that has not changed since."""
    found = Diagnosis(
        kind=run.kind or Kind.UNKNOWN,
        reason=run.reason or "",
        evidence=run.evidence or "",
        fingerprint=run.fingerprint or "",
        wakes_on=run.wakes_on,
    )
    return parked(run, found, paid="no", hold=hold)


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
    passing = isinstance(stop, NoJournal | LeaseLost) or (
        isinstance(stop, InDoubt) and stop.repeatable
    )
    return Diagnosis(
        kind=Kind.TRANSIENT if passing else Kind.DETERMINISTIC,
        reason=f"{stop.what}. {stop.todo}",
        evidence=type(stop).__name__,
        fingerprint=f"{type(stop).__name__}:{stop.what}",
        wakes_on=(WakesOn.CODE,) if isinstance(stop, Drifted) else (),
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


def _todo(run: Run, found: Diagnosis) -> str:
    when = " or ".join(_WAKES[word] for word in found.wakes_on)
    key = shlex.quote(run.key)
    if when:
        return (
            f"It goes on by itself, under the same key, when {when}; "
            f"or: payonce wake MODULE:APP {key}."
        )
    return f"See payonce show {key}; then: payonce wake MODULE:APP {key} --force."
