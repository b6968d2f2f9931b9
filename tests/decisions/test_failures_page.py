"""`docs/failures.md` says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import payonce.failure
from payonce.model import Kind

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "failures.md").read_text("utf-8")
TABLES = Path(payonce.failure.__file__).parent
NO_TABLE = {
    *("__init__", "billing", "finding", "own", "reason", "rules", "stand_in", "weigh"),
    "pasted",
    "pasted_message",
}


def test_each_kind_is_told() -> None:
    """The first table has all kinds, and no other."""
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## What it is read")[0], re.MULTILINE)
    assert rows == [kind.value for kind in Kind]


def test_each_table_has_its_source() -> None:
    """Every module with rules is named with where they come from; each says so itself."""
    named = set(re.findall(r"failure/(\w+)\.py", PAGE))
    modules = {path.stem for path in TABLES.glob("*.py")} - NO_TABLE
    assert named == modules
    for name in modules:
        assert "Source" in (TABLES / f"{name}.py").read_text("utf-8").partition("from __")[0], name
