"""What people see, as snapshots; `pytest --snapshot-update` renews them."""

from __future__ import annotations

import re

import pytest
from syrupy.assertion import SnapshotAssertion
from tests.cli.shopping import Shop, payonce


def _steady(output: str) -> str:
    """An output without what differs from run to run, each piece as wide as before."""
    output = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", "yyyy-mm-dd hh:mm:ss", output)
    return re.sub(r"(=|cause )[0-9a-f]{12}\b", r"\1############", output)


@pytest.fixture
def morning_after(shop: Shop) -> Shop:
    """A shop with 21 deliveries of a hopeless run, one in doubt, one rejected, one done."""
    shop.deliver("course", 1, "acme", times=21)
    shop.deliver("course", 2, "zenith")
    shop.die("order", 3)
    shop.deliver("order", 3)
    shop.deliver("review", 7)
    shop.deliver("order", 4)
    return shop


@pytest.mark.parametrize(
    "command",
    [
        "runs",
        "parked",
        "show course:1",
        "show order:3",
        "show course:7 --answers",
        "wake shop:app --dry-run --force",
        "wake shop:app --force",
        "resolve 7 --did-not-happen",
    ],
)
def test_what_people_see(morning_after: Shop, command: str, snapshot: SnapshotAssertion) -> None:
    """Each report reads as it did when somebody last looked at it."""
    assert _steady(payonce(*command.split()).stdout) == snapshot
