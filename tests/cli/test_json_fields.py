"""The fields of `--json` are those that `docs/cli.md` names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.cli.shopping import Shop, payonce_json

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"


def _told(row: str) -> set[str]:
    """The fields in a row of the table, without what is said of them in brackets."""
    page = PAGE.read_text(encoding="utf-8")
    (cell,) = re.findall(rf"^\| {re.escape(row)} \| \w+ \| (.*) \|$", page, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", cell)))


def _fields(command: str) -> Any:
    document = payonce_json(*command.split())
    return set(document[0] if isinstance(document, list) else document)


@pytest.mark.parametrize(
    ("row", "command"),
    [
        ("`runs`", "runs"),
        ("`show`", "show course:1"),
        ("`parked`", "parked"),
        ("`wake --dry-run`", "wake shop:app --dry-run --force"),
        ("`wake`", "wake shop:app --force"),
        ("`prune`", "prune --older-than 1d"),
        ("`doctor`", "doctor"),
        ("`budget`", "budget"),
        ("`budget set`, `lift`, `clear`", "budget set 5USD"),
    ],
)
def test_each_field_is_named(shop: Shop, row: str, command: str) -> None:
    """No field without a word, no word without a field."""
    shop.deliver("course", 1, "acme")
    if command == "budget":
        payonce_json("budget", "set", "5 USD")
    assert _fields(command) == _told(row) - ({"key", "job"} if "set" in row else set())


def test_so_are_those_of_what_a_run_holds(shop: Shop) -> None:
    """Its deliveries, attempts and calls."""
    shop.deliver("course", 1, "acme")
    document = payonce_json("show", "course:1", "--error", "--answers")
    for part in ("deliveries", "attempts", "calls"):
        assert set(document[part][0]) == _told(f"its `{part}`")


def test_so_are_those_of_a_resolution(shop: Shop) -> None:
    """The call, what was said of it, and its run."""
    shop.die("order", 3)
    shop.deliver("order", 3)
    (call,) = [call["id"] for call in payonce_json("show", "order:3")["calls"]]
    told = payonce_json("resolve", str(call), "--did-not-happen")
    assert set(told) == _told("`resolve`")
