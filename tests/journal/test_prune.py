"""The exam: what is old and done may be removed; what is needed stays."""

from __future__ import annotations

import pytest
from tests.journal.making import closing, found, intended, opened, opening, paid, receipt
from tests.journal.making import intent as intent_of
from tests.journal.stores import Clock, Store

from payonce import budget
from payonce.journal.protocol import Journal, Pruned, RunFilter
from payonce.model import Delivery, RunState
from payonce.money import Budget

TABLES = ("runs", "attempts", "deliveries", "calls", "payloads")


def _ended(journal: Journal, key: str, state: RunState = RunState.DONE) -> None:
    run = opened(journal, key)
    paid(journal, run, "a")
    paid(journal, run, "b")
    result = receipt("value").answer if state is RunState.DONE else None
    assert journal.close(closing(run, state, result=result)).now()
    journal.note(run.id, Delivery(), "done").now()


def _begin_another(journal: Journal) -> None:
    """On SQLite the run with the last number, and the one with the last call, are never pruned."""
    paid(journal, opened(journal, "another"))


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
    _begin_another(journal)
    clock.move(1e6)
    assert journal.prune(clock.now) == Pruned(0, 0, 0)
    pruned = journal.prune(clock.now, parked=True).runs
    assert pruned == (1 if state is RunState.PARKED else 0)


def test_pruning_goes_in_steps(journal: Journal, clock: Clock) -> None:
    """Each step removes so many runs at most, the longest untouched first."""
    for n in range(5):
        _ended(journal, f"course:{n}")
        clock.move(1)
    _begin_another(journal)
    kept = []
    for _ in range(4):
        journal.prune(clock.now, most=2)
        kept.append([s.run.key for s in journal.runs(RunFilter(state=RunState.DONE))])
    assert kept == [["course:4", "course:3", "course:2"], ["course:4"], [], []]


def test_a_pruned_run_begins_anew(journal: Journal, clock: Clock) -> None:
    """A delivery that comes after its run was pruned finds none, and starts one."""
    _ended(journal, "course:1")
    seen = found(journal)
    _begin_another(journal)
    clock.move(100)
    journal.prune(clock.now)
    assert journal.find("generate", "course:1") is None
    again = journal.open(opening(seen=None)).now()
    assert again is not None
    assert (again.attempt, journal.calls(again.id)) == (1, [])
    assert seen.state == "done"


def test_the_budget_of_a_pruned_run_begins_anew(journal: Journal, clock: Clock) -> None:
    """What a run has used of its own limit goes with it; what its job has used stays."""
    limits = [Budget(scope, "generate", "total", 100) for scope in ("run", "job")]
    for key in ("course:1", "course:2"):
        run = opened(journal, key)
        allowances = budget.allowances(run, limits, (), "USD", clock.now)
        asked = {"allowances": allowances, "ceiling_nanos": 40}
        call = intended(journal, run, **asked)
        journal.complete(call, intent_of(run, **asked), receipt(cost_nanos=40)).now()
        assert journal.close(closing(run)).now()
        clock.move(100)
    _begin_another(journal)
    assert journal.prune(clock.now - 150).runs == 1
    assert [(each.scope, each.name, each.spent) for each in journal.ledger.balances()] == [
        ("job", "generate", 80),
        ("run", "generate course:2", 40),
    ]
    again = opened(journal, "course:1")
    intended(journal, again, allowances=budget.allowances(again, limits[:1], (), "USD", clock.now))
    [own] = [each for each in journal.ledger.balances() if each.name == "generate course:1"]
    assert (own.spent, own.held) == (0, 80)


def test_a_run_that_went_on_meanwhile_is_not_taken_for_the_old_one(store: Store) -> None:
    """Who saw a run that was pruned meanwhile gets no lease on it."""
    one, two = store.journal(), store.journal()
    run = opened(one)
    one.close(closing(run, RunState.PARKED)).now()
    seen = found(one)
    _begin_another(one)
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


def test_no_number_is_given_out_again(journal: Journal, clock: Clock) -> None:
    """A run or a call that begins after others were pruned has a number that nobody had."""
    numbers: set[tuple[str, int]] = set()
    for n in range(6):
        run = opened(journal, f"course:{n}")
        mine = {("run", run.id), ("call", paid(journal, run))}
        assert not mine & numbers
        numbers |= mine
        journal.close(closing(run)).now()
        clock.move(10)
        journal.prune(clock.now)


def test_what_is_spilled_is_merged_before_its_run_is_pruned(store: Store) -> None:
    """No receipt stays behind in a file whose run is gone."""
    journal = store.impatient()
    run = opened(journal)
    call_id = intended(journal, run)
    _begin_another(journal)
    with store.locked():
        journal.complete(call_id, intent_of(run), receipt()).now()
    assert journal.close(closing(run)).now()
    assert len(list(store.spill.iterdir())) == 1
    store.clock.move(100)
    assert journal.prune(store.clock.now).runs == 1
    journal.stop()
    assert not any(store.spill.iterdir())
