"""Deliveries that can be halted anywhere: each in a thread, which plays a process of its own.

A process has an app with a journal of its own on the common store, and a name as a holder of
leases. A delivery that is halted for good is a dead process; one that goes on after others have
taken over is one that was only slow. What no process can do to another, a thread can't either:
halts are outside of transactions, and a death inside of one rolls it back.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

from payonce import Payonce
from payonce.errors import NotDone
from payonce.journal.writer import Write
from payonce.model import Run
from payonce.money import Money

VERBS = {"open": "open", "intend": "intent", "complete": "receipt", "close": "close"}
HALTS = (
    *("before-open", "after-open", "before-intent", "after-intent", "answered"),
    *("before-receipt", "after-receipt", "before-close", "after-close"),
)
DEATHS = ("in-open", "in-intent", "in-receipt", "in-close")
PARTS = ("outline", "chapter", "charge")
LEASE = 300.0
PRICE = Money.parse("0.01 USD")
"""Of each call."""
_PATIENCE = 60.0
_here = threading.local()
Place = tuple[str, int]
"""A point, and how often it has to be reached, counted from 1."""


class TornDown(BaseException):
    """The example is over: what is still halted unwinds."""


class Trip(threading.Thread):
    """One delivery of one course to one process; `schema` is how often that was altered before."""

    def __init__(self, process: Process, course: str, schema: int) -> None:
        super().__init__(name=process.name, daemon=True)
        self.process, self.course, self.schema = process, course, schema
        self.stop_at: Place | None = None
        self.fails_at: Place | None = None
        self.trouble: Exception | None = None
        self.attempt: int | None = None
        self.worked = False
        self.calls = 0
        self.answers: dict[str, str] = {}
        self.told: tuple[str, Any] | None = None
        self.halted_at: str | None = None
        self._moved, self._go = threading.Event(), threading.Event()
        self._passed: Counter[str] = Counter()
        self._torn = False

    def run(self) -> None:
        _here.trip = self
        try:
            self.told = ("done", self.process.job(self.course))
        except NotDone as told:
            self.told = (type(told).__name__, told)
        except TornDown:
            self.told = ("torn", None)
        except BaseException as broken:
            self.told = ("broke", broken)
        finally:
            self._moved.set()

    def go(self) -> Trip:
        """Let it go on until it halts again, or ends."""
        self.halted_at = None
        self._moved.clear()
        if self.ident is None:
            self.start()
        else:
            self._go.set()
        assert self._moved.wait(_PATIENCE), f"{self.name} hangs"
        return self

    def tear_down(self) -> None:
        """Unwind, whatever it was doing."""
        self._torn = True
        self._go.set()
        self.join(_PATIENCE)
        assert not self.is_alive()

    def at(self, point: str) -> None:
        """Pass a point, or halt there."""
        if self._torn:
            raise TornDown
        self._passed[point] += 1
        if self.fails_at == (point, self._passed[point]):
            raise OSError(28, "No space left on device")
        if self.stop_at == (point, self._passed[point]):
            if point in DEATHS:
                raise DiedInside
            self.halt(point)

    def halt(self, point: str) -> None:
        """Wait to be told to go on."""
        self.halted_at = point
        self._go.clear()
        self._moved.set()
        self._go.wait()
        if self._torn:
            raise TornDown


class DiedInside(Exception):
    """Rolls a transaction back, as the database does when its client is gone."""


class Halting(Write[Any]):
    """A write with a place to halt before it and one after it."""

    __slots__ = ()

    def now(self) -> Any:
        """Do it, unless the trip ends before."""
        point: str = self.do.point  # type: ignore[attr-defined]
        trip: Trip | None = getattr(_here, "trip", None)
        if trip is None:
            return super().now()
        trip.at(f"before-{point}")
        try:
            value = super().now()
        except DiedInside:
            trip.halt(f"in-{point}")
            raise
        if point == "open" and isinstance(value, Run):
            trip.attempt = value.attempt
        trip.at(f"after-{point}")
        return value


class Process:
    """One process of the app, with connections of its own."""

    def __init__(
        self,
        name: str,
        store: str,
        school: str,
        ask: Callable[[str], str],
        *,
        job: str,
        version: str,
        clock: Callable[[], float],
    ) -> None:
        self.name, self.version, self._school, self._ask = name, version, school, ask
        self.app = Payonce(
            store, version=version, lease=LEASE, patience=20, clock=clock, look_every=None
        )
        self.app.watch(f"sqlite:///{school}")
        for verb, point in VERBS.items():
            setattr(self.app.journal, verb, _halting(getattr(self.app.journal, verb), point))
        self._steps = {
            part: self.app.step(
                name=part, cost=PRICE, in_doubt=None if part == "charge" else "retry"
            )(self._write)
            for part in PARTS
        }
        told = self.app.job(key="{course}", name=job, backoff=0, wait=0, budget="1 USD")
        self.job = told(self.generate)

    def generate(self, course: str) -> str:
        """Three paid texts, then a row."""
        trip = _trip()
        trip.worked = True
        for part in PARTS:
            trip.answers[part] = self._steps[part](course, part)
        if trip.trouble is not None:
            raise trip.trouble
        with closing(sqlite3.connect(self._school, timeout=20)) as db, db:
            db.execute("INSERT OR REPLACE INTO courses (name, outline) VALUES (?, '')", (course,))
        return " ".join(trip.answers.values())

    def _write(self, course: str, part: str) -> str:
        trip = _trip()
        trip.calls += 1
        try:
            return self._ask(f"{course}-{part}")
        finally:
            trip.at("answered")


def _trip() -> Trip:
    trip: Trip = _here.trip
    return trip


def _halting(verb: Callable[..., Write[Any]], point: str) -> Callable[..., Write[Any]]:
    def asked(*args: Any, **kwargs: Any) -> Write[Any]:
        write = verb(*args, **kwargs)
        inner = write.do

        def do(connection: Any) -> Any:
            value = inner(connection)
            if (trip := getattr(_here, "trip", None)) is not None:
                try:
                    trip.at(f"in-{point}")
                except DiedInside:
                    write.otherwise = None  # who is dead spills nothing
                    raise
            return value

        do.point = point  # type: ignore[attr-defined]
        write.do, write.__class__ = do, Halting
        return write

    return asked
