"""The exam: who may work on a run, and whose word about it counts."""

from __future__ import annotations

import pytest
from tests.journal.making import (
    NO_COLUMN,
    called,
    closing,
    found,
    intended,
    opened,
    opening,
    paid,
    receipt,
)
from tests.journal.making import intent as intent_of
from tests.journal.stores import Clock, Store

from payonce.journal.protocol import Journal, RunFilter
from payonce.model import CallState, Delivery, Kind, RunState, World
from payonce.money import Money


def test_a_first_opening_makes_the_run(journal: Journal) -> None:
    """What a delivery says of its run is kept as it was said."""
    run = opened(journal, tenant="acme", delivery=Delivery("cloud-tasks", "m1", 3, "500", "agent"))
    assert found(journal) == run
    assert (run.job, run.key, run.tenant, run.state) == ("generate", "course:1", "acme", "running")
    assert (run.attempt, run.tries, run.kills) == (1, 1, 0)
    assert (run.lease_owner, run.lease_until) == ("one", journal.now() + 30)
    [arrival] = journal.history(run.id).arrivals
    assert arrival.delivery == Delivery("cloud-tasks", "m1", 3, "500", "agent")
    assert (arrival.attempt, arrival.answer, arrival.at) == (1, "none", journal.now())


def test_of_two_first_openings_one_wins(store: Store) -> None:
    """Two first deliveries on two connections make one run with one attempt."""
    one, two = store.journal(), store.journal()
    runs = [one.open(opening(owner="one")).now(), two.open(opening(owner="two")).now()]
    assert [run is None for run in runs] == [False, True]
    assert len(one.runs(RunFilter())) == 1
    assert [attempt.owner for attempt in two.history(found(two).id).attempts] == ["one"]


def test_what_was_seen_must_still_hold(store: Store) -> None:
    """Of two that saw the same waiting run, the second finds that it has moved."""
    one, two = store.journal(), store.journal()
    run = opened(one)
    one.close(closing(run, RunState.WAITING)).now()
    seen = found(one)
    assert one.open(opening(seen=seen)).now() is not None
    assert two.open(opening(seen=seen)).now() is None


def test_a_live_lease_is_not_taken(store: Store, clock: Clock) -> None:
    """Nobody takes a run over before its lease has run out, to the second."""
    one, two = store.journal(), store.journal()
    run = opened(one)
    clock.move(29.9)
    assert two.open(opening(owner="two", seen=run)).now() is None
    clock.move(0.1)
    taken = two.open(opening(owner="two", seen=run)).now()
    assert taken is not None
    assert (taken.attempt, taken.lease_owner) == (2, "two")


def test_a_dead_holder_is_relieved_at_once(store: Store) -> None:
    """A live lease is taken from the holder that is known to be dead, and from no other."""
    one, two = store.journal(), store.journal()
    run = opened(one, owner="one")
    assert two.open(opening(owner="two", seen=run, dead_owner="another")).now() is None
    assert two.open(opening(owner="two", seen=run, dead_owner="one")).now() is not None


def test_a_renewed_lease_lasts(store: Store, clock: Clock) -> None:
    """A lease that is renewed counts from the renewal on."""
    one, two = store.journal(), store.journal()
    run = opened(one)
    clock.move(20)
    assert one.renew(run.id, run.attempt, 30.0).now()
    clock.move(20)
    assert two.open(opening(owner="two", seen=run)).now() is None


def test_a_lost_lease_is_not_renewed(store: Store, clock: Clock) -> None:
    """The attempt that was taken over from can't prolong the new one's lease."""
    one, two = store.journal(), store.journal()
    first = opened(one)
    clock.move(31)
    second = opened(two, owner="two")
    clock.move(1)
    assert not one.renew(first.id, first.attempt, 900.0).now()
    assert found(one).lease_until == second.lease_until


def test_a_closed_run_has_no_lease_to_renew(journal: Journal) -> None:
    """After the end of the attempt there is nothing to prolong."""
    run = opened(journal)
    journal.close(closing(run)).now()
    assert not journal.renew(run.id, run.attempt, 30.0).now()


def test_taking_over_puts_open_calls_in_doubt(store: Store, clock: Clock) -> None:
    """What a lost attempt had in flight may be billed; what it had paid stays paid."""
    one, two = store.journal(), store.journal()
    run = opened(one)
    done, open_ = paid(one, run, "outline"), intended(one, run, "chapter")
    clock.move(31)
    opened(two, owner="two")
    assert [called(two, number).state for number in (done, open_)] == ["paid", "in_doubt"]
    assert called(two, open_).ended_at == clock.now
    lost, going = two.history(run.id).attempts
    assert (lost.outcome, lost.at_step, going.outcome) == ("lost", "chapter", None)


def test_kills_are_counted_at_one_place(journal: Journal, clock: Clock) -> None:
    """Attempts that end without a word at the same step add up; at another one they begin anew.

    An attempt that made no call died where an earlier one's calls end.
    """
    places = ["outline", "outline", "chapter", None]
    counted = []
    for send, place in enumerate(places, start=1):
        run = opened(journal)
        counted.append((run.kills, run.killed_at))
        if place is not None:
            intended(journal, run, place, send=send)
        clock.move(31)
    assert counted == [(0, None), (1, "outline"), (2, "outline"), (1, "chapter")]
    assert (opened(journal).kills, found(journal).killed_at) == (2, "chapter")


def test_a_kill_before_the_first_step_is_counted(journal: Journal, clock: Clock) -> None:
    """Attempts that never came to a step add up as well."""
    for kills in range(3):
        assert opened(journal).kills == kills
        clock.move(31)
    assert found(journal).killed_at == "before its first step"


def test_a_spoken_outcome_forgets_the_kills(journal: Journal, clock: Clock) -> None:
    """An attempt that ends with a word ends the row of kills, too."""
    opened(journal)
    clock.move(31)
    run = opened(journal)
    assert run.kills == 1
    journal.close(closing(run, RunState.WAITING)).now()
    assert (found(journal).kills, found(journal).killed_at) == (0, None)
    assert opened(journal).kills == 0


def test_tries_count_until_the_run_is_woken(journal: Journal) -> None:
    """Each attempt is a try; waking starts the count anew, the fencing token never does."""
    for _ in range(3):
        journal.close(closing(opened(journal), RunState.WAITING)).now()
    run = opened(journal)
    assert (run.attempt, run.tries) == (4, 4)
    journal.close(closing(run, RunState.PARKED)).now()
    run = opened(journal, woken=True)
    assert (run.attempt, run.tries) == (5, 1)


def test_closing_moves_the_run(journal: Journal, clock: Clock) -> None:
    """How an attempt ended is kept on the run, the attempt and the delivery."""
    run = opened(journal)
    clock.move(5)
    late = closing(
        run, RunState.WAITING, answer="retry", error="Traceback", at_step="x", retry_at=99.0
    )
    assert journal.close(late).now()
    now_is = found(journal)
    assert (now_is.state, now_is.retry_at, now_is.updated_at) == ("waiting", 99.0, clock.now)
    assert (now_is.lease_owner, now_is.lease_until) == (None, None)
    assert (now_is.reason, now_is.kind, now_is.evidence, now_is.fingerprint, now_is.wakes_on) == (
        NO_COLUMN.reason,
        Kind.DETERMINISTIC,
        NO_COLUMN.evidence,
        NO_COLUMN.fingerprint,
        NO_COLUMN.wakes_on,
    )
    [attempt] = journal.history(run.id).attempts
    assert (attempt.outcome, attempt.error, attempt.at_step) == ("retry", "Traceback", "x")
    assert [arrival.answer for arrival in journal.history(run.id).arrivals] == ["retry"]


def test_closing_is_fenced(store: Store, clock: Clock) -> None:
    """An attempt that lost its lease can't move the run, nor the attempt that has it now."""
    one, two = store.journal(), store.journal()
    first = opened(one)
    clock.move(31)
    second = opened(two, owner="two")
    assert not one.close(closing(first, result=receipt("late").answer)).now()
    assert found(one) == second
    assert [attempt.outcome for attempt in one.history(first.id).attempts] == ["lost", None]
    assert two.close(closing(second, result=receipt("value").answer)).now()
    done = found(one)
    assert done.result is not None
    assert (done.state, done.result.body) == ("done", b'"value"')


def test_closing_happens_once(journal: Journal) -> None:
    """A run that is closed stays as it was closed."""
    run = opened(journal)
    assert journal.close(closing(run, RunState.PARKED)).now()
    assert not journal.close(closing(run, RunState.WAITING)).now()
    assert found(journal).state == "parked"


def test_waking_lets_a_parked_run_go_on(store: Store) -> None:
    """A person's word moves a parked run once, and no run that isn't parked."""
    journal, other = store.journal(), store.journal()
    run = opened(journal)
    assert not journal.wake(run).now()
    journal.close(closing(run, RunState.PARKED)).now()
    parked = found(journal)
    assert journal.wake(parked).now()
    assert not other.wake(parked).now()
    woken = found(other)
    assert (woken.state, woken.tries, woken.kills, woken.retry_at) == ("waiting", 0, 0, None)


def test_a_delivery_without_an_attempt_is_noted(journal: Journal) -> None:
    """Each arrival is kept in order, with what its queue was told."""
    run = opened(journal)
    journal.close(closing(run)).now()
    journal.note(run.id, Delivery("sqs", "m2", 1), "done").now()
    first, second = journal.history(run.id).arrivals
    assert (first.attempt, second.attempt) == (1, None)
    assert (second.delivery, second.answer) == (Delivery("sqs", "m2", 1), "done")


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (RunFilter(), ["c:3", "c:2", "c:1"]),
        (RunFilter(limit=1), ["c:3"]),
        (RunFilter(state=RunState.PARKED), ["c:2"]),
        (RunFilter(key="c:1"), ["c:1"]),
        (RunFilter(tenant="other"), ["c:3"]),
        (RunFilter(job="nothing"), []),
    ],
)
def test_runs_are_listed(
    journal: Journal, clock: Clock, wanted: RunFilter, keys: list[str]
) -> None:
    """The last changed come first, and only those that are wanted."""
    for key, tenant in (("c:1", "acme"), ("c:2", "acme"), ("c:3", "other")):
        clock.move(1)
        run = opened(journal, key, tenant=tenant)
        journal.close(closing(run, RunState.PARKED if key == "c:2" else RunState.DONE)).now()
    assert [summary.run.key for summary in journal.runs(wanted)] == keys


def test_a_list_of_runs_counts(journal: Journal) -> None:
    """A list shows deliveries, paid calls, those in doubt and those rejected."""
    run = opened(journal)
    paid(journal, run, "a")
    journal.reject(paid(journal, run, "b"), "unusable").now()
    for step, state in (("c", CallState.IN_DOUBT), ("d", CallState.RELEASED)):
        journal.end(intended(journal, run, step), intent_of(run, step), state, "why").now()
    journal.note(run.id, Delivery(), "busy").now()
    [summary] = journal.runs(RunFilter())
    counts = (summary.deliveries, summary.paid, summary.in_doubt, summary.rejected)
    assert counts == (2, 2, 1, 1)


def test_a_list_of_runs_adds_up_money(journal: Journal) -> None:
    """Each currency is a sum of its own; calls of unknown cost are counted apart, parents never."""
    run = opened(journal)
    outer = intended(journal, run, "outer")
    euros = {"cost_nanos": 5, "currency": "EUR"}
    for step, cost in zip(
        "abcd", ({"cost_nanos": 10**15 + 1}, {"cost_nanos": 2}, euros, {}), strict=True
    ):
        call_id = intended(journal, run, step, parent_id=outer)
        journal.complete(call_id, intent_of(run, step, parent_id=outer), receipt(**cost)).now()
    journal.complete(outer, intent_of(run, "outer"), receipt()).now()
    intended(journal, run, "open")
    [summary] = journal.runs(RunFilter())
    assert summary.money == (Money(5, "EUR"), Money(10**15 + 3))
    assert (summary.paid, summary.unpriced) == (4, 1)


def test_an_attempt_knows_its_world(journal: Journal) -> None:
    """The world that an attempt began in is kept with it; the run has that of its last end."""
    run = opened(journal, world=World("1", "a"))
    journal.close(closing(run, RunState.PARKED, world=World("1", "b"))).now()
    opened(journal, world=World("2", "c"))
    assert [a.world for a in journal.history(run.id).attempts] == [World("1", "a"), World("2", "c")]
    assert found(journal).world == World("1", "b")


def test_no_intent_without_a_lease(store: Store, clock: Clock) -> None:
    """A call is intended by the attempt that holds the lease, before it has run out."""
    one, two = store.journal(), store.journal()
    first = opened(one)
    clock.move(30)
    assert one.intend(intent_of(first)).now() is None
    second = opened(two, owner="two")
    assert one.intend(intent_of(first)).now() is None
    assert two.intend(intent_of(second)).now() is not None
    two.close(closing(second)).now()
    assert two.intend(intent_of(second, "chapter")).now() is None


def test_a_lost_attempts_result_leaves_nothing_behind(store: Store) -> None:
    """A close that is refused adds no payload."""
    journal = store.journal()
    run = opened(journal)
    store.clock.move(31)
    opened(journal, owner="two")
    assert not journal.close(closing(run, result=receipt("late").answer)).now()
    assert store.execute("SELECT count(*) FROM payonce_payloads") == [(0,)]
