"""Any mix of deliveries, halts, deaths, lost leases and repairs keeps the promises.

The provider is real and its bill is the witness; so are the journal and the user's database.
`CHAOS_SEEDS` and `CHAOS_RUNS` make more of it: see `make chaos`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.journal.stores import Store
from tests.journal.sums import Execute, add_up
from tests.machine.stage import Stage
from tests.machine.trip import DEATHS, HALTS, LEASE, PARTS, PRICE, Place
from tests.machine.trouble import FAULTS, TROUBLES

import payonce.admit
from payonce.journal.protocol import Resolution
from payonce.model import Call, CallState, Payload, Receipt, RunState
from payonce.testing import BilledCall, MeteredProvider, Price

SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "0").split()]
EXAMPLES = int(os.environ.get("CHAOS_RUNS", "40"))
STEPS = 40
PHASES = [p for p in hypothesis.Phase if p.name != "shrink" or "CHAOS_SHRINK" in os.environ]
"""Making an example smaller takes minutes: it is done on demand."""
_OPEN = (CallState.INTENDED, CallState.IN_DOUBT)
slots = st.sampled_from(("a", "b"))


def places(points: tuple[str, ...]) -> st.SearchStrategy[Place]:
    """Places where a delivery can be halted."""
    return st.tuples(st.sampled_from(points), st.integers(1, 3))


class Machine(Stage, RuleBasedStateMachine):
    """What may happen, in any order; and what was promised."""

    # --- rules -----------------------------------------------------------------------------

    @initialize(ready=st.booleans())
    def begin(self, ready: bool) -> None:
        """The code was deployed before its migration, or after it."""
        if ready:
            self.migrate()

    @rule(slot=slots)
    def deliver(self, slot: str) -> None:
        """A delivery that nothing happens to."""
        self._go(self.start(self._course(slot)))

    @rule(
        slot=slots,
        halt=st.none() | places(HALTS + DEATHS),
        full=st.none() | places(DEATHS),
        trouble=st.none() | st.sampled_from(TROUBLES),
        outage=st.none() | st.tuples(st.sampled_from(PARTS), st.sampled_from(sorted(FAULTS))),
    )
    def deliver_in_trouble(
        self,
        slot: str,
        halt: Place | None,
        full: Place | None,
        trouble: Exception | None,
        outage: tuple[str, str] | None,
    ) -> None:
        """A delivery whose process halts or dies at a place, one of whose writes fails for want
        of disk, whose code raises at its end, or one of whose calls meets a failing provider."""
        course = self._course(slot)
        trip = self.start(course)
        trip.stop_at, trip.fails_at, trip.trouble = halt, full, trouble
        if outage is not None:
            self.provider.fail(f"{self._key(course)}-{outage[0]}", FAULTS[outage[1]])
        self._go(trip)
        self.provider.heal()

    @rule(slot=slots, first=places(HALTS), second=st.none() | places(HALTS))
    def overtake(self, slot: str, first: Place, second: Place | None) -> None:
        """A process halts for longer than its lease, another one takes over, and it goes on."""
        course = self._course(slot)
        trip, other = self.start(course), self.start(course)
        trip.stop_at, other.stop_at = first, second
        self._go(trip)
        self.leases_expire()
        self._go(other)
        if trip in self.halted:
            self.halted.remove(trip)
            self._go(trip)

    @precondition(lambda self: self.halted)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """A halted process goes on, perhaps after others have taken its run over."""
        self._go(self.halted.pop(data.draw(st.integers(0, len(self.halted) - 1))))

    @precondition(lambda self: self.halted)
    @rule(data=st.data(), noticed=st.booleans())
    def die(self, data: st.DataObject, noticed: bool) -> None:
        """A halted process dies; on the same host that is noticed at once."""
        trip = self.halted.pop(data.draw(st.integers(0, len(self.halted) - 1)))
        if noticed:
            self.dead.add(trip.process.name)

    @rule(seconds=st.sampled_from((-20.0, -1.0, 1.0, 20.0, 60.0)))
    def clock_moves_a_little(self, seconds: float) -> None:
        """Time passes; or a clock is set back by less than a lease."""
        self.clock += seconds

    @rule()
    def leases_expire(self) -> None:
        """So much time passes that whoever holds a lease has lost it."""
        self.clock += LEASE + 1

    @precondition(lambda self: not self.halted and not self.journal.about().spilled)
    @rule()
    def old_runs_are_pruned(self) -> None:
        """`payonce prune` removes what was done long ago, and not what may still go on."""
        self.clock += 3 * LEASE
        self.journal.prune(self.clock - 2 * LEASE)
        self.is_pruned = True
        for course in list(self.courses):
            if self._run(course) is None and course in self.values:
                self.courses.remove(course)
                self.generations[course[0]] += 1
                del self.values[course]

    @rule()
    def migrate(self) -> None:
        """The column that the code needs comes, if it isn't there."""
        with contextlib.suppress(sqlite3.OperationalError):
            self._alter("ALTER TABLE courses ADD COLUMN outline TEXT")

    @rule()
    def schema_changes_elsewhere(self) -> None:
        """Another table comes."""
        self._alter(f"CREATE TABLE other_{self.schema} (id INTEGER)")

    @rule(version=st.integers(1, 3))
    def deploy(self, version: int) -> None:
        """Deliveries go to processes of another version; those that work go on with theirs."""
        self.version = version

    @rule(calls=st.none() | st.integers(0, 6))
    def person_sets_a_limit(self, calls: int | None) -> None:
        """`payonce budget set` for the job: so many calls more, or no limit at all."""
        self._set_limit(calls)

    @rule(slot=slots)
    def person_wakes(self, slot: str) -> None:
        """`payonce wake --force`, but for the call itself."""
        self._wake(self._course(slot))

    def _wake(self, course: str) -> None:
        run = self._run(course)
        if run is not None and self.journal.wake(run).now():
            self.parked_in.pop(course, None)
            self.hopeless_in[course].clear()

    @rule(slot=slots, part=st.sampled_from(PARTS), again=st.booleans())
    def person_resolves(self, slot: str, part: str, again: bool) -> None:
        """`payonce resolve`, by a person who has looked at the bill."""
        self._look(self._course(slot), part, again=again)

    def _look(self, course: str, part: str, *, again: bool) -> None:
        for call in self._calls(course)[part]:
            if call.state is CallState.IN_DOUBT and call.resolution is None:
                self._resolve(course, part, call, again=again)
                return

    def _resolve(self, course: str, part: str, call: Call, *, again: bool) -> None:
        receipts = sum(c.state is CallState.PAID for c in self._calls(course)[part])
        word: Resolution = "happened"
        receipt = Receipt(
            Payload("json", json.dumps("told by a person").encode()), cost_nanos=PRICE.nanos
        )
        if again:
            word = "pay_again"
            self.allowed[f"{course}-{part}"] += 1
        elif self._billed(course, part) <= receipts:
            word = "did_not_happen"  # a process that halted may send it yet
            self.lies += PRICE.nanos
        given = receipt if word == "happened" else None
        if word != "did_not_happen":
            self.retold.add(f"{course}-{part}")
        self.journal.resolve(call.id, word, "looked", given).now()

    # --- promises --------------------------------------------------------------------------

    @invariant()
    def each_bill_is_accounted_for(self) -> None:
        """Receipts ≤ billed ≤ receipts + in doubt, for every step, at any moment."""
        for course in self.courses:
            self._accounted(course)

    def _accounted(self, course: str) -> None:
        for part, calls in self._calls(course).items():
            billed = self._billed(course, part)
            receipts = sum(call.state is CallState.PAID for call in calls)
            doubts = sum(call.state in _OPEN for call in calls)
            told = f"{course}-{part}: {billed} billed, {receipts} receipts, {doubts} in doubt"
            assert receipts <= billed <= receipts + doubts, told
            silent = [c for c in calls if c.state in _OPEN and not c.resolution and _is_silent(c)]
            assert len(silent) <= (1 if part == "charge" else 2), f"{told}: repeated in silence"
            if part == "charge":
                assert billed <= 1 + self.allowed[f"{course}-{part}"], f"{told}: charged again"

    @invariant()
    def the_ledger_adds_up(self) -> None:
        """Balances, entries and calls say the same; what was billed is settled or in doubt."""
        sums = add_up(self.execute, job=self.job, pruned=self.is_pruned)
        if not self.is_pruned:
            told = f"{self._cost()} billed, {sums}"
            most = sums.spent + sums.held + sum(n or 0 for n in sums.doubts.values())
            assert sums.spent <= self._cost() <= most + self.lies, told

    @invariant()
    def entries_are_only_added(self) -> None:
        """What the ledger once said it says for ever, whatever came later, and after pruning."""
        now = self.execute(f"SELECT * FROM payonce_entries WHERE job = '{self.job}' ORDER BY id")
        assert now[: len(self.entries)] == self.entries
        self.entries = now

    @invariant()
    def a_limit_is_not_passed(self) -> None:
        """The bill is never above it, but for calls that a person was wrong about."""
        if self.limit is not None:
            told = f"{self._cost()} billed, {self.limit} and {self.lies} allowed"
            assert self._cost() <= self.limit + self.lies, told

    @invariant()
    def receipts_stay(self) -> None:
        """A receipt that was there is there, with its answer."""
        for course in self.courses:
            for calls in self._calls(course).values():
                for call in calls:
                    if call.answer is not None:
                        kept = self.receipts.setdefault((course, call.id), call.answer.body)
                        assert kept == call.answer.body

    @invariant()
    def runs_that_are_done_stay_done(self) -> None:
        """And no run is tried more often than its cap allows."""
        for course in self.courses:
            run = self._run(course)
            if run is None:
                continue
            assert run.tries <= 6
            if course in self.values:
                assert run.state is RunState.DONE

    def teardown(self) -> None:
        """In the end every run is done or parked; and done, once all is mended."""
        try:
            self._end_well()
        finally:
            self.put_away()

    def _end_well(self) -> None:
        self._set_limit(None)
        for course in self.courses:
            self._deliver_until_it_ends(course)
        self.migrate()
        for course in self.courses:
            for _ in range(8):
                for part in PARTS:
                    self._look(course, part, again=False)
                self._wake(course)
                self._deliver_until_it_ends(course)
                if course in self.values:
                    break
            assert course in self.values, f"{course} is never done: {self._run(course)}"
            self._accounted(course)

    def _deliver_until_it_ends(self, course: str) -> None:
        for _ in range(12):
            self.leases_expire()
            self._go(self.start(course))
            run = self._run(course)
            assert run is not None
            if run.state in (RunState.DONE, RunState.PARKED):
                return
        raise AssertionError(f"{course} is still {run.state}: {self.trips[-1].told} {run}")


def _reading(reader: Any) -> Execute:
    """Reads the journal's tables by a connection that is kept."""

    def execute(sql: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = reader.execute(sql).fetchall()
        reader.rollback()
        return rows

    return execute


def _is_silent(call: Call) -> bool:
    return not (call.reason or "").startswith("answered HTTP")


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_promises_hold_whatever_happens(
    seed: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No mix of deliveries, halts, deaths, lost leases, outages and repairs breaks a promise."""
    bill: Counter[str] = Counter()

    def count(call: BilledCall | None) -> None:
        if call is not None:
            bill[call.label] += 1

    class Seeded(Machine):
        def __init__(self) -> None:
            super().__init__()
            monkeypatch.setattr(payonce.admit, "is_dead", self.dead.__contains__)

    monkeypatch.setattr(payonce.admit, "owner", Stage.owner)
    settings = hypothesis.settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=PHASES,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    prices = {"*": Price("0", "0", call="0.01")}
    with MeteredProvider(hook=count, prices=prices) as provider, closing(store.connect()) as reader:
        Seeded.store, Seeded.provider, Seeded.bill = store.url, provider, bill
        Seeded.execute = staticmethod(_reading(reader))
        Seeded.numbers = itertools.count()
        run_state_machine_as_test(hypothesis.seed(seed)(Seeded), settings=settings)
        assert bill == Counter(call.label for call in provider.bill)
