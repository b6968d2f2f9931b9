"""The world that the machine's rules act on, and what a delivery may do in it."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.journal.sums import Execute
from tests.machine.trip import DEATHS, PARTS, PRICE, Process, Trip
from tests.machine.trouble import ask

from payonce.journal import journal_at
from payonce.journal.protocol import RunFilter
from payonce.model import Call, CallState, Run, RunState, WakesOn
from payonce.money import Budget
from payonce.testing import MeteredProvider


class Stage:
    """The world: a queue, processes, a clock, a provider, a person; and what was promised."""

    store: str
    provider: MeteredProvider
    bill: Counter[str]
    numbers: Iterator[int]
    execute: Execute

    def __init__(self) -> None:
        super().__init__()
        self.example = next(self.numbers)
        self.folder = Path(tempfile.mkdtemp(prefix="payonce-machine-"))
        self.clock = 1_000_000_000.0 + self.example * 1_000_000.0
        self.version, self.schema = 1, 0
        self.school = self.folder / "school.db"
        self.generations = {"a": 0, "b": 0}
        self.duplicates: Counter[str] = Counter()
        self.courses: list[str] = []
        self._alter("CREATE TABLE courses (name TEXT PRIMARY KEY)")
        self.job = f"generate-{self.example}"
        self.made = itertools.count()
        self.idle: list[Process] = []
        self.all: list[Process] = []
        self.halted: list[Trip] = []
        self.trips: list[Trip] = []
        self.dead: set[str] = set()
        self.names: dict[Any, str] = {}
        self.parked_in: dict[str, tuple[int, int]] = {}
        self.hopeless_in: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
        self.values: dict[str, str] = {}
        self.seen: dict[str, str] = {}
        self.retold: set[str] = set()
        self.receipts: dict[tuple[str, int], bytes] = {}
        self.allowed: Counter[str] = Counter()
        self.journal = journal_at(self.store, clock=lambda: self.clock)
        self.journal.about()  # its tables are there
        self.limit: int | None = None
        self.lies = 0
        self.entries: list[tuple[Any, ...]] = []
        self.is_pruned = False

    def _alter(self, sql: str) -> None:
        with closing(sqlite3.connect(self.school)) as db, db:
            db.execute(sql)
        self.schema += 1

    def _process(self) -> Process:
        for process in self.idle:
            if process.version == str(self.version):
                self.idle.remove(process)
                return process
        process = Process(
            f"machine-{self.example}/{next(self.made)}",
            self.store,
            str(self.school),
            lambda label: ask(self.provider.url, label),
            job=self.job,
            version=str(self.version),
            clock=lambda: self.clock,
        )
        self.all.append(process)
        return process

    def _key(self, course: str) -> str:
        return f"{course}-{self.example}"

    def _course(self, slot: str) -> str:
        """The course that a slot is at; the next one, once it was delivered twice when done."""
        course = f"{slot}{self.generations[slot]}"
        if self.duplicates[course] > 1 and not any(
            t.course == self._key(course) for t in self.halted
        ):
            self._accounted(course)
            self.courses.remove(course)
            self.generations[slot] += 1
            course = f"{slot}{self.generations[slot]}"
        if course not in self.courses:
            self.courses.append(course)
        self.duplicates[course] += course in self.values
        return course

    def _run(self, course: str) -> Run | None:
        return self.journal.find(self.job, self._key(course))

    def _calls(self, course: str) -> dict[str, list[Call]]:
        run = self._run(course)
        calls = self.journal.calls(run.id) if run is not None else []
        parted: dict[str, list[Call]] = {part: [] for part in PARTS}
        for call in sorted(calls, key=lambda call: call.send):
            parted[call.name].append(call)
        return parted

    def _billed(self, course: str, part: str) -> int:
        return self.bill[f"{self._key(course)}-{part}"]

    def _cost(self) -> int:
        """What was billed for all courses so far, in nanos."""
        mine = (n for label, n in self.bill.items() if label.partition("-")[2].startswith(self.tag))
        return sum(mine) * PRICE.nanos

    @property
    def tag(self) -> str:
        """What the labels of this example's calls have in the middle."""
        return f"{self.example}-"

    def _set_limit(self, calls: int | None) -> None:
        """A person's word on how many more calls may be paid for, beside all that are open."""
        open_ = sum(
            call.state in (CallState.INTENDED, CallState.IN_DOUBT)
            for summary in self.journal.runs(RunFilter(job=self.job))
            for call in self.journal.calls(summary.run.id)
        )
        most = self._cost() + open_ * PRICE.nanos
        self.limit = None if calls is None else most + calls * PRICE.nanos
        budget = Budget("job", self.job, "total", self.limit)
        self.journal.ledger.set_budget(budget).now()

    @staticmethod
    def owner() -> str:
        """The name of the process that the calling thread plays."""
        return threading.current_thread().name

    def start(self, course: str) -> Trip:
        """A delivery that has not begun."""
        trip = Trip(self._process(), self._key(course), self.schema)
        self.trips.append(trip)
        return trip

    def _go(self, trip: Trip) -> None:
        """Let a delivery go on to its halt or its end, and hold what it did against the rules."""
        course = trip.course.partition("-")[0]
        before, bill, calls = self._run(course), self.bill.total(), trip.calls
        superseded = self._is_superseded(trip)
        expired = before is not None and 0 < (before.lease_until or 0) <= self.clock
        may_send = 1 if trip.halted_at in ("after-intent",) else 0
        trip.go()
        if expired and trip.attempt is not None and before.attempt == trip.attempt:
            assert trip.calls - calls <= may_send, "a call under a lease that has run out"
        if superseded:
            assert trip.calls - calls <= may_send, "a zombie made a new call"
            if before is not None:
                self._not_moved(before, self._run(course))
        if trip.halted_at in DEATHS:
            self.dead.add(trip.process.name)
        elif trip.told is None:
            self.halted.append(trip)
        else:
            self.idle.append(trip.process)
            if before is not None and not superseded:
                self._door_held(trip, course, before, bill)
            self._was_told(trip, course)
        self._answers_stay(trip, course)

    def _not_moved(self, before: Run, after: Run | None) -> None:
        """Who lost the lease can't move the run, but by the receipt that it waits for."""
        assert after is not None
        answered = before.state is RunState.PARKED and after.state is RunState.WAITING
        moved = [
            name
            for name in ("state", "attempt", "tries", "lease_owner", "reason", "result")
            if getattr(before, name) != getattr(after, name)
        ]
        assert moved == [] or (answered and before.evidence == "InDoubt"), f"moved: {moved}"

    def _is_superseded(self, trip: Trip) -> bool:
        if trip.attempt is None:
            return False
        run = self.journal.find(self.job, trip.course)
        if run is None:  # it was pruned meanwhile
            return True
        return run.attempt > trip.attempt or run.lease_owner != trip.process.name

    def _door_held(self, trip: Trip, course: str, before: Run, bill: int) -> None:
        """A finished run, or a parked one in the same world, is not worked on and pays nothing."""
        here = (int(trip.process.version), trip.schema)
        same = before.state is RunState.PARKED and (
            self.parked_in.get(course) == here or here in self.hopeless_in[course]
        )
        if trip.attempt is None and (before.state is RunState.DONE or same):
            assert not trip.worked
            assert self.bill.total() == bill
            after = self._run(course)
            assert after is not None
            assert after.attempt == before.attempt
        elif same:
            assert trip.attempt == before.attempt, "it woke in the same world"

    def _was_told(self, trip: Trip, course: str) -> None:
        assert trip.told is not None
        word, value = trip.told
        if word == "broke":
            raise value
        run = self._run(course)
        if course not in self.courses:
            return
        if word == "done":
            assert run is not None
            assert run.state is RunState.DONE
            assert self.values.setdefault(course, value) == value
        if word == "Parked" and trip.worked and run and run.wakes_on != (WakesOn.BUDGET,):
            here = (int(trip.process.version), trip.schema)
            self.parked_in[course] = here
            if value.kind == "deterministic":
                self.hopeless_in[course].add(here)

    def _answers_stay(self, trip: Trip, course: str) -> None:
        """What the holder of the lease was once given for a step, it is given ever after."""
        if course not in self.courses or (self._is_superseded(trip) and trip.told is None):
            return
        run = self._run(course)
        if run is None or trip.attempt != run.attempt:
            return
        for part, answer in trip.answers.items():
            label = f"{course}-{part}"
            if label not in self.retold:
                assert self.seen.setdefault(label, answer) == answer, f"another answer for {label}"

    def put_away(self) -> None:
        """End what still works."""
        for trip in self.trips:
            if trip.is_alive():
                trip.tear_down()
        for process in self.all:
            process.app.close()
        self.journal.stop()
        shutil.rmtree(self.folder)
