"""What a journal knows of a job's trouble in a world, and of rights that one process has."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.journal.making import NO_COLUMN, WORLD, closing, found, opened, opening
from tests.journal.stores import Clock, Store

from payonce.journal.protocol import Journal, RunFilter
from payonce.model import Kind, Run, RunState, Trouble, WakesOn, World

ELSEWHERE = World("2", WORLD.schema)


def _parked(journal: Journal, key: str, **more: object) -> Run:
    run = opened(journal, key)
    journal.close(closing(run, RunState.PARKED, **more)).now()
    return found(journal, key)


def _asked(journal: Journal, key: str, **more: object) -> Run | Trouble | None:
    return journal.open(opening(key, seen=journal.find("generate", key), asks=True, **more)).now()


def test_a_job_without_trouble_just_works(journal: Journal) -> None:
    """Where no run has failed for good, asking changes nothing."""
    run = _asked(journal, "course:1")
    assert isinstance(run, Run)
    assert run.state is RunState.RUNNING


def test_trouble_is_told_before_a_lease_is_given(journal: Journal, clock: Clock) -> None:
    """How many have failed by the most frequent cause, how many work, and what the cause is."""
    _parked(journal, "course:1")
    clock.move(5)
    _parked(journal, "course:2")
    opened(journal, "course:3")
    told = _asked(journal, "course:4")
    assert told == Trouble(failed=2, in_flight=1, proven=False, last=clock.now, found=NO_COLUMN)
    waiting = found(journal, "course:4")
    assert (waiting.state, waiting.attempt, waiting.tries) == (RunState.WAITING, 0, 0)


def test_who_knows_the_trouble_may_go_on(journal: Journal) -> None:
    """A lease is given for the trouble that was told, and not for any other."""
    _parked(journal, "course:1")
    told = _asked(journal, "course:2")
    assert isinstance(told, Trouble)
    stale = replace(told, failed=0)
    assert _asked(journal, "course:2", knows=stale) == told
    assert isinstance(_asked(journal, "course:2", knows=told), Run)
    now = _asked(journal, "course:3", knows=told)
    assert isinstance(now, Trouble)
    assert (now.failed, now.in_flight) == (1, 1)


def test_of_many_that_know_the_same_one_goes_on(store: Store) -> None:
    """Ten processes that were told the same trouble are let through one after the other."""
    journals = [store.journal() for _ in range(10)]
    _parked(journals[0], "course:0")
    told = [_asked(journal, f"course:{n}") for n, journal in enumerate(journals, 1)]
    assert {(t.failed, t.in_flight) for t in told if isinstance(t, Trouble)} == {(1, 0)}

    def again(n: int) -> Run | Trouble | None:
        return _asked(journals[n - 1], f"course:{n}", knows=told[n - 1])

    with ThreadPoolExecutor(10) as threads:
        ends = list(threads.map(again, range(1, 11)))
    assert sum(isinstance(end, Run) for end in ends) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"world": ELSEWHERE},
        {"diagnosis": replace(NO_COLUMN, kind=Kind.TRANSIENT)},
        {"diagnosis": replace(NO_COLUMN, wakes_on=(WakesOn.INPUT,))},
    ],
    ids=["another world", "passing", "its own input"],
)
def test_some_failures_are_no_trouble(journal: Journal, more: dict[str, object]) -> None:
    """What failed in another world, in passing, or by its own input says nothing of others."""
    _parked(journal, "course:1", **more)
    assert isinstance(_asked(journal, "course:2"), Run)


def test_a_run_that_is_done_ends_the_trouble(journal: Journal, clock: Clock) -> None:
    """What failed before the last success in this world doesn't count, what fails after does."""
    _parked(journal, "course:1")
    clock.move(1)
    journal.close(closing(opened(journal, "course:2"))).now()
    clock.move(1)
    run = _asked(journal, "course:3")
    assert isinstance(run, Run)
    journal.close(closing(run, RunState.PARKED)).now()
    told = _asked(journal, "course:4")
    assert isinstance(told, Trouble)
    assert (told.failed, told.proven) == (1, True)


def test_a_run_that_is_probed_still_counts(journal: Journal) -> None:
    """While a parked run is tried again, its failure is not forgotten."""
    _parked(journal, "course:1")
    opened(journal, "course:1", woken=True)
    told = _asked(journal, "course:2")
    assert isinstance(told, Trouble)
    assert (told.failed, told.in_flight) == (1, 1)


def test_a_dead_worker_is_not_at_work(journal: Journal, clock: Clock) -> None:
    """An attempt whose lease has run out is not counted as in flight."""
    _parked(journal, "course:1")
    opened(journal, "course:2")
    clock.move(31)
    told = _asked(journal, "course:3")
    assert isinstance(told, Trouble)
    assert told.in_flight == 0


def test_a_cautious_one_asks_whether_the_job_is_proven(journal: Journal) -> None:
    """Where no run of the job was done in this world, others at work are told of, too."""
    first = _asked(journal, "course:1", cautious=True)
    assert isinstance(first, Run)
    told = _asked(journal, "course:2", cautious=True)
    assert told == Trouble(failed=0, in_flight=1, proven=False)
    journal.close(closing(first)).now()
    assert isinstance(_asked(journal, "course:2", cautious=True), Run)
    assert isinstance(_asked(journal, "course:3", cautious=True), Run)


def test_a_run_is_held_at_the_door(journal: Journal) -> None:
    """It is parked for the cause of others, has no attempt, and counts as no failure."""
    held = journal.open(opening(held_by=NO_COLUMN)).now()
    assert isinstance(held, Run)
    assert held == found(journal)
    assert (held.state, held.held, held.attempt) == (RunState.PARKED, True, 0)
    assert (held.reason, held.fingerprint, held.world) == (NO_COLUMN.reason, "f00", WORLD)
    assert held.wakes_on == NO_COLUMN.wakes_on
    assert journal.history(held.id).attempts == []
    assert isinstance(_asked(journal, "course:2"), Run)


def test_a_held_run_fails_by_itself_or_not_at_all(journal: Journal) -> None:
    """Let through, it is no failure while it works; how it ends is its own."""
    journal.open(opening(held_by=NO_COLUMN)).now()
    run = opened(journal)
    assert isinstance(_asked(journal, "course:2"), Run)
    journal.close(closing(run, RunState.PARKED)).now()
    assert not found(journal).held
    assert isinstance(_asked(journal, "course:3"), Trouble)


def test_only_a_run_that_rests_is_held(journal: Journal) -> None:
    """A run that works, or is done, stays what it is."""
    run = opened(journal)
    assert journal.open(opening(seen=run, held_by=NO_COLUMN)).now() is None
    journal.close(closing(run)).now()
    assert journal.open(opening(seen=found(journal), held_by=NO_COLUMN)).now() is None
    assert found(journal).state is RunState.DONE


def _wakeable(journal: Journal, world: World = WORLD, after: int = 0, limit: int = 9) -> list[str]:
    wanted = RunFilter(job="generate", wakeable_in=world, after=after, limit=limit)
    return [summary.run.key for summary in journal.runs(wanted)]


def test_what_a_world_may_wake_is_listed(journal: Journal, clock: Clock) -> None:
    """Runs parked in another world, held ones, and those whose probe is due; the oldest first."""
    _parked(journal, "here")
    _parked(journal, "elsewhere", world=ELSEWHERE)
    _parked(journal, "later", retry_at=clock.now + 60)
    journal.open(opening("held", held_by=NO_COLUMN)).now()
    journal.close(closing(opened(journal, "done"), world=ELSEWHERE)).now()
    assert _wakeable(journal) == ["elsewhere", "held"]
    assert _wakeable(journal, limit=1) == ["elsewhere"]
    assert _wakeable(journal, after=found(journal, "elsewhere").id) == ["held"]
    clock.move(61)
    assert _wakeable(journal) == ["elsewhere", "later", "held"]
    assert _wakeable(journal, ELSEWHERE) == ["here", "later", "held"]


def test_one_of_all_has_a_right(store: Store, clock: Clock) -> None:
    """A claim is kept by whoever has it, refused to others, and free once it has run out.

    Who had it last is remembered for a day.
    """
    one, two = store.journal(), store.journal()
    assert one.claim("watch", "one", 30).now()
    assert not two.claim("watch", "two", 30).now()
    assert two.claim("another", "two", 30).now()
    clock.move(20)
    assert one.claim("watch", "one", 30).now()
    clock.move(20)
    assert not two.claim("watch", "two", 30).now()
    clock.move(11)
    assert two.claim("watch", "two", 30).now()
    rights = {right.name: right for right in one.about().rights}
    assert {name: right.owner for name, right in rights.items()} == {
        "watch": "two",
        "another": "two",
    }
    assert rights["another"].until == clock.now - 21
    clock.move(86_400)
    assert one.claim("watch", "one", 0).now()
    assert [(right.name, right.until) for right in one.about().rights] == [("watch", clock.now)]
    assert two.claim("watch", "two", 0).now()


def test_a_right_goes_to_one_of_many(store: Store) -> None:
    """Ten that ask at once: one has it."""
    journals = [store.journal() for _ in range(10)]
    journals[0].find("generate", "none")
    with ThreadPoolExecutor(10) as threads:
        got = threads.map(lambda n: journals[n].claim("tell", f"owner {n}", 30).now(), range(10))
    assert sum(got) == 1
