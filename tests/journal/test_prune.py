"""The exam: what is old and done may be removed; what is needed stays."""

from __future__ import annotations

import pytest
from tests.journal.making import closing, found, intended, opened, opening, paid, receipt
from tests.journal.stores import Clock, Store

from payonce.journal.protocol import Journal, Pruned, RunFilter
from payonce.model import Delivery, RunState

TABLES = ("runs", "attempts", "deliveries", "calls", "payloads")


def _ended(journal: Journal, key: str, state: RunState = RunState.DONE) -> None:
    run = opened(journal, key)
    paid(journal, run, "a")
    paid(journal, run, "b")
    result = receipt("value").answer if state is RunState.DONE else None
    assert journal.close(closing(run, state, result=result)).now()
    journal.note(run.id, Delivery(), "done").now()


def _rows(store: Store) -> list[int]:
    return [store.execute(f"SELECT count(*) FROM payonce_{t}")[0][0] for t in TABLES]


def test_old_runs_go_with_all_that_is_theirs(store: Store, journal: Journal, clock: Clock) -> None:
    """Of a run that is pruned nothing is left; of the others nothing is missing."""
    _ended(journal, "old")
    clock.move(100)
    _ended(journal, "new")
    kept = found(journal, "new")
    assert journal.prune(clock.now - 50) == Pruned(runs=1, calls=2, bytes=23)
    assert [s.run.key for s in journal.runs(RunFilter())] == ["new"]
    assert _rows(store) == [1, 1, 2, 2, 3]
    assert found(journal, "new") == kept
    assert [call.answer is not None for call in journal.calls(kept.id)] == [True, True]


@pytest.mark.parametrize("state", [RunState.PARKED, RunState.WAITING, RunState.RUNNING])
def test_what_is_not_done_stays(journal: Journal, clock: Clock, state: RunState) -> None:
    """A run that may go on keeps its receipts, however old it is; a parked one if not asked for."""
    if state is RunState.RUNNING:
        paid(journal, opened(journal))
    else:
        _ended(journal, "course:1", state)
    clock.move(1e6)
    assert journal.prune(clock.now) == Pruned(0, 0, 0)
    pruned = journal.prune(clock.now, parked=True).runs
    assert pruned == (1 if state is RunState.PARKED else 0)


def test_pruning_goes_in_steps(journal: Journal, clock: Clock) -> None:
    """Each step removes so many runs at most, the longest untouched first."""
    for n in range(5):
        _ended(journal, f"course:{n}")
        clock.move(1)
    steps = [journal.prune(clock.now, most=2).runs for _ in range(4)]
    assert steps == [2, 2, 1, 0]
    _ended(journal, "course:5")
    clock.move(1)
    _ended(journal, "course:6")
    clock.move(1)
    journal.prune(clock.now, most=1)
    assert [s.run.key for s in journal.runs(RunFilter())] == ["course:6"]


def test_a_pruned_run_begins_anew(journal: Journal, clock: Clock) -> None:
    """A delivery that comes after its run was pruned finds none, and starts one."""
    _ended(journal, "course:1")
    seen = found(journal)
    clock.move(100)
    journal.prune(clock.now)
    assert journal.find("generate", "course:1") is None
    again = journal.open(opening(seen=None)).now()
    assert again is not None
    assert (again.attempt, journal.calls(again.id)) == (1, [])
    assert seen.state == "done"


def test_a_run_that_went_on_meanwhile_is_not_taken_for_the_old_one(store: Store) -> None:
    """Who saw a run that was pruned meanwhile gets no lease on it."""
    one, two = store.journal(), store.journal()
    run = opened(one)
    one.close(closing(run, RunState.PARKED)).now()
    seen = found(one)
    store.clock.move(100)
    assert two.prune(store.clock.now, parked=True).runs == 1
    assert one.open(opening(seen=seen)).now() is None


def test_pruning_holds_nobody_up(store: Store) -> None:
    """While old runs are removed, others open theirs and pay."""
    worker, pruner = store.journal(), store.journal()
    for n in range(50):
        _ended(worker, f"old:{n}")
    store.clock.move(100)
    for n in range(25):
        run = opened(worker, f"new:{n}")
        intended(worker, run, "open")
        assert pruner.prune(store.clock.now - 50, most=2).runs == 2
        paid(worker, run, "paid")
        assert worker.close(closing(run)).now()
    assert pruner.prune(store.clock.now - 50).runs == 0
    assert len(worker.runs(RunFilter(limit=1000))) == 25
