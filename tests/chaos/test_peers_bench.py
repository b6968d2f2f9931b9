"""The accident: three paid steps, then a write to a column that is not there yet.

Each delivery is a process of its own, and the provider's bill is the witness.
"""

from __future__ import annotations

import pytest
from tests.chaos.site import Site

from payonce.model import CallState, RunState

ONCE = {"one": 1, "two": 1, "three": 1}


@pytest.fixture
def accident(site: Site) -> Site:
    """The batch of the accident, deployed before its migration."""
    site.deploy("accident")
    return site


@pytest.mark.slow
def test_21_deliveries_pay_three_calls_and_try_one_write(accident: Site) -> None:
    """21 processes: 3 calls are billed and 1 write is tried, and after the migration the run is
    done under the same key, by itself, without paying again."""
    told = [accident.deliver() for _ in range(21)]
    assert {answer.word for answer in told} == {"Parked"}
    assert accident.bill() == ONCE
    assert accident.count("writes") == 1
    assert accident.run.state is RunState.PARKED
    parked = accident.run

    accident.migrate()
    assert accident.deliver().word == "done"
    assert accident.bill() == ONCE
    assert (accident.run.id, accident.run.key) == (parked.id, "course:42")
    assert accident.run.state is RunState.DONE
    assert accident.rows() == 1


def test_a_killed_call_is_shown_in_doubt_and_repeated_once(accident: Site) -> None:
    """kill -9 inside the second call, after it was billed: the next delivery repeats it, and the
    journal shows both."""
    accident.migrate()
    accident.killed_in("two")
    assert accident.bill() == {"one": 1, "two": 1}

    assert accident.deliver().word == "done"
    assert accident.bill() == {"one": 1, "two": 2, "three": 1}
    (doubt,) = accident.doubts()
    repeated = [call for call in accident.calls() if call.step_key == doubt.step_key]
    assert [call.state for call in repeated] == [CallState.IN_DOUBT, CallState.PAID]
    assert accident.rows() == 1


def test_two_deliveries_at_once_are_both_answered_for_one_bill(accident: Site) -> None:
    """Two processes started together: 3 calls are billed, one row is written, both hear the
    result."""
    accident.migrate()
    both = [accident.start(), accident.start()]
    first, second = (worker.told() for worker in both)
    assert first == second
    assert first.word == "done"
    assert accident.bill() == ONCE
    assert accident.rows() == accident.count("writes") == 1


@pytest.mark.slow
def test_the_official_sdk_is_paid_for_once(site: Site) -> None:
    """The same with OpenAI's SDK and `app.capture()` in the place of steps: parked, killed,
    migrated, done."""
    site.deploy("sdk")
    site.killed_in("two")
    assert site.deliver().word == "Parked"
    assert len(site.doubts()) == 1

    site.migrate()
    assert site.deliver().word == "done"
    assert site.bill() == {"one": 1, "two": 2, "three": 1, "four": 1, "five": 1}
    assert (site.rows(), site.count("writes")) == (1, 2)
