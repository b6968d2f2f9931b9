"""The demo's accident, found in what a real deployment would have of it; and real exports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.audit.asking import audited, samples, told
from tests.demo.conftest import Told

pytestmark = pytest.mark.slow


@pytest.fixture
def unprotected(kept: Told) -> Path:
    """The folder of the app that had the accident."""
    return kept.folder / "unprotected"


def test_the_storm_is_found_in_the_logs_alone(unprotected: Path) -> None:
    """One task, 21 deliveries, 63 paid calls of which 60 were wasted, and the missing column."""
    found = audited(*unprotected.iterdir())
    assert found.code == 1
    (storm,) = found.storms
    assert (storm["task"], storm["deliveries"], storm["failed"]) == ("course-42", 21, 21)
    assert (storm["calls"], storm["wasted_calls"]) == (63, 60)
    assert "no column named outline" in storm["error"]
    assert storm["reason"] == 'column "outline" of table "courses" does not exist'
    assert storm["kind"] == "deterministic"
    assert "Cloud Tasks" in storm["spacing"]


def test_the_first_sentence_is_the_answer(unprotected: Path) -> None:
    """For people the first line has the task, its deliveries, the cause and what was wasted."""
    code, out, err = told(*unprotected.iterdir())
    assert (code, err) == (1, "")
    first, *rest = out.splitlines()
    assert first.startswith("Task course-42: 21 deliveries in ")
    assert '(column "outline" of table "courses" does not exist)' in first
    assert "63 calls paid, 60 wasted: about 0.01896 USD." in first
    assert any("app.log: application log" in line for line in rest)


def test_each_file_says_what_it_cannot_know(unprotected: Path) -> None:
    """Each source is told of, with what it lacks; what is no log is named with its reason."""
    found = audited(*unprotected.iterdir())
    logs = {"app.log", "requests.jsonl", "task_operations_log.jsonl"}
    usage = {"openai_usage.json", "anthropic_usage.json"}
    for name in logs | usage:
        source = found.source(unprotected / name)
        assert source["cannot_know"]
        assert (source["error"], source["skipped"]) == (None, [])
    assert "SQLite" in found.source(unprotected / "courses.db")["error"]
    assert "not of a format" in found.source(unprotected / "batch.py")["error"]


@pytest.mark.parametrize(
    ("file", "deliveries", "calls", "wasted"),
    [("app.log", 21, 63, 60), ("task_operations_log.jsonl", 21, None, None),
     ("requests.jsonl", 21, None, None)],
)  # fmt: skip
def test_each_log_alone_tells_its_part(
    unprotected: Path, file: str, deliveries: int, calls: int | None, wasted: int | None
) -> None:
    """The app's log has all; those of the platform have the deliveries, and say what they lack."""
    (storm,) = audited(unprotected / file).storms
    assert storm["deliveries"] == deliveries
    assert (storm["calls"], storm["wasted_calls"]) == (calls, wasted)
    assert calls is not None or any("paid for" in text for text in storm["cannot_know"])


def test_the_bill_has_the_money(kept: Told, unprotected: Path) -> None:
    """With the provider's bill beside the app's log the storm has its cost, to the nano-dollar."""
    story = json.loads(kept.process.stdout)
    found = audited(kept.folder / "bills" / "unprotected.jsonl", unprotected / "app.log")
    (storm,) = found.storms
    assert (storm["calls"], storm["wasted_calls"]) == (63, 60)
    assert storm["cost_usd"] == story["unprotected"]["cost_usd"]
    assert storm["wasted_usd"] == story["saved_usd"]
    assert storm["calls_without_cost"] == 0


def test_the_usage_of_the_day_has_the_money(kept: Told, unprotected: Path) -> None:
    """The providers' sums beside the logs give the cost of the storm, and say how they do."""
    story = json.loads(kept.process.stdout)
    (storm,) = audited(unprotected).storms
    assert storm["cost_usd"] == story["unprotected"]["cost_usd"]
    assert storm["wasted_usd"] == story["saved_usd"]
    assert storm["cost_basis"] == "average of the provider's sums"
    assert storm["calls_without_cost"] == 0


def test_the_protected_app_had_no_storm(kept: Told) -> None:
    """What the app with payonce left has 21 deliveries, too, and nothing to complain of."""
    found = audited(*(kept.folder / "protected").iterdir())
    assert (found.code, found.storms) == (0, [])


def test_the_samples_have_one_storm() -> None:
    """Of all real exports only the spans of three failed deliveries are a storm."""
    found = audited(*(path for path in samples().rglob("*") if path.is_file()))
    assert found.code == 1
    (storm,) = found.storms
    assert (storm["task"], storm["tenant"], storm["deliveries"]) == ("batch-t42", "t-42", 3)
    assert (storm["calls"], storm["wasted_calls"]) == (6, 4)
    assert storm["reason"] == 'column "score" of table "results" does not exist'
    assert (found.document["identical"], found.document["hidden_retries"]) == ([], [])


def test_the_azure_traces_have_none() -> None:
    """28,185 calls of production are read, and no storm is found in them."""
    found = audited(*(samples() / "azure_llm").glob("*.csv"))
    assert (found.code, found.storms) == (0, [])
    assert found.document["concentration"] == []
    assert found.document["totals"]["calls"] == 28_185
    assert found.document["totals"]["calls_without_cost"] == 28_185


def test_half_of_a_month_on_one_day_is_named_and_is_no_storm() -> None:
    """The day with 47.9 % of a month's input tokens is a concentration, not a storm."""
    found = audited(samples() / "openai_usage_completions_30d_real.json")
    assert (found.code, found.storms) == (0, [])
    (day,) = found.document["concentration"]
    assert (day["period"], day["measure"]) == ("2025-01-18", "input_tokens")
    assert round(day["share"], 3) == 0.479
    code, out, _ = told(samples() / "openai_usage_completions_30d_real.json")
    assert (code, out.splitlines()[0]) == (0, "No retry storm in 1 file (31 rows).")
    assert "2025-01-18 holds 47.9 % of the input tokens of all 31 days" in out
