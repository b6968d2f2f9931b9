"""`prune`: old runs go, in steps, and nothing else does."""

from __future__ import annotations

import pytest
from tests.cli.shopping import Shop, payonce, payonce_json


@pytest.fixture
def orders(shop: Shop) -> Shop:
    """Three runs that are done and two that are parked, all of them old."""
    shop.migrate()
    for number in range(3):
        shop.deliver("course", number, "acme")
    shop.execute("ALTER TABLE courses DROP COLUMN outline")
    shop.deliver("course", 8, "acme")
    shop.deliver("course", 9, "acme")
    shop.execute("UPDATE payonce_runs SET updated_at = updated_at - 86400", "payonce.db")
    return shop


def test_old_runs_are_removed(orders: Shop) -> None:
    """What was done a day ago goes, with its calls; what is parked stays."""
    assert payonce_json("prune", "--older-than", "2d")["runs"] == 0
    pruned = payonce_json("prune", "--older-than", "12h", "--batch", "2")
    assert (pruned["runs"], pruned["calls"]) == (3, 9)
    assert [run["state"] for run in payonce_json("runs")] == ["parked"] * 2
    assert payonce_json("prune", "--older-than", "12h", "--parked")["runs"] == 1


def test_it_says_what_it_removed(orders: Shop) -> None:
    """People read how much went."""
    result = payonce("prune", "--older-than", "1h")
    assert result.exit_code == 0
    assert result.stdout.startswith("3 runs removed, with 9 calls and ")


@pytest.mark.parametrize("age", ["", "soon", "-3d", "3 fortnights"])
def test_an_odd_age_is_refused(orders: Shop, age: str) -> None:
    """What is no length of time removes nothing, and says how to write one."""
    result = payonce("prune", "--older-than", age)
    assert result.exit_code == 2
    assert "90d" in result.stderr
    assert len(payonce_json("runs")) == 5


def test_the_age_has_to_be_said(orders: Shop) -> None:
    """There is no default for what may go."""
    assert payonce("prune").exit_code == 2
