"""What may happen next to a run, an attempt or a call, as tables of cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from payonce import InDoubt, Rejected, SendsUsedUp
from payonce.model import (
    Call,
    CallState,
    Diagnosis,
    Kind,
    Payload,
    Run,
    RunState,
    Verdict,
    WakesOn,
    World,
)
from payonce.policy import (
    ANSWERED,
    REFUSED_BY_DATABASE,
    Door,
    Limits,
    after_failure,
    backoff,
    door,
    hopeless,
    may_send,
    open_doubt,
    settled,
    standing,
)

WORLD = World("1", "db=a")
RUN = Run(
    id=1,
    job="job",
    key="k",
    tenant=None,
    state=RunState.RUNNING,
    attempt=1,
    tries=1,
    kills=0,
    killed_at=None,
    lease_owner="one",
    lease_until=130.0,
    retry_at=None,
    arguments=b"{}",
    arguments_fingerprint="",
    reason=None,
    kind=None,
    evidence=None,
    fingerprint=None,
    wakes_on=(),
    world=WORLD,
    created_at=0.0,
    updated_at=0.0,
    result=None,
)
CALL = Call(
    id=1,
    run_id=1,
    attempt=1,
    step_key="s",
    occurrence=0,
    send=1,
    name="ask",
    source="step",
    parent_id=None,
    state=CallState.IN_DOUBT,
    rejected=False,
    reason="cut",
    resolution=None,
    model=None,
    usage=None,
    cost_nanos=None,
    currency="USD",
    idempotency_key=None,
    started_at=0.0,
    ended_at=None,
)
PAID = structs.replace(CALL, state=CallState.PAID, answer=Payload("json", b"1"), reason=None)
RECORDED = structs.replace(PAID, receipt_id=7)
RECORDED_LATE = structs.replace(PAID, receipt_id=8)
WASTE = structs.replace(PAID, rejected=True, reason="no verb")
RELEASED = structs.replace(CALL, state=CallState.RELEASED, reason="not sent")


@pytest.mark.parametrize(
    ("changes", "dead", "world", "found"),
    [
        (None, False, WORLD, Door.GO),
        ({"state": RunState.DONE}, False, WORLD, Door.FINISHED),
        ({"state": RunState.DONE}, False, World("2", ""), Door.FINISHED),
        ({"state": RunState.PARKED}, False, WORLD, Door.PARKED),
        ({"state": RunState.PARKED}, False, World("2", "db=a"), Door.GO_WOKEN),
        ({"state": RunState.PARKED}, False, World("1", "db=b"), Door.GO_WOKEN),
        ({"state": RunState.PARKED}, False, World("1", "db=?"), Door.PARKED),
        ({"state": RunState.WAITING}, False, WORLD, Door.GO),
        ({"state": RunState.WAITING, "retry_at": 100.0}, False, WORLD, Door.GO),
        ({"state": RunState.WAITING, "retry_at": 100.1}, False, WORLD, Door.EARLY),
        ({}, False, WORLD, Door.HELD),
        ({}, True, WORLD, Door.GO),
        ({"lease_until": 100.0}, False, WORLD, Door.GO),
        ({"lease_until": 100.1}, False, WORLD, Door.HELD),
    ],
)
def test_the_door(changes: dict[str, Any] | None, dead: bool, world: World, found: Door) -> None:
    """A delivery goes in, waits, comes back, or has its answer already."""
    run = None if changes is None else replace(RUN, **changes)
    assert door(run, now=100.0, world=world, holder_is_dead=dead) is found


@pytest.mark.parametrize(
    ("changes", "evidence"),
    [
        ({}, None),
        ({"kills": 2, "killed_at": "ask"}, None),
        ({"kills": 3, "killed_at": "ask"}, "killed"),
        ({"tries": 5}, None),
        ({"tries": 6}, "attempts"),
        ({"tries": 6, "kind": Kind.TRANSIENT, "reason": "reset", "fingerprint": "f"}, "attempts"),
    ],
)
def test_an_attempt_that_has_no_hope(changes: dict[str, Any], evidence: str | None) -> None:
    """Too many kills at one place, or too many attempts, and the reason says which."""
    found = hopeless(replace(RUN, **changes), Limits(attempts=5, kills=3))
    assert (found and found.evidence) == evidence
    if found is not None:
        assert changes.get("killed_at", changes.get("reason", "")) in found.reason


def _diagnosis(kind: Kind, after: float | None = None) -> Diagnosis:
    return Diagnosis(kind, "why", "code", "f", after=after)


@pytest.mark.parametrize(
    ("kind", "changes", "word"),
    [
        (Kind.DETERMINISTIC, {}, "park"),
        (Kind.TRANSIENT, {}, "retry"),
        (Kind.TRANSIENT, {"fingerprint": "f"}, "retry"),
        (Kind.TRANSIENT, {"tries": 4}, "retry"),
        (Kind.TRANSIENT, {"tries": 5}, "park"),
        (Kind.THROTTLED, {"fingerprint": "f"}, "retry"),
        (Kind.THROTTLED, {"tries": 5}, "park"),
        (Kind.UNKNOWN, {}, "retry"),
        (Kind.UNKNOWN, {"fingerprint": "other"}, "retry"),
        (Kind.UNKNOWN, {"fingerprint": "f"}, "park"),
        (Kind.UNKNOWN, {"fingerprint": "f", "world": World("0", "db=a")}, "retry"),
        (Kind.STOCHASTIC, {}, "retry"),
        (Kind.STOCHASTIC, {"fingerprint": "f"}, "park"),
    ],
)
@pytest.mark.parametrize("hold", [True, False])
def test_after_a_failure(kind: Kind, changes: dict[str, Any], word: str, hold: bool) -> None:
    """What can't get better is parked at once; what could is tried again, capped.

    A limit is given 15 times as long, what nobody knows 5 times, and never less than half of that.
    """
    first = {Kind.THROTTLED: 15 * 0.75, Kind.UNKNOWN: 5 * 0.75}.get(kind, 0.5)
    verdict = after_failure(
        _diagnosis(kind), replace(RUN, **changes), WORLD, Limits(), hold=hold, chance=0.5
    )
    assert verdict == (
        Verdict("park", hold=hold)
        if word == "park"
        else Verdict("retry", first * 2 ** (changes.get("tries", 1) - 1))
    )


CHANCES = st.floats(0, 1, exclude_max=True)
TRIES = st.integers(0, 1000)
KINDS = st.sampled_from(list(Kind))


@given(TRIES, CHANCES)
def test_full_jitter_spreads_over_the_whole_pause(tries: int, chance: float) -> None:
    """From nothing up to the doubled back-off, and to the cap: in proportion to the chance."""
    limits = Limits(backoff=2.0, backoff_most=300.0)
    most = min(300.0, 2.0 * 2.0 ** max(0, tries - 1))
    assert backoff(tries, limits, 0.0) == 0.0
    assert backoff(tries, limits, chance) == pytest.approx(most * chance)
    assert backoff(tries, limits, chance) <= most


@given(TRIES, CHANCES, st.sampled_from([(Kind.THROTTLED, 15), (Kind.UNKNOWN, 5)]))
def test_a_limit_and_the_unknown_are_never_tried_again_at_once(
    tries: int, chance: float, spaced: tuple[Kind, int]
) -> None:
    """Their pauses lie in the upper half of a wider back-off, and keep the same cap."""
    limits, (kind, wider) = Limits(backoff=2.0, backoff_most=300.0), spaced
    most = min(300.0, 2.0 * wider * 2.0 ** max(0, tries - 1))
    pause = backoff(tries, limits, chance, kind)
    assert most / 2 <= pause <= most
    assert pause == pytest.approx(most / 2 + most / 2 * chance)


@given(TRIES, CHANCES, KINDS, st.floats(0, 10**6))
def test_what_the_other_side_asked_for_is_the_least(
    tries: int, chance: float, kind: Kind, asked: float
) -> None:
    """Nobody comes before that time, and not all who were told it come in that moment."""
    limits = Limits(backoff=2.0, backoff_most=300.0)
    pauses = [backoff(tries, limits, each, kind, asked) for each in (0.0, chance, 0.999)]
    assert asked == pauses[0] <= pauses[1] <= asked + 300.0
    assert asked < pauses[2]


@pytest.mark.parametrize(
    ("kind", "changes", "settles"),
    [
        (Kind.UNKNOWN, {"fingerprint": "f"}, True),
        (Kind.UNKNOWN, {"fingerprint": "other"}, False),
        (Kind.UNKNOWN, {"fingerprint": "f", "world": World("0", "db=a")}, False),
        (Kind.TRANSIENT, {"fingerprint": "f"}, False),
        (Kind.STOCHASTIC, {"fingerprint": "f"}, False),
        (Kind.DETERMINISTIC, {"fingerprint": "f"}, False),
    ],
)
def test_what_nobody_knows_is_deterministic_once_it_came_back(
    kind: Kind, changes: dict[str, Any], settles: bool
) -> None:
    """By the same fingerprint in the same world, and with a reason that says so."""
    found = _diagnosis(kind)
    told = settled(found, replace(RUN, **changes), WORLD)
    if settles:
        assert told.kind is Kind.DETERMINISTIC
        assert told.reason == "the same failure came back: why"
        assert {WakesOn.CODE, WakesOn.SCHEMA} <= set(told.wakes_on)
        assert settled(replace(told, kind=Kind.UNKNOWN), replace(RUN, **changes), WORLD) == told
    else:
        assert told == found


@pytest.mark.parametrize(
    ("calls", "stands"),
    [
        ([], None),
        ([CALL], None),
        ([WASTE], None),
        ([CALL, PAID], PAID),
        ([WASTE, PAID], PAID),
        ([PAID, RELEASED], PAID),
        ([RECORDED_LATE, RECORDED], RECORDED),
        ([RECORDED, RECORDED_LATE], RECORDED),
        ([RECORDED, PAID], RECORDED),
    ],
)
def test_the_receipt_that_stands(calls: list[Call], stands: Call | None) -> None:
    """The one that is paid and was not rejected; of two, the one that was recorded first."""
    assert standing(calls) == stands


@pytest.mark.parametrize(
    ("call", "parents", "is_open"),
    [
        (CALL, (), True),
        (structs.replace(CALL, state=CallState.INTENDED), (), True),
        (structs.replace(CALL, resolution="pay_again"), (), False),
        (CALL, (1,), False),
        (RELEASED, (), False),
        (PAID, (), False),
    ],
)
def test_a_doubt_is_open_until_somebody_knows(
    call: Call, parents: tuple[int, ...], is_open: bool
) -> None:
    """A person's word closes it; captured calls inside answer for their step."""
    assert (open_doubt([call], parents) is call) is is_open


def test_a_step_that_calls_were_made_inside_of_is_as_certain_at_each_send() -> None:
    """Its second send, in which these were replayed or not yet reached, is no doubt either."""
    again = structs.replace(CALL, id=2, send=2, attempt=2)
    assert open_doubt([CALL, again], (1,)) is None
    assert open_doubt([CALL, again], ()) is again


SILENT = [structs.replace(CALL, id=n, send=n, attempt=n) for n in (1, 2)]
ERROR_500 = [structs.replace(c, reason=f"{ANSWERED} 500") for c in SILENT]
NO_COLUMN = [structs.replace(c, reason=f"{REFUSED_BY_DATABASE}: no such column") for c in SILENT]


@pytest.mark.parametrize(
    ("calls", "in_doubt", "raised", "repeatable"),
    [
        ([], "park", None, None),
        ([RELEASED], "park", None, None),
        (SILENT[:1], "park", InDoubt, False),
        (SILENT[:1], "retry", None, None),
        (SILENT, "retry", InDoubt, False),
        ([structs.replace(CALL, attempt=3)], "retry", InDoubt, True),
        (ERROR_500, "retry", None, None),
        (ERROR_500, "park", InDoubt, False),
        (NO_COLUMN, "park", None, None),
        ([structs.replace(c, resolution="pay_again") for c in SILENT], "park", None, None),
        ([WASTE] * 2, "park", None, None),
        ([WASTE] * 3, "park", Rejected, None),
        ([structs.replace(WASTE, resolution="pay_again")] * 3, "park", None, None),
        ([RELEASED] * 19, "park", None, None),
        ([RELEASED] * 20, "park", SendsUsedUp, None),
    ],
)
def test_what_may_be_sent(
    calls: list[Call], in_doubt: Any, raised: Any, repeatable: bool | None
) -> None:
    """A silent call is repeated once and only by a later attempt; waste and sends are capped."""
    error: BaseException | None = None
    try:
        may_send(
            calls,
            name="ask",
            attempt=3,
            in_doubt=in_doubt,
            resamples=2,
            parents=(),
            limits=Limits(sends=20, repeats=1),
        )
    except (InDoubt, Rejected, SendsUsedUp) as exc:
        error = exc
    assert (type(error) if error else None) is raised
    assert getattr(error, "repeatable", None) == repeatable
