"""The exam: what alarms are told by, read in one pass each."""

from __future__ import annotations

from dataclasses import replace

from tests.journal.making import NO_COLUMN, closing, found, intended, opened, receipt
from tests.journal.making import intent as intent_of
from tests.journal.stores import Clock

from payonce.journal.ledger import EntryFilter, Peak, Spent
from payonce.journal.protocol import Journal
from payonce.model import Delivery, RunState

HOUR = 3_600.0
DAY = 86_400.0


def _paid(journal: Journal, run: str, step: str, cost: int | None, **more: str) -> None:
    known = journal.find("generate", f"course:{run}")
    taken = known or opened(journal, f"course:{run}", lease=1e9, tenant=f"tenant {run}")
    call = intended(journal, taken, step)
    told = receipt(cost_nanos=cost, **more) if cost is not None else receipt()
    journal.complete(call, intent_of(taken, step), told).now()


def test_what_was_spent_is_told_by_job_and_tenant(journal: Journal, clock: Clock) -> None:
    """Of one stretch of time; currencies don't add up, and what is unknown is no money."""
    _paid(journal, "1", "old", 50)
    since = clock.now + 10
    clock.move(10)
    _paid(journal, "1", "a", 3)
    _paid(journal, "1", "b", 4)
    _paid(journal, "1", "c", 5, currency="EUR")
    _paid(journal, "2", "a", None)
    _paid(journal, "2", "b", 6)
    wanted = EntryFilter(since, clock.now + 1)
    told = sorted(journal.ledger.spent(wanted), key=lambda each: each.nanos)
    assert told == [
        Spent("generate", "tenant 1", "EUR", 5),
        Spent("generate", "tenant 2", "USD", 6),
        Spent("generate", "tenant 1", "USD", 7),
    ]
    assert [each.nanos for each in journal.ledger.spent(replace(wanted, tenant="tenant 2"))] == [6]


def test_the_dearest_runs_come_first(journal: Journal, clock: Clock) -> None:
    """With whose they are, so many of them."""
    for run, cost in (("1", 3), ("2", 9), ("3", 6)):
        _paid(journal, run, "a", cost)
    told = journal.ledger.dearest(EntryFilter(0, clock.now + 1), 2)
    assert [(each.key, each.tenant, each.nanos) for each in told] == [
        ("course:2", "tenant 2", 9),
        ("course:3", "tenant 3", 6),
    ]
    assert told[0].run_id == found(journal, "course:2").id
    assert journal.ledger.dearest(EntryFilter(0, clock.now + 1, job="other"), 2) == []


def test_each_day_has_its_dearest_hour(journal: Journal, clock: Clock) -> None:
    """Counted back from the end, of jobs, of tenants, or of all; others are left out."""
    begin = clock.now
    for hour, costs in ((0, (5, 6)), (3, (9,)), (47, (2, 2)), (49, (70,))):
        clock.now = begin + hour * HOUR + 1
        for n, cost in enumerate(costs):
            _paid(journal, "1", f"{hour} {n}", cost)
    until = begin + 48 * HOUR
    told = journal.ledger.peaks(until - 2 * DAY, until, "tenant", ["tenant 1", "tenant 9"])
    assert sorted(told, key=lambda peak: peak.day) == [
        Peak("tenant 1", "USD", 0, 0, 4),
        Peak("tenant 1", "USD", 1, 47, 11),
    ]
    jobs = journal.ledger.peaks(until - 2 * DAY, until, "job", ["generate"])
    all_ = journal.ledger.peaks(until - 2 * DAY, until, "app", [""])
    assert [peak.nanos for peak in jobs] == [peak.nanos for peak in all_]
    assert {peak.name for peak in (*jobs, *all_)} == {"generate", ""}
    assert journal.ledger.peaks(until - 2 * DAY, until, "tenant", ["tenant 2"]) == []


def test_runs_that_are_delivered_often_are_told(journal: Journal, clock: Clock) -> None:
    """Within a time, most often first; done runs, and deliveries by the app itself, don't count."""
    for key, queue, times in (
        *(("a", "sqs", 5), ("b", "sqs", 7), ("c", "lookout", 9)),
        *(("d", "sqs", 2), ("e", "sqs", 9)),
    ):
        run = opened(journal, key, delivery=Delivery(queue=queue))
        for _ in range(times - 1):
            journal.note(run.id, Delivery(queue=queue), "busy").now()
        state = RunState.DONE if key == "e" else RunState.PARKED
        why = None if key == "e" else NO_COLUMN
        journal.close(closing(run, state, diagnosis=why)).now()
    told = journal.ledger.storms(clock.now - HOUR, 3)
    assert [(storm.run.key, storm.deliveries, storm.queue) for storm in told] == [
        ("b", 7, "sqs"),
        ("a", 5, "sqs"),
    ]
    assert told[0].first == clock.now
    assert told[0].run.reason == NO_COLUMN.reason
    assert journal.ledger.storms(clock.now + 1, 3) == []
