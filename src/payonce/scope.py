"""On the path, inside an attempt: what the steps of one attempt share.

The scope travels in a context variable, so that any code that the job calls finds its run. It
has the run's calls from one read of the journal, hands out occurrences, and remembers why the
attempt has to stop, should user code swallow that.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from heapq import heappop, heappush
from typing import Any

from payonce.errors import LeaseLost, Stop
from payonce.journal.ledger import NOTHING_TOLD
from payonce.journal.protocol import Journal
from payonce.model import Call, CallState, Run, Trouble, World
from payonce.money import Budget
from payonce.notices import Notice
from payonce.observing import UNSEEN, Seen
from payonce.policy import Limits
from payonce.unused import Unused

_scope: ContextVar[RunScope | None] = ContextVar("payonce_run", default=None)
_parent: ContextVar[int | None] = ContextVar("payonce_step", default=None)


class RunScope:
    """One attempt at work on a run; safe to use from many threads and tasks."""

    def __init__(
        self,
        app: object,
        journal: Journal,
        run: Run,
        calls: Sequence[Call],
        *,
        world: World,
        limits: Limits,
        pays_drift: bool = False,
        trouble: Trouble | None = None,
        probing: bool = False,
        budgets: Sequence[Budget] = (),
        tell: Callable[[Notice], None] = lambda notice: None,
    ) -> None:
        self.app, self.journal, self.run, self.world = app, journal, run, world
        self.limits, self.lease = limits, limits.lease
        self.run_id, self.attempt = run.id, run.attempt
        self.stopped: Stop | None = None
        self.completed = self.left = False
        self.warned_of_processes = False
        self.outer: RunScope | None = None
        self.seen: Seen = UNSEEN
        self.at_step: str | None = None
        self.parents = {call.parent_id for call in calls if call.parent_id is not None}
        self._above = {call.id: call.parent_id for call in calls}
        self._holding: set[int] = set()
        self._replayed_inside: dict[int, str] = {}
        self._replaying: set[int] = set()
        self.unused = Unused(calls, run.attempt)
        self.pays_drift = pays_drift
        self.trouble, self.probing = trouble, probing
        self.budgets, self.told, self.tell = tuple(budgets), NOTHING_TOLD, tell
        self.unfinished: dict[int, Callable[[], Any]] = {}
        self._calls: dict[tuple[str, int], list[Call]] = defaultdict(list)
        for call in calls:
            self._calls[call.step_key, call.occurrence].append(call)
        self._next: dict[str, int] = defaultdict(int)
        self._given_back: dict[str, list[int]] = defaultdict(list)
        self._answers: list[tuple[Any, Call]] = []
        self._resamples: dict[int, int] = {}
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise what this attempt was told to stop for, if it was."""
        if self.stopped is not None:
            raise self.stopped

    def stop(self, why: Stop) -> Stop:
        """Remember the first reason to stop, and hand back this one to be raised."""
        if self.stopped is None:
            self.stopped = why
        return why

    def lose(self) -> None:
        """The lease is lost; or there is none any more, because the run was completed."""
        if not self.completed:
            self.stop(self.lost())

    def lost(self) -> LeaseLost:
        """The error that tells so."""
        return LeaseLost(self.run.key, self.attempt)

    def take(self, step_key: str) -> int:
        """The first occurrence of a step that this attempt has not used yet."""
        with self._lock:
            if given_back := self._given_back[step_key]:
                return heappop(given_back)
            occurrence = self._next[step_key]
            self._next[step_key] += 1
            return occurrence

    def free(self, step_key: str, occurrence: int) -> None:
        """Give an occurrence back: its call failed, or its answer was rejected."""
        with self._lock:
            given_back = self._given_back[step_key]
            if occurrence < self._next[step_key] and occurrence not in given_back:
                heappush(given_back, occurrence)

    def known(self, step_key: str, occurrence: int) -> list[Call]:
        """The calls of one step so far, in the order of their sends."""
        with self._lock:
            calls = self._calls.get((step_key, occurrence), ())
            return sorted(calls, key=lambda call: call.send)

    def record(self, call: Call) -> None:
        """Keep a call as it now is, in place of what was known of it."""
        with self._lock:
            calls = self._calls[call.step_key, call.occurrence]
            calls[:] = [c for c in calls if c.id != call.id] + [call]
            self._above[call.id] = call.parent_id
            if call.parent_id is not None:
                self.parents.add(call.parent_id)

    def holds(self, call_id: int) -> None:
        """Remember that a call is held against budgets."""
        self._holding.add(call_id)

    def let_go(self, call_id: int | None) -> list[int]:
        """The calls that this one is made inside of, itself included, whose holds end by that."""
        found = []
        with self._lock:
            while call_id is not None:
                if call_id in self._holding:
                    self._holding.discard(call_id)
                    found.append(call_id)
                call_id = self._above.get(call_id)
        return found

    def replays(self, call: Call, inside: int | None) -> list[int]:
        """Remember that a receipt was handed out inside of another call; whose holds end by that.

        If the receipt was charged for, the calls that it was handed out inside of cost no more.
        """
        if inside is None:
            return []
        billed, outer = self._billed(call), inside
        with self._lock:
            while inside is not None:
                self._replaying.add(inside)
                if billed is not None:
                    self._replayed_inside.setdefault(inside, billed.currency)
                inside = self._above.get(inside)
        return [] if billed is None else self.let_go(outer)

    def only_replays(self, call_id: int) -> bool:
        """Whether receipts were handed out inside of this call, and nothing was called anew."""
        return call_id in self._replaying and call_id not in self.parents

    def replayed_inside(self, call_id: int) -> str | None:
        """The currency of a receipt that was handed out inside of this call; None: none was."""
        return self._replayed_inside.get(call_id)

    def _billed(self, call: Call) -> Call | None:
        """The call itself if it is paid for, or else one inside of it."""
        if call.source == "capture" or call.cost_nanos is not None:
            return call
        return self.billed_inside(call.id) if call.id in self.parents else None

    def billed_inside(self, call_id: int) -> Call | None:
        """A call that was made inside of this one and is paid for itself, if any was.

        One that was refused or is in doubt is not: whoever made it may have paid for another way.
        """
        inside, calls = {call_id}, sorted(self.all_known(), key=lambda call: call.id)
        for call in calls:  # whoever is inside of another came later
            if call.parent_id in inside:
                unpaid = call.state in (CallState.RELEASED, CallState.IN_DOUBT)
                if (call.source == "capture" and not unpaid) or call.cost_nanos is not None:
                    return call
                inside.add(call.id)
        return None

    def answered(self, value: Any, call: Call, resamples: int = 2) -> None:
        """Remember which call a value came from, so that it can be rejected, and how often."""
        with self._lock:
            self._answers.append((value, call))
            self._resamples[call.id] = resamples

    def resamples(self, call: Call) -> int:
        """How often a step may be asked again whose answer was rejected."""
        return self._resamples.get(call.id, 2)

    def call_of(self, matches: Callable[[Any, Call], bool]) -> Call | None:
        """The last call whose answer matches."""
        with self._lock:
            found = (call for value, call in reversed(self._answers) if matches(value, call))
            return next(found, None)

    def all_known(self) -> list[Call]:
        """Every call of the run that this attempt knows of."""
        with self._lock:
            return [call for calls in self._calls.values() for call in calls]


@contextmanager
def entered(scope: RunScope) -> Iterator[RunScope]:
    """Let all that is called inside find the scope."""
    scope.outer = _scope.get()
    token, outside = _scope.set(scope), _parent.set(None)
    try:
        yield scope
    finally:
        _parent.reset(outside)
        _scope.reset(token)


class within:
    """Let the calls made inside know that they belong to a step's call."""

    __slots__ = ("_call_id", "_token")

    def __init__(self, call_id: int) -> None:
        self._call_id = call_id

    def __enter__(self) -> None:
        self._token = _parent.set(self._call_id)

    def __exit__(self, *_: object) -> None:
        _parent.reset(self._token)


def current() -> RunScope | None:
    """The run that the calling code works for, if any."""
    return _scope.get()


def leave() -> None:
    """Belong to no run any more: a forked process is not the attempt's, and ends none."""
    scope = _scope.get()
    while scope is not None:
        scope.left, scope = True, scope.outer
    _scope.set(None)
    _parent.set(None)


def is_inside(app: object, run: Run) -> bool:
    """Whether the calling code works for this run's attempt, at whatever depth."""
    scope = _scope.get()
    while scope is not None:
        if scope.app is app and (scope.run_id, scope.attempt) == (run.id, run.attempt):
            return True
        scope = scope.outer
    return False


def parent() -> int | None:
    """The call of the step that the calling code runs in, if any."""
    return _parent.get()
