"""A step around captured calls is as certain as those are; unless it says that it does more."""

from __future__ import annotations

import pytest
from tests.chaos.site import Site

from payonce.model import CallState
from payonce.resolving import resolve

pytestmark = pytest.mark.slow

BILL = {"one": 1, "two": 1}


@pytest.fixture
def enclosing(site: Site) -> Site:
    """A site whose step encloses two captured calls, and then loses its connection."""
    site.deploy("enclosing")
    return site


def test_a_connection_that_is_lost_again_and_again_asks_nobody(enclosing: Site) -> None:
    """Given a step whose calls have receipts, when what it does after them fails three times, each
    in a process of its own, and then doesn't, then it is done, nothing was paid again, nothing is
    in doubt, and no budget is used for more than was billed."""
    words = [enclosing.deliver().word for _ in range(3)]
    (enclosing.folder / "up").touch()
    assert [*words, enclosing.deliver().word] == ["RetryLater"] * 3 + ["done"]
    assert (enclosing.bill(), enclosing.count("writes")) == (BILL, 4)
    outer = [call.state for call in enclosing.calls() if call.source == "step"]
    assert outer == [CallState.IN_DOUBT, *[CallState.RELEASED] * 2, CallState.PAID]
    [balance] = enclosing.journal.ledger.balances()
    assert (balance.spent, balance.doubt, balance.held) == (enclosing.provider.cost.nanos, 0, 0)


def test_a_worker_that_is_killed_there_asks_nobody(enclosing: Site) -> None:
    """The same where the worker is killed, twice, while all that is inside was replayed."""
    for _ in range(2):
        assert enclosing.start(dies="1", ceiling="5 USD").died()
    (enclosing.folder / "up").touch()
    assert enclosing.deliver().word == "done"
    assert (enclosing.bill(), enclosing.count("writes")) == (BILL, 3)
    [balance] = enclosing.journal.ledger.balances()
    assert (balance.spent, balance.doubt, balance.held) == (enclosing.provider.cost.nanos, 0, 0)


def test_who_does_something_of_his_own_says_so(enclosing: Site) -> None:
    """Given a step that is said to park in doubt, when it fails after the calls inside of it, then
    the next delivery parks, though these have receipts, and a person's word lets it go on."""
    words = [enclosing.deliver(in_doubt="park").word for _ in range(3)]
    assert words == ["RetryLater", "Parked", "Parked"]
    assert enclosing.count("writes") == 1
    [doubt] = enclosing.doubts()
    assert f"payonce resolve {doubt.id}" in (enclosing.run.reason or "")
    assert resolve(enclosing.journal, doubt.id, "did_not_happen").woken
    (enclosing.folder / "up").touch()
    assert enclosing.deliver(in_doubt="park").word == "done"
    assert (enclosing.bill(), enclosing.count("writes")) == (BILL, 2)
