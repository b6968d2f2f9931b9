"""What the machine was thought out to find, in its shortest form."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.journal.stores import Store
from tests.machine.stage import Stage
from tests.machine.trip import LEASE

import payonce.admit
from payonce.testing import MeteredProvider


@pytest.fixture
def stage(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A world whose deliveries are told one by one."""
    with MeteredProvider() as provider:
        named = {"store": store.url, "provider": provider, "bill": Counter()}
        stage = type("Told", (Stage,), named | {"numbers": itertools.count()})()
        monkeypatch.setattr(payonce.admit, "owner", stage.owner)
        monkeypatch.setattr(payonce.admit, "is_dead", stage.dead.__contains__)
        stage._alter("ALTER TABLE courses ADD COLUMN outline TEXT")
        yield stage
        stage.put_away()


def test_the_receipt_that_stood_first_stands_for_ever(stage: Stage) -> None:
    """Two zombies' receipts of one call come late, one before an attempt uses it and one after:
    the next attempt is given the same answer, or all that follows from it would be paid again."""
    first, second, third, fourth = (stage.start("a0") for _ in range(4))
    first.stop_at = second.stop_at = ("answered", 1)
    for zombie in (first, second):
        zombie.go()
        stage.clock += LEASE + 1
    first.go()
    third.trouble = ConnectionResetError(104, "reset")
    assert third.go().told is not None
    assert third.told[0] == "RetryLater"
    second.go()
    stage.clock += LEASE + 1
    assert fourth.go().told is not None
    assert fourth.told[0] == "done"
    assert fourth.answers == third.answers
    assert first.answers["outline"] == third.answers["outline"] != second.answers["outline"]
