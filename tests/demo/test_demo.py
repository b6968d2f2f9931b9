"""`payonce demo`: the whole story by real processes, and what it says when it can't be told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.demo.conftest import Told, command, run

from payonce.journal import journal_at
from payonce.journal.protocol import RunFilter
from payonce.model import CallState
from payonce.money import Money
from payonce.testing import BilledCall, read_bill

pytestmark = pytest.mark.slow


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _bill(told: Told, act: str) -> list[BilledCall]:
    return read_bill(told.folder / "bills" / f"{act}.jsonl")


def test_the_story_has_the_promised_figures(told: Told) -> None:
    """63 calls are billed without payonce and 3 with it; the run parks, then finishes."""
    assert (told.process.returncode, told.process.stderr) == (0, "")
    story = json.loads(told.process.stdout)
    unprotected, protected, migrated = (
        story[act] for act in ("unprotected", "protected", "after_migration")
    )
    assert [unprotected[n] for n in ("deliveries", "billed_calls", "failing_writes")] == [
        21,
        63,
        21,
    ]
    assert [protected[n] for n in ("deliveries", "deliveries_queue_wanted")] == [21, 1]
    assert [protected[n] for n in ("billed_calls", "failing_writes", "state")] == [3, 1, "parked"]
    assert protected["reason"] == 'column "outline" of table "courses" does not exist'
    assert protected["billed_to_other_deliveries"] == 0
    assert [migrated[n] for n in ("billed_calls", "state", "run_key", "same_key")] == [
        *(3, "done", "course:42", True)
    ]


def test_the_costs_are_those_of_the_bill(told: Told) -> None:
    """Each cost is the sum of what the provider wrote down when it billed."""
    story = json.loads(told.process.stdout)
    for act in ("unprotected", "protected"):
        bill = _bill(told, act)
        assert len(bill) == story[act]["billed_calls"]
        assert Money(sum(c.cost_nanos for c in bill)).amount == story[act]["cost_usd"]


def test_the_journal_is_kept(told: Told) -> None:
    """The kept journal has the finished run, its three receipts, its deliveries and its bill."""
    journal = journal_at(f"sqlite:///{told.folder / 'protected' / 'payonce.db'}")
    try:
        (summary,) = journal.runs(RunFilter())
        calls = journal.calls(summary.run.id)
    finally:
        journal.stop()
    assert (summary.run.key, summary.run.state) == ("course:42", "done")
    assert summary.deliveries in {22, 23}  # the app's own look may come before the queue's last
    assert [call.state for call in calls] == [CallState.PAID] * 3
    bill = Money(sum(call.cost_nanos for call in _bill(told, "protected")))
    assert (summary.money, summary.unpriced) == ((bill,), 0)


def test_the_queue_and_the_requests_are_kept(told: Told) -> None:
    """The queue's and the app's request logs tell the same 21 failures, and 22 answers of 2xx."""
    for act, statuses in (("unprotected", [500] * 21), ("protected", [204] * 21 + [200])):
        requests = _lines(told.folder / act / "requests.jsonl")
        entries = _lines(told.folder / act / "task_operations_log.jsonl")
        outcomes = [e["jsonPayload"].get("attemptResponseLog") for e in entries]
        assert [request["httpRequest"]["status"] for request in requests] == statuses
        assert [outcome["status"] == "OK" for outcome in outcomes if outcome] == [
            status < 300 for status in statuses
        ]
        assert len({request["trace"] for request in requests}) == len(statuses)


def test_the_usage_of_both_providers_is_kept(told: Told) -> None:
    """The usage exports add up to the bill, call by call and token by token."""
    bill = _bill(told, "unprotected")
    folder = told.folder / "unprotected"
    results = {
        provider: [
            result
            for bucket in json.loads((folder / f"{provider}_usage.json").read_text())["data"]
            for result in bucket["results"]
        ]
        for provider in ("openai", "anthropic")
    }
    for provider, name in (("openai", "input_tokens"), ("anthropic", "uncached_input_tokens")):
        calls = [call for call in bill if call.provider == provider]
        assert {r["model"] for r in results[provider]} == {call.model for call in calls}
        assert sum(r[name] for r in results[provider]) == sum(c.input_tokens for c in calls)
        assert sum(r["output_tokens"] for r in results[provider]) == sum(
            c.output_tokens for c in calls
        )
    assert sum(result["num_model_requests"] for result in results["openai"]) == 42


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    """A folder that isn't empty, or is a file, is refused with exit code 2 and stays as it is."""
    note = tmp_path / "note.txt"
    note.write_text("mine")
    for keep, why in ((tmp_path, "is not empty"), (note, "can't be used")):
        done = run("--keep", keep).process
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{keep} {why}" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    assert note.read_text() == "mine"


def test_missing_packages_are_named_with_the_install_line(tmp_path: Path) -> None:
    """Without its extra the demo names what is missing and how to install it."""
    options = command()
    options[2] = f"import sys\nsys.modules['openai'] = None\n{options[2]}"
    done = subprocess.run(options, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "not installed: openai" in done.stderr
    assert 'pip install "payonce[demo]"' in done.stderr


def test_a_process_that_fails_shows_its_log(tmp_path: Path) -> None:
    """When a process ends early, the demo ends with code 1 and the last lines of its log."""
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('no port is free')")
    done = run(environment={**os.environ, "PYTHONPATH": str(tmp_path)}).process
    assert done.returncode == 1
    assert "the demo's unprotected app ended with code 1" in done.stderr
    assert "no port is free" in done.stderr


@contextmanager
def _begun(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A demo whose apps are up, and their process ids."""
    process = subprocess.Popen(
        command("--keep", folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process, [_started(folder / act) for act in ("unprotected", "protected")]
    finally:
        process.kill()
        process.communicate()


def _started(act: Path) -> int:
    """Wait until an app is up, by its own log; its process id."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        log = (act / "app.log").read_text() if (act / "app.log").exists() else ""
        if found := re.search(r"Started server process \[(\d+)\]", log):
            return int(found[1])
        time.sleep(0.02)
    raise AssertionError(f"{act.name} did not start")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C or SIGTERM to the demo alone ends its processes before it ends itself."""
    with _begun(tmp_path) as (demo, apps):
        demo.send_signal(number)
        demo.wait(15)
        assert demo.returncode != 0
        for pid in apps:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
