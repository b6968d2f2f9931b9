"""The exam: what the ledger adds up to, and what it has of runs that are gone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.journal.making import closing, intended, opened, receipt
from tests.journal.making import intent as intent_of
from tests.journal.stores import Clock

from payonce.journal.ledger import Again, EntryFilter, OfModel, Share, Sum
from payonce.journal.protocol import Journal
from payonce.model import CallState, Delivery, Run, RunState
from payonce.money import Budget

ALL = EntryFilter(0.0, 9e9)
DAY = 86_400.0


def _pay(journal: Journal, run: Run, step: str = "outline", **told: Any) -> int:
    asked = told.pop("intent", {})
    call = intended(journal, run, step, **asked)
    journal.complete(call, intent_of(run, step, **asked), receipt(**told)).now()
    return call


def _sum(paid: int = 0, currency: str = "USD", **more: int) -> Sum:
    given: dict[str, int] = dict.fromkeys(("waste", "doubt", "calls", "unpriced", "wasted"), 0)
    return Sum(0.0, 9e9, currency, paid, **given | more)


def test_an_empty_ledger_adds_up_to_nothing(journal: Journal) -> None:
    """Where there are no entries there is no span, no sum, no share."""
    ledger = journal.ledger
    assert (ledger.span(), ledger.sums(ALL), ledger.sums(ALL, DAY)) == (None, [], [])
    assert (ledger.shares(ALL), ledger.doubts(ALL), ledger.replayed(ALL)) == ([], [], [])
    assert ledger.runs_of("course:1") == []


def test_receipts_add_up_and_unknown_prices_are_counted_apart(journal: Journal) -> None:
    """What was paid is the sum of known prices; the others are counted."""
    run = opened(journal)
    _pay(journal, run, "a", cost_nanos=7)
    _pay(journal, run, "b", cost_nanos=5)
    _pay(journal, run, "c")
    assert journal.ledger.sums(ALL) == [_sum(12, calls=3, unpriced=1)]


def test_currencies_never_add_up(journal: Journal) -> None:
    """Each currency has a sum of its own, and so has each share."""
    run = opened(journal)
    _pay(journal, run, "a", cost_nanos=7)
    _pay(journal, run, "b", cost_nanos=5, currency="EUR")
    ledger = journal.ledger
    assert ledger.sums(ALL) == [_sum(5, "EUR", calls=1), _sum(7, "USD", calls=1)]
    assert [(share.sum.currency, share.sum.paid) for share in ledger.shares(ALL)] == [
        ("USD", 7),
        ("EUR", 5),
    ]


def test_models_are_told_apart(journal: Journal) -> None:
    """The dearest first; what names no model, and what is of unknown price, is there too."""
    run = opened(journal)
    _pay(journal, run, "a", cost_nanos=7, model="small")
    _pay(journal, run, "b", cost_nanos=9, model="large")
    _pay(journal, run, "c", model="large")
    _pay(journal, run, "d", cost_nanos=1)
    assert journal.ledger.models(ALL) == [
        OfModel("large", _sum(9, calls=2, unpriced=1)),
        OfModel("small", _sum(7, calls=1)),
        OfModel(None, _sum(1, calls=1)),
    ]
    assert journal.ledger.models(EntryFilter(0.0, 1.0)) == []


def test_days_are_told_apart(journal: Journal, clock: Clock) -> None:
    """A period's stretches have sums of their own; those without any entry are left out."""
    run = opened(journal, lease=9 * DAY)
    first = clock.now
    _pay(journal, run, "a", cost_nanos=1)
    clock.move(3 * DAY)
    _pay(journal, run, "b", cost_nanos=2)
    found = journal.ledger.sums(EntryFilter(first - 40 * DAY, first + 40 * DAY), DAY)
    assert [(each.since, each.until, each.paid) for each in found] == [
        (first, first + DAY, 1),
        (first + 3 * DAY, first + 4 * DAY, 2),
    ]
    models = journal.ledger.models(EntryFilter(first - 40 * DAY, first + 40 * DAY), DAY)
    assert [each.sum for each in models] == found
    assert journal.ledger.span() == (first, first + 3 * DAY)


def test_a_period_is_open_at_its_end(journal: Journal, clock: Clock) -> None:
    """What is booked at the very end belongs to the next period."""
    run = opened(journal)
    _pay(journal, run, cost_nanos=1)
    assert journal.ledger.sums(EntryFilter(clock.now - 1, clock.now)) == []
    assert journal.ledger.sums(EntryFilter(clock.now, clock.now + 1)) != []


def test_a_job_and_a_tenant_can_be_asked_for(journal: Journal) -> None:
    """Sums and shares are those of the job and the tenant that are named."""
    for n, tenant in enumerate(("acme", "zeta"), start=1):
        _pay(journal, opened(journal, f"course:{n}", tenant=tenant), cost_nanos=n)
    asked = EntryFilter(0.0, 9e9, job="generate", tenant="zeta")
    assert [each.paid for each in journal.ledger.sums(asked)] == [2]
    assert [share.key for share in journal.ledger.shares(asked)] == ["course:2"]
    assert journal.ledger.sums(EntryFilter(0.0, 9e9, job="other")) == []


def test_a_step_that_only_made_captured_calls_has_no_receipt_besides_theirs(
    journal: Journal,
) -> None:
    """A step around captured calls is neither counted nor of unknown price; one alone is."""
    run = opened(journal)
    outer = intended(journal, run, "outer")
    inner = {"source": "capture", "parent_id": outer}
    _pay(journal, run, "inner", cost_nanos=3, intent=inner)
    journal.complete(outer, intent_of(run, "outer"), receipt()).now()
    _pay(journal, run, "alone")
    ledger = journal.ledger
    assert ledger.sums(ALL) == [_sum(3, calls=2, unpriced=1)]
    assert [share.sum for share in ledger.shares(ALL)] == [_sum(3, calls=2, unpriced=1)]


def test_a_step_of_another_currency_that_only_made_captured_calls_is_not_counted(
    journal: Journal,
) -> None:
    """Days in one currency are sums in one, whatever steps without a cost of their own say."""
    run = opened(journal)
    outer = intended(journal, run, "outer")
    inner = {"source": "capture", "parent_id": outer}
    _pay(journal, run, "inner", cost_nanos=3, currency="EUR", intent=inner)
    journal.complete(outer, intent_of(run, "outer"), receipt()).now()
    assert journal.ledger.sums(ALL) == [_sum(3, "EUR", calls=1)]
    [outlay] = journal.ledger.outlays(run.id, ALL)
    assert (outlay.step, outlay.sum) == ("inner", _sum(3, "EUR", calls=1))


def test_a_day_of_nothing_but_outer_steps_costs_nothing(journal: Journal, clock: Clock) -> None:
    """Where only the ends of steps fall into a day, whose calls were paid before, it has no sum."""
    run = opened(journal, lease=9 * DAY)
    outer = intended(journal, run, "outer")
    inner = {"source": "capture", "parent_id": outer}
    _pay(journal, run, "inner", cost_nanos=3, intent=inner)
    clock.move(60)
    journal.complete(outer, intent_of(run, "outer"), receipt()).now()
    assert journal.ledger.sums(EntryFilter(clock.now - 1, clock.now + 1)) == []


def test_what_comes_late_changes_the_day_that_it_belongs_to(journal: Journal, clock: Clock) -> None:
    """A day that is long over, and was added up already, is told anew: nothing is kept of sums."""
    run = opened(journal, lease=9 * DAY)
    day = EntryFilter(clock.now, clock.now + 1)
    lost = intended(journal, run, "a", ceiling_nanos=9)
    journal.end(lost, intent_of(run, "a"), CallState.IN_DOUBT, "read timeout").now()
    [before] = journal.ledger.sums(day)
    assert (before.doubt, before.paid) == (9, 0)
    clock.move(3 * DAY)
    journal.complete(lost, intent_of(run, "a"), receipt(cost_nanos=2)).now()
    [after] = journal.ledger.sums(day)
    [today] = journal.ledger.sums(EntryFilter(clock.now, clock.now + 1))
    assert (after.doubt, after.paid, today.paid) == (0, 0, 2)


def test_sums_are_exact_beyond_whole_numbers_of_the_database(
    journal: Journal, clock: Clock
) -> None:
    """Nine billion units of a currency, and more, are told to the last nano, whatever is asked."""
    much, day, ledger = 2**62 + 1, clock.now // DAY * DAY, journal.ledger
    runs = [opened(journal, f"course:{n}", lease=900.0) for n in range(1, 5)]
    for run in runs:
        _pay(journal, run, "a", cost_nanos=much, model="large")
    _pay(journal, runs[0], "b", cost_nanos=much, model="large")
    _pay(journal, runs[0], "c", cost_nanos=much, model="large")
    whole = _sum(6 * much, calls=6)
    assert ledger.sums(ALL) == [whole]
    assert ledger.sums(EntryFilter(0.0, 9e9, tenant="acme")) == [whole]
    assert ledger.models(ALL) == [OfModel("large", whole)]
    shares = ledger.shares(ALL, most=1)
    assert [(each.key, each.sum.paid) for each in shares] in (
        [("course:1", 3 * much), (None, 3 * much)],
        [(None, 3 * much), ("course:1", 3 * much)],
    )
    assert sum(each.sum.paid for each in ledger.outlays(runs[0].id, ALL)) == 3 * much
    assert [each.nanos for each in ledger.spent(ALL)] == [6 * much]
    assert [each.nanos for each in ledger.dearest(ALL, 1)] == [3 * much]
    [peak] = ledger.peaks(day, day + DAY, "app", [])
    assert peak.nanos == 6 * much
    assert ledger.used(Budget("tenant", "acme", "total", 7, "USD")).spent == 6 * much
    clock.move(1)
    journal.note(runs[0].id, Delivery(queue="cloud-tasks"), "busy").now()
    assert [each.saved for each in ledger.replayed(ALL)] == [3 * much]
    assert ledger.sums(EntryFilter(0.0, 1.0)) == []


def test_waste_is_part_of_what_was_paid(journal: Journal) -> None:
    """A rejected receipt counts as paid, and as wasted."""
    run = opened(journal)
    journal.reject(_pay(journal, run, "a", cost_nanos=4), "no good").now()
    _pay(journal, run, "b", cost_nanos=1)
    assert journal.ledger.sums(ALL) == [_sum(5, waste=4, calls=2, wasted=1)]


def test_the_dearest_runs_stand_alone_and_the_others_together(journal: Journal) -> None:
    """Beyond so many, the runs of one job, tenant and state share a row that counts them."""
    for n in range(1, 6):
        run = opened(journal, f"course:{n}")
        _pay(journal, run, cost_nanos=n)
        journal.close(closing(run, RunState.DONE if n > 1 else RunState.PARKED)).now()
    found = journal.ledger.shares(ALL, most=2)
    told = {(share.key, share.state): (share.runs, share.sum.paid) for share in found}
    assert len(told) == len(found)
    assert told == {
        ("course:5", RunState.DONE): (1, 5),
        ("course:4", RunState.DONE): (1, 4),
        (None, RunState.DONE): (2, 5),
        (None, RunState.PARKED): (1, 1),
    }


def test_the_ledger_outlives_a_run(journal: Journal, clock: Clock) -> None:
    """The money of a run that was pruned is still its; only its state is not known any more."""
    for key in ("course:1", "course:2"):
        run = opened(journal, key)
        _pay(journal, run, cost_nanos=7)
        journal.close(closing(run)).now()
        clock.move(20)
    first = journal.ledger.runs_of("course:1")
    assert journal.prune(clock.now - 30).runs == 1
    (gone,) = [share for share in journal.ledger.shares(ALL) if share.key == "course:1"]
    assert gone == Share(first[0], "course:1", "generate", "acme", None, 1, _sum(7, calls=1))
    assert journal.ledger.runs_of("course:1", "generate") == first
    assert journal.ledger.runs_of("course:1", "other") == []


def test_a_doubt_is_told_with_its_ceiling_and_what_its_repeat_cost(journal: Journal) -> None:
    """A call in doubt has its ceiling, if one is known, and the cost of the call in its place."""
    run = opened(journal)
    lost = intended(journal, run, "a", ceiling_nanos=9)
    journal.end(lost, intent_of(run, "a"), CallState.IN_DOUBT, "read timeout").now()
    (alone,) = journal.ledger.doubts(ALL)
    assert (alone.entry.nanos, alone.repeat_nanos, alone.reason) == (9, None, "read timeout")
    _pay(journal, run, "a", cost_nanos=6, intent={"send": 2})
    (repeated,) = journal.ledger.doubts(ALL)
    assert (repeated.entry.call_id, repeated.repeat_nanos) == (lost, 6)
    assert journal.ledger.sums(ALL) == [_sum(6, doubt=9, calls=1)]


@pytest.mark.parametrize("late", [True, False])
def test_a_doubt_that_has_ended_is_no_doubt(journal: Journal, late: bool) -> None:
    """A late receipt, or a person's word that it did not happen, ends a doubt."""
    run = opened(journal)
    lost = intended(journal, run, "a", ceiling_nanos=9)
    journal.end(lost, intent_of(run, "a"), CallState.IN_DOUBT, "read timeout").now()
    if late:
        journal.complete(lost, intent_of(run, "a"), receipt(cost_nanos=2)).now()
    else:
        journal.resolve(lost, "did_not_happen", "asked the provider", None).now()
    assert journal.ledger.doubts(ALL) == []


def test_a_step_is_as_certain_as_the_calls_that_it_made(journal: Journal) -> None:
    """A step in doubt that made captured calls is not in doubt besides them."""
    run = opened(journal)
    outer = intended(journal, run, "outer")
    _pay(journal, run, "inner", cost_nanos=3, intent={"source": "capture", "parent_id": outer})
    journal.end(outer, intent_of(run, "outer"), CallState.IN_DOUBT, "killed").now()
    assert journal.ledger.doubts(ALL) == []


def _delivered(journal: Journal, run: Run, clock: Clock, queue: str = "cloud-tasks") -> None:
    clock.move(1)
    journal.note(run.id, Delivery(queue=queue), "park").now()


def test_further_deliveries_would_have_paid_what_was_there(journal: Journal, clock: Clock) -> None:
    """Each delivery after the first counts the good receipts that the run had when it came."""
    run = opened(journal, lease=900.0)
    _pay(journal, run, "a", cost_nanos=5)
    _delivered(journal, run, clock)  # 5
    clock.move(1)
    _pay(journal, run, "b", cost_nanos=2)
    _pay(journal, run, "c")
    journal.reject(_pay(journal, run, "d", cost_nanos=100), "no good").now()
    _delivered(journal, run, clock)  # 5 + 2, and one of unknown price
    _delivered(journal, run, clock)
    _delivered(journal, run, clock, "lookout")  # made by payonce itself
    (found,) = journal.ledger.replayed(ALL)
    assert (found.key, found.deliveries, found.currency) == ("course:1", 3, "USD")
    assert (found.saved, found.calls, found.unpriced) == (19, 7, 2)


def test_further_deliveries_are_counted_by_whose_they_are_and_where_they_came_from(
    journal: Journal, clock: Clock
) -> None:
    """Each day, job and tenant with its queues; what payonce itself called is left out."""
    for n, tenant in enumerate(("acme", "acme", None), start=1):
        run = opened(journal, f"course:{n}", tenant=tenant, lease=9 * DAY)
        _delivered(journal, run, clock)
        _delivered(journal, run, clock, "lookout")
    day = clock.now // DAY * DAY
    clock.move(DAY)
    _delivered(journal, run, clock, "pubsub")
    acme = Again(day, "generate", "acme", "cloud-tasks", None, 2)
    others = [
        Again(day, "generate", None, "cloud-tasks", None, 1),
        Again(day + DAY, "generate", None, "pubsub", None, 1),
    ]
    assert journal.ledger.again(ALL) == [acme, *others]
    assert journal.ledger.again(EntryFilter(0.0, 9e9, tenant="acme")) == [acme]
    assert journal.ledger.again(EntryFilter(0.0, 9e9, job="other")) == []


def test_a_further_attempt_is_a_further_delivery(journal: Journal, clock: Clock) -> None:
    """What a second attempt replays is what it would have paid; outer steps are not counted."""
    run = opened(journal)
    outer = intended(journal, run, "outer")
    inner = {"source": "capture", "parent_id": outer}
    _pay(journal, run, "inner", cost_nanos=3, intent=inner)
    journal.complete(outer, intent_of(run, "outer"), receipt()).now()
    journal.close(closing(run, RunState.WAITING)).now()
    clock.move(1)
    opened(journal)
    (found,) = journal.ledger.replayed(ALL)
    assert (found.deliveries, found.saved, found.calls, found.unpriced) == (1, 3, 1, 0)


def test_deliveries_that_had_nothing_to_replay_are_counted(journal: Journal, clock: Clock) -> None:
    """A run that parked before it paid anything has saved nothing, however often it is sent."""
    run = opened(journal)
    journal.close(closing(run, RunState.PARKED)).now()
    _delivered(journal, run, clock)
    _delivered(journal, run, clock)
    (found,) = journal.ledger.replayed(ALL)
    assert (found.deliveries, found.currency, found.saved, found.calls) == (2, None, 0, 0)
