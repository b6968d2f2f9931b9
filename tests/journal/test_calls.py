"""The exam: the life of one call, and what is kept of it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from tests.journal.making import (
    NO_COLUMN,
    called,
    closing,
    found,
    intended,
    opened,
    paid,
    receipt,
)
from tests.journal.making import intent as intent_of
from tests.journal.stores import Clock, Store

from payonce.journal.payload import grow
from payonce.journal.protocol import Journal, Resolution
from payonce.model import Call, CallState, Payload, Receipt, Run, RunState

RECEIPT = Receipt(
    Payload("json", b'{"text": "hello"}'),
    model="gpt-4o-mini",
    usage={"input_tokens": 3, "details": {"cached": 0}},
    cost_nanos=2_500_000,
    currency="EUR",
)


def test_an_intent_is_kept_as_it_was_meant(journal: Journal, clock: Clock) -> None:
    """All that is known before a call is there while it is made."""
    run = opened(journal)
    meant = intent_of(
        run, occurrence=2, send=3, source="capture", parent_id=7, model="m", idempotency_key="k"
    )
    call_id = journal.intend(meant).now()
    assert call_id is not None
    call = called(journal, call_id)
    for name in ("run_id", "attempt", "step_key", "occurrence", "send", "name", "source"):
        assert getattr(call, name) == getattr(meant, name)
    assert (call.parent_id, call.model, call.idempotency_key) == (7, "m", "k")
    assert (call.state, call.started_at, call.ended_at) == ("intended", clock.now, None)


def test_what_drifted_is_told_before_a_call_or_at_the_end(journal: Journal) -> None:
    """An intent may tell of drift; the end of an attempt tells of more, and changes no word."""
    run = opened(journal)
    first = journal.intend(intent_of(run, "a", source="capture", drift="known")).now()
    assert first is not None
    second, third = paid(journal, run, "b"), paid(journal, run, "c")
    drifts = ((first, "again"), (second, "found"), (third + 100, "nobody's"))
    assert journal.close(closing(run, drifts=drifts)).now()
    assert [call.drift for call in journal.calls(run.id)] == ["known", "found", None]


def test_who_lost_the_lease_tells_of_no_drift(journal: Journal, clock: Clock) -> None:
    """The calls of a run that another attempt holds stay as they are."""
    run = opened(journal)
    call_id = paid(journal, run)
    clock.move(31)
    opened(journal)
    assert not journal.close(closing(run, drifts=((call_id, "found"),))).now()
    assert called(journal, call_id).drift is None


def test_a_receipt_is_kept_whole(journal: Journal, clock: Clock) -> None:
    """Answer, model, usage, cost and currency come back as they were given."""
    run = opened(journal)
    call_id = intended(journal, run)
    clock.move(3)
    journal.complete(call_id, intent_of(run), RECEIPT).now()
    call = called(journal, call_id)
    assert (call.state, call.answer, call.ended_at) == ("paid", RECEIPT.answer, clock.now)
    assert (call.model, call.usage) == (RECEIPT.model, RECEIPT.usage)
    assert (call.cost_nanos, call.currency) == (2_500_000, "EUR")


def test_an_unknown_price_is_not_zero(journal: Journal) -> None:
    """Where no cost is known, none is invented."""
    run = opened(journal)
    assert called(journal, paid(journal, run)).cost_nanos is None


def test_the_first_receipt_stays(store: Store) -> None:
    """A second answer of one call changes nothing and leaves nothing behind."""
    journal = store.journal()
    run = opened(journal)
    call_id = paid(journal, run, text="first")
    journal.complete(call_id, intent_of(run), receipt("second")).now()
    answer = called(journal, call_id).answer
    assert answer is not None
    assert answer.body == b'"first"'
    assert store.execute("SELECT count(*) FROM payonce_payloads") == [(1,)]


def test_a_late_receipt_is_kept(store: Store, clock: Clock) -> None:
    """A receipt of an attempt that lost its lease turns its call in doubt into a paid one."""
    one, two = store.journal(), store.journal()
    first = opened(one)
    call_id = intended(one, first)
    clock.move(31)
    opened(two, owner="two")
    assert called(two, call_id).state == "in_doubt"
    one.complete(call_id, intent_of(first), receipt("late")).now()
    call = called(two, call_id)
    assert (call.state, call.attempt, call.reason) == ("paid", 1, None)


def _moved(journal: Journal, run: Run, before: CallState, to: str) -> Call:
    call_id = intended(journal, run)
    if before is CallState.PAID:
        journal.complete(call_id, intent_of(run), receipt()).now()
    elif before is not CallState.INTENDED:
        journal.end(call_id, intent_of(run), before, "before").now()
    if to == "complete":
        journal.complete(call_id, intent_of(run), receipt("after")).now()
    elif to == "reject":
        journal.reject(call_id, "after").now()
    else:
        journal.end(call_id, intent_of(run), CallState(to), "after").now()
    return called(journal, call_id)


@pytest.mark.parametrize(
    ("before", "to", "after", "reason", "rejected"),
    [
        ("intended", "complete", "paid", None, False),
        ("intended", "released", "released", "after", False),
        ("intended", "in_doubt", "in_doubt", "after", False),
        ("intended", "reject", "intended", None, False),
        ("in_doubt", "complete", "paid", None, False),
        ("in_doubt", "released", "released", "after", False),
        ("in_doubt", "in_doubt", "in_doubt", "after", False),
        ("in_doubt", "reject", "in_doubt", "before", False),
        ("released", "complete", "paid", None, False),
        ("released", "in_doubt", "released", "before", False),
        ("released", "reject", "released", "before", False),
        ("paid", "complete", "paid", None, False),
        ("paid", "released", "paid", None, False),
        ("paid", "in_doubt", "paid", None, False),
        ("paid", "reject", "paid", "after", True),
    ],
)
def test_a_call_moves_only_forward(
    journal: Journal, before: str, to: str, after: str, reason: str | None, rejected: bool
) -> None:
    """From each state a call goes where its life allows; a receipt is never undone."""
    call = _moved(journal, opened(journal), CallState(before), to)
    assert (call.state, call.reason, call.rejected) == (after, reason, rejected)


@pytest.mark.parametrize(
    ("before", "word", "given", "changed", "after"),
    [
        ("in_doubt", "happened", receipt("told"), True, ("paid", False, b'"told"')),
        ("in_doubt", "did_not_happen", None, True, ("released", False, None)),
        ("in_doubt", "pay_again", None, True, ("in_doubt", False, None)),
        ("paid", "pay_again", None, True, ("paid", True, b'"answer"')),
        ("released", "pay_again", None, False, ("released", False, None)),
        ("intended", "pay_again", None, False, ("intended", False, None)),
    ],
)
def test_a_person_resolves_a_call(
    journal: Journal, before: str, word: Resolution, given: Any, changed: bool, after: Any
) -> None:
    """A person's word settles what is in doubt, or gives up what can't be rebuilt."""
    run = opened(journal)
    call_id = intended(journal, run)
    if before == "paid":
        journal.complete(call_id, intent_of(run), receipt()).now()
    elif before != "intended":
        journal.end(call_id, intent_of(run), CallState(before), "before").now()
    assert journal.resolve(call_id, word, "a person's word", given).now() is changed
    call = called(journal, call_id)
    assert (call.state, call.rejected, call.answer and call.answer.body) == after
    assert call.resolution == (word if changed else None)


def test_a_late_receipt_wakes_the_run_that_waits_for_it_a_persons_word_does_not(
    journal: Journal,
) -> None:
    """What comes late lets a run go on that was parked in doubt; a person's word is waited for."""
    doubt = replace(NO_COLUMN, evidence="InDoubt")
    for key, late in (("course:1", True), ("course:2", False)):
        run = opened(journal, key)
        call_id = intended(journal, run)
        journal.close(closing(run, RunState.PARKED, diagnosis=doubt)).now()
        if late:
            journal.complete(call_id, intent_of(run), receipt()).now()
        else:
            assert journal.resolve(call_id, "happened", "seen", receipt()).now()
        assert called(journal, call_id).state == "paid"
        assert found(journal, key).state == ("waiting" if late else "parked")


def test_nobody_has_a_word_on_a_call_that_is_not_there(journal: Journal) -> None:
    """An unknown number changes nothing, and says so."""
    assert journal.calls(call_id=99) == []
    assert not journal.resolve(99, "pay_again", "why not", None).now()


def test_a_paid_call_did_happen(journal: Journal) -> None:
    """Nobody can say of a call that has a receipt that it did not happen."""
    run = opened(journal)
    call_id = paid(journal, run)
    assert journal.resolve(call_id, "did_not_happen", "why", None).now() is False
    assert called(journal, call_id).state == "paid"


def test_the_reason_of_a_person_is_kept_with_the_receipt(journal: Journal) -> None:
    """A call that is paid by a person's word keeps the reason that was given."""
    run = opened(journal)
    call_id = intended(journal, run)
    journal.end(call_id, intent_of(run), CallState.IN_DOUBT, "timeout").now()
    journal.resolve(call_id, "happened", "seen on the bill", receipt("told")).now()
    assert called(journal, call_id).reason == "seen on the bill"


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 3_000_000])
@pytest.mark.parametrize("filling", ["text", "noise"])
def test_a_payload_of_any_size_comes_back(journal: Journal, size: int, filling: str) -> None:
    """A large answer is compressed where that helps, and is the same after reading."""
    body = os.urandom(size) if filling == "noise" else b"abcdefgh" * (size // 8) + b"x" * (size % 8)
    run = opened(journal)
    call_id = intended(journal, run)
    journal.complete(call_id, intent_of(run), Receipt(Payload("json", body))).now()
    kept = called(journal, call_id).answer
    assert kept is not None
    assert grow(kept) == Payload("json", body)
    assert (len(kept.body) < size / 100) is (filling == "text" and size > 1_000_000)


def test_the_calls_of_a_run_come_in_order(journal: Journal) -> None:
    """By step, occurrence and send, answers included, and of no other run."""
    run, other = opened(journal), opened(journal, "course:2")
    paid(journal, other, "a")
    for step, occurrence, send in (("b", 0, 2), ("b", 0, 1), ("a", 1, 1), ("b", 1, 1), ("a", 0, 1)):
        intended(journal, run, step, occurrence=occurrence, send=send)
    places = [(c.step_key, c.occurrence, c.send) for c in journal.calls(run.id)]
    assert places == [("a", 0, 1), ("a", 1, 1), ("b", 0, 1), ("b", 0, 2), ("b", 1, 1)]


def test_one_place_has_one_call(journal: Journal) -> None:
    """The same send of the same step can't be intended twice."""
    run = opened(journal)
    intended(journal, run)
    with pytest.raises(Exception, match=r"(?i)unique"):
        journal.intend(intent_of(run)).now()
    assert len(journal.calls(run.id)) == 1
