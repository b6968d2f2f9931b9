"""The reference names what there is, with its arguments."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import payonce

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
CALLS = re.findall(r"^\| `(app\.\w+|[A-Z]\w+)\(([^)…]*)\)` \|", PAGE, re.MULTILINE)
UNTOLD = {"app.step": {"function"}, "app.again": {"loop"}}


@pytest.mark.parametrize(("name", "told"), CALLS, ids=[name for name, _ in CALLS])
def test_a_call_is_shown_with_all_of_its_arguments(name: str, told: str) -> None:
    """In the order of its signature."""
    owner = payonce.Payonce if name.startswith("app.") else payonce
    parameters = list(inspect.signature(getattr(owner, name.removeprefix("app."))).parameters)
    if name.startswith("app."):
        parameters.remove("self")
    shown = [each.strip("* ") for each in told.split(",") if each.strip("* ")]
    assert shown == [each for each in parameters if each not in UNTOLD.get(name, set())]


def test_all_public_names_are_there() -> None:
    """Each name of `payonce.__all__` is on the page, as code."""
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]*`", PAGE))))
    assert [name for name in payonce.__all__ if name not in words] == []
