"""Whom a job in trouble lets in, and when a parked run is probed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.decisions.test_policy import RUN, WORLD

from payonce.breaker import Entry, asks, entry, is_blind, probe_after
from payonce.model import Attempt, Diagnosis, Kind, RunState, Trouble, WakesOn
from payonce.policy import Breaker, Door, door

BUG = Diagnosis(Kind.DETERMINISTIC, "a bug", "KeyError", "f1", (WakesOn.CODE,))
NO_COLUMN = replace(BUG, fingerprint="f2", wakes_on=(WakesOn.SCHEMA, WakesOn.CODE))
BREAKER = Breaker(runs=3, probe_after=900.0)

troubles = st.builds(
    Trouble,
    failed=st.integers(0, 10),
    in_flight=st.integers(0, 10),
    proven=st.booleans(),
    last=st.floats(0, 1e6),
    found=st.sampled_from([BUG, NO_COLUMN]),
)
breakers = st.builds(
    Breaker,
    runs=st.integers(1, 5),
    probe_after=st.one_of(st.none(), st.floats(1, 1e4)),
    cautious=st.booleans(),
)
moments = st.floats(0, 2e6)


@given(trouble=troubles, breaker=breakers, now=moments, watched=st.booleans())
def test_an_open_breaker_lets_one_in_at_most(
    trouble: Trouble, breaker: Breaker, now: float, watched: bool
) -> None:
    """From so many failures on nobody goes in while another works, and new ones only in time."""
    told = entry(trouble, breaker, now=now, probing=False, watched=watched)
    if trouble.failed < breaker.runs:
        assert told is not Entry.HOLD
    elif told is Entry.GO:
        assert trouble.in_flight == 0
        assert breaker.probe_after is not None
        assert now >= (trouble.last or 0) + breaker.probe_after
    else:
        assert told is Entry.HOLD


@given(trouble=troubles, breaker=breakers, now=moments, later=st.floats(0, 1e6))
def test_time_never_closes_a_door_that_was_open(
    trouble: Trouble, breaker: Breaker, now: float, later: float
) -> None:
    """Who may go in now may go in later, if nothing else changes."""
    if entry(trouble, breaker, now=now, probing=False, watched=False) is Entry.GO:
        again = entry(trouble, breaker, now=now + later, probing=False, watched=False)
        assert again is Entry.GO


@given(breaker=breakers, in_flight=st.integers(0, 99))
def test_a_job_that_is_proven_and_well_knows_no_door(breaker: Breaker, in_flight: int) -> None:
    """Where a run was done, and none failed since, any number may work at once."""
    well = Trouble(failed=0, in_flight=in_flight, proven=True)
    assert entry(well, breaker, now=0, probing=False, watched=False) is Entry.GO


@given(trouble=troubles, breaker=breakers, now=moments)
def test_in_a_new_world_no_more_may_fail_than_the_breaker_has_room_for(
    trouble: Trouble, breaker: Breaker, now: float
) -> None:
    """After a first failure, failed and working runs together stay within the threshold."""
    unproven = replace(trouble, proven=False, failed=max(1, trouble.failed))
    if unproven.failed >= breaker.runs:
        return
    told = entry(unproven, breaker, now=now, probing=False, watched=False)
    fits = unproven.failed + unproven.in_flight < breaker.runs
    assert told is (Entry.GO if fits else Entry.WAIT)


@pytest.mark.parametrize(
    ("failed", "after", "let_in"),
    [(3, 899, False), (3, 900, True), (4, 1799, False), (4, 1800, True), (9, 7200, True)],
)
def test_each_probe_that_fails_doubles_the_wait(failed: int, after: float, let_in: bool) -> None:
    """A new run is let in after 15 minutes, then 30, up to two hours."""
    trouble = Trouble(failed, 0, False, last=100.0, found=BUG)
    told = entry(trouble, BREAKER, now=100.0 + after, probing=False, watched=True)
    assert told is (Entry.GO if let_in else Entry.HOLD)


def test_a_watched_schema_needs_no_probe_that_costs() -> None:
    """Where the schema would be seen to change, no new run is let in to find that out."""
    trouble = Trouble(3, 0, False, last=0.0, found=NO_COLUMN)
    assert entry(trouble, BREAKER, now=1e9, probing=False, watched=True) is Entry.HOLD
    assert entry(trouble, BREAKER, now=1e9, probing=False, watched=False) is Entry.GO


def test_a_parked_run_probes_when_nobody_works() -> None:
    """It pays nothing again, so only its own time counts."""
    trouble = Trouble(3, 0, False, last=0.0, found=BUG)
    assert entry(trouble, BREAKER, now=1, probing=True, watched=True) is Entry.GO
    busy = replace(trouble, in_flight=1)
    assert entry(busy, BREAKER, now=1, probing=True, watched=True) is Entry.HOLD


@pytest.mark.parametrize(
    ("wakes_on", "watched", "blind"),
    [
        ((WakesOn.SCHEMA, WakesOn.CODE), True, False),
        ((WakesOn.SCHEMA, WakesOn.CODE), False, True),
        ((WakesOn.CREDENTIALS,), True, True),
        ((WakesOn.ACCOUNT, WakesOn.CONFIG), True, True),
        ((WakesOn.CODE,), False, False),
        ((WakesOn.INPUT,), False, False),
        ((), False, False),
    ],
)
def test_what_cannot_be_seen_is_probed(
    wakes_on: tuple[WakesOn, ...], watched: bool, blind: bool
) -> None:
    """A schema that nobody watches, credentials, a configuration, an account; never an input."""
    found = replace(BUG, wakes_on=wakes_on)
    assert is_blind(found, watched=watched) is blind
    told = probe_after(found, [], BREAKER, watched=watched, probing=False, paid=True)
    assert told == (900.0 if blind else None)


@pytest.mark.parametrize("kind", [Kind.TRANSIENT, Kind.THROTTLED])
@pytest.mark.parametrize("watched", [True, False])
def test_what_passes_is_probed(kind: Kind, watched: bool) -> None:
    """An outage that outlasts all attempts ends without a trace in the world."""
    found = Diagnosis(kind, "away", "SQLSTATE 57P03", "f3")
    assert is_blind(found, watched=watched)
    assert probe_after(found, [], BREAKER, watched=watched, probing=True, paid=False) == 900.0
    assert probe_after(found, [], BREAKER, watched=watched, probing=True, paid=True) is None


def _attempt(number: int, outcome: str | None, fingerprint: str | None) -> Attempt:
    return Attempt(
        number=number,
        owner="one",
        started_at=0.0,
        ended_at=None if outcome is None else 1.0,
        outcome=outcome,
        kind=None,
        reason=None,
        error=None,
        fingerprint=fingerprint,
        at_step=None,
        world=WORLD,
    )


def test_probes_become_rare() -> None:
    """Each time in a row that the run parks for the same doubles the wait, up to 64 times."""
    found = replace(NO_COLUMN)

    def told(*ends: tuple[str | None, str | None]) -> float | None:
        attempts = [_attempt(n, *end) for n, end in enumerate(ends, 1)]
        return probe_after(found, attempts, BREAKER, watched=False, probing=True, paid=False)

    same = ("parked", "f2")
    now = (None, None)
    assert told(now) == 900
    assert told(same, now) == 1800
    assert told(same, same, now) == 3600
    assert told(same, ("parked", "other"), now) == 900
    assert told(same, ("retry", "f2"), now) == 900
    assert told(*[same] * 99, now) == 900 * 64


def test_a_probe_that_paid_is_the_last_one() -> None:
    """A job that asks something new in each attempt must not be probed for money."""
    for probing, told in ((True, None), (False, 900.0)):
        assert (
            probe_after(NO_COLUMN, [], BREAKER, watched=False, probing=probing, paid=True) == told
        )
    assert probe_after(NO_COLUMN, [], None, watched=False, probing=False, paid=False) is None
    never = Breaker(probe_after=None)
    assert probe_after(NO_COLUMN, [], never, watched=False, probing=False, paid=False) is None


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"state": RunState.PARKED}, True),
        ({"state": RunState.WAITING, "tries": 1}, True),
        ({"state": RunState.WAITING, "tries": 0, "attempt": 0}, True),
        ({"state": RunState.WAITING, "tries": 0, "attempt": 2}, False),
        ({"state": RunState.WAITING, "tries": 0, "attempt": 0, "held": True}, False),
        ({"state": RunState.RUNNING}, False),
    ],
)
def test_who_asks_at_the_door(change: dict[str, object], asked: bool) -> None:
    """All but what a person has let go on, and what a dead worker left behind."""
    assert asks(replace(RUN, **change), BREAKER) is asked
    assert asks(replace(RUN, **change), None) is False
    assert asks(None, BREAKER) is True


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Door.PARKED),
        ({"held": True}, Door.GO_AGAIN),
        ({"retry_at": 101.0}, Door.PARKED),
        ({"retry_at": 100.0}, Door.GO_AGAIN),
        ({"world": replace(WORLD, code="0"), "held": True}, Door.GO_WOKEN),
    ],
)
def test_the_door_of_a_parked_run(change: dict[str, object], expected: Door) -> None:
    """It opens in a changed world, for a probe that is due, and for a run that was only held."""
    parked = replace(RUN, state=RunState.PARKED, **change)
    assert door(parked, now=100.0, world=WORLD, holder_is_dead=False) is expected
