"""On the path, around it: a delivery and its attempt under an observer's eyes.

A delivery is seen from its door to its verdict, an attempt while it works, each call from its
intent to its receipt.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from payonce.delivery import DeliveryScope, current
from payonce.effects import Way
from payonce.errors import BudgetReached, KeyReused, NotDone, Parked, Stop
from payonce.job import Arguments, Job
from payonce.journal.fields import LOST, OUTLIVED
from payonce.model import Call, CallState, Diagnosis
from payonce.observing import NOTHING, Observer, Seen, Watch, begin, end, inside, note
from payonce.policy import ANSWERED
from payonce.redact import redact
from payonce.scope import RunScope
from payonce.scope import current as inner
from payonce.sights import AttemptSeen, CallEnded, CallSeen, DeliverySeen, Outcome, Whose, Word
from payonce.telling import verdict_of

_STATUS = re.compile(rf"(?:HTTP|{ANSWERED}) (\d{{3}})\b")
_IN_ANSWER = "error_in_answer"
"""The error of an answer that holds one although its status says that all is well."""


class _Observed(Seen):
    """What one observer sees of one attempt."""

    def __init__(self, observer: Observer, scope: RunScope) -> None:
        self._observer, self._scope = observer, scope
        run = scope.run
        self._whose = _whose(run.job, run.key, run.tenant, scope.attempt)
        self._watches: dict[int, Watch] = {}
        self._found: set[int] = set()
        self._diagnosis: Diagnosis | None = None

    def begin(self) -> Watch | None:
        """The attempt itself."""
        return begin(self._observer, AttemptSeen(self._whose, self._scope.world.code))

    def look_back(self) -> None:
        """What the attempt before it has left in doubt, without having told."""
        for call in self._scope.all_known():
            lost = call.state is CallState.IN_DOUBT and call.reason in (LOST, OUTLIVED)
            if lost and call.attempt == self._scope.attempt - 1:
                self._note(call, "lost")

    def begun(self, call: Call) -> None:
        if call.state is CallState.INTENDED:
            if (watch := begin(self._observer, CallSeen(self._whose, call))) is not None:
                self._watches[call.id] = watch
        elif call.id not in self._found:
            self._note(call, "replayed")

    def inside(self, call: Call) -> AbstractContextManager[object]:
        watch = self._watches.get(call.id)
        return NOTHING if watch is None else inside(watch)

    def ended(self, call: Call) -> None:
        watch = self._watches.pop(call.id, None)
        if watch is not None:
            end(watch, CallEnded(call, _error(call), self._encloses(call)))
        elif call.state is CallState.PAID and call.attempt != self._scope.attempt:
            self._found.add(call.id)
            self._note(call, "found")

    def rejected(self, call: Call) -> None:
        self._note(call, "rejected")

    def diagnosed(self, found: Diagnosis) -> None:
        self._diagnosis = found

    def outcome(self, raised: BaseException | None) -> Outcome:
        """How the attempt ends."""
        stop, found = self._scope.stopped, self._diagnosis
        return _outcome(raised, found, stop or (raised if isinstance(raised, Stop) else None))

    def _note(self, call: Call, word: Word) -> None:
        note(self._observer, CallSeen(self._whose, call, self._encloses(call)), word)

    def _encloses(self, call: Call) -> bool:
        return call.source == "step" and call.id in self._scope.parents


@contextmanager
def observed(observer: Observer | None, scope: RunScope) -> Iterator[None]:
    """Let an attempt be observed, if anybody does."""
    if observer is None:
        yield
        return
    seen = scope.seen = _Observed(observer, scope)
    watch = seen.begin()
    with NOTHING if watch is None else inside(watch):
        seen.look_back()
        try:
            yield
        except BaseException as raised:
            end(watch, seen.outcome(raised))
            raise
        end(watch, seen.outcome(None))


def delivering(observer: Observer, job: Job, arguments: Arguments, way: Way[Any]) -> Way[Any]:
    """The way of a delivery, observed."""
    watch = _delivery(observer, job, arguments)
    with NOTHING if watch is None else inside(watch):
        try:
            value = yield from way
        except BaseException as raised:
            end(watch, _outcome(raised, None, None))
            raise
        end(watch, Outcome("done"))
        return value


def _delivery(observer: Observer, job: Job, arguments: Arguments) -> Watch | None:
    try:
        key = job.key.fill(arguments.by_name)
        tenant = job.tenant.fill(arguments.by_name) if job.tenant else None
    except Exception:  # the delivery itself will tell
        return None
    nested = inner() is not None
    heard = DeliveryScope(current().delivery) if nested else current()
    whose = _whose(job.name, key, tenant, None)
    return begin(observer, DeliverySeen(whose, heard.delivery, heard.carrier, nested))


def _whose(job: str, key: str, tenant: str | None, attempt: int | None) -> Whose:
    return Whose(job, redact(key), tenant and redact(tenant), attempt)


def _outcome(raised: BaseException | None, found: Diagnosis | None, stop: Stop | None) -> Outcome:
    stopped = Outcome("done")
    if stop is not None:
        stopped = replace(stopped, stop=type(stop).__name__)
    if isinstance(stop, BudgetReached):
        stopped = replace(stopped, budget=f"{stop.balance.scope} {stop.balance.per}")
    if raised is None:
        return stopped
    told = raised if isinstance(raised, NotDone | KeyReused) else None
    cause = raised.__cause__ if isinstance(raised, NotDone) else raised
    parked = raised if isinstance(raised, Parked) else None
    return replace(
        stopped,
        verdict=None if told is None else verdict_of(told).word,
        kind=found.kind.value if found else parked.kind if parked else None,
        evidence=redact(found.evidence) if found else None,
        fingerprint=found.fingerprint if found else parked.fingerprint if parked else None,
        error=None if cause is None else type(cause).__qualname__,
    )


def _error(call: Call) -> str | None:
    """What became of a call that has no receipt, as a status or the class of what was raised."""
    if call.state is CallState.PAID:
        return None
    if (status := _STATUS.match(call.reason or "")) is not None:
        return _IN_ANSWER if status[1].startswith("2") else status[1]
    raised = sys.exception()
    return "_OTHER" if raised is None else type(raised).__qualname__
