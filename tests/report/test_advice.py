"""What a person is told to do next about a run."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs
from tests.report.test_parts import PAID

from payonce.model import CallState, Run, RunState, WakesOn
from payonce.report.advice import advice

NOW = 1_000.0


RUN = Run(
    id=1,
    job="shop.course",
    key="course:42",
    tenant="acme",
    state=RunState.DONE,
    attempt=1,
    tries=1,
    kills=0,
    killed_at=None,
    lease_owner=None,
    lease_until=None,
    retry_at=None,
    arguments=b"{}",
    arguments_fingerprint="",
    reason=None,
    kind=None,
    evidence=None,
    fingerprint=None,
    wakes_on=(),
    world=None,
    created_at=0.0,
    updated_at=0.0,
    result=None,
)


def test_a_run_of_a_used_up_budget_names_what_raises_it() -> None:
    """Waking would park it again: more has to be allowed, or the day has to be over."""
    for per, over in (("day", ", or when the day is over"), ("total", "")):
        cause = f"BudgetReached:tenant:acme:{per}:USD"
        run = replace(RUN, state=RunState.PARKED, wakes_on=(WakesOn.BUDGET,), fingerprint=cause)
        (told,) = advice(run, [], NOW)
        assert f"when more is allowed{over}: payonce budget set 'N USD' --tenant acme" in told
        assert "payonce wake" not in told


def test_a_worker_that_is_gone_is_told_before_its_lease_ends() -> None:
    """Nothing is working on it, whatever the lease says."""
    run = replace(RUN, state=RunState.RUNNING, lease_owner="vm/1/2", lease_until=NOW + 60)
    assert advice(run, [], NOW) == ["Nothing: vm/1/2 is working on it."]
    (told,) = advice(run, [], NOW, lost=True)
    assert told.startswith("Its worker vm/1/2 is gone: the next delivery takes it over.")


def test_a_doubt_that_a_done_run_has_left_can_be_taken_back() -> None:
    """The call was repeated, the first one may be on the bill, and a budget counts it."""
    doubt = structs.replace(PAID, id=9, state=CallState.IN_DOUBT)
    (told,) = advice(RUN, [doubt, PAID], NOW)
    assert told.endswith("payonce resolve 9 --did-not-happen")
    resolved = structs.replace(doubt, resolution="pay_again")
    (told,) = advice(RUN, [resolved, PAID], NOW)
    assert told.startswith("Nothing: ")
