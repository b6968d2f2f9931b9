"""What `bench/` measures is measured by hand; that it can be measured is tested."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.databases.postgres import NoPostgres, binaries

ROOT = Path(__file__).parents[1]
TINY = "--steps 3 --rounds 1 --receipts 20 --deliveries 5 --fanout 4 --threads 2 --imports 1"
FIGURES = {
    *("floor_ms", "payonce_step_ms", "payonce_replay_ms", "payonce_step_over_floor"),
    *("open_and_replay_s", "parked_deliveries_per_s", "payonce_fanout_ms", "payonce_peak_mb"),
}
PEERS = {
    *("dbos_step_ms", "dbos_replay_ms", "dbos_step_over_floor"),
    *("dbos_overhead_over_payonce", "dbos_replay_over_payonce"),
}
PARALLEL = {"floor_per_s", "payonce_per_s", "payonce_per_s_over_floor"}


def _measured(script: str, *words: str) -> Any:
    command = [sys.executable, ROOT / "bench" / script, *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _need_postgres() -> None:
    try:
        binaries()
    except NoPostgres as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_paid_step_can_be_measured_beside_the_floor_and_the_peer(kind: str) -> None:
    """Each figure of payonce is there; those of the peer are null where it isn't installed."""
    if kind == "postgres":
        _need_postgres()

    result = _measured("steps.py", *TINY.split(), "--only", kind)

    found = result[kind]
    wanted = FIGURES | (PARALLEL if kind == "postgres" else set())
    assert {name for name in wanted if not found.get(name)} == set()
    there = importlib.util.find_spec("dbos") is not None
    assert {name: bool(found[name]) for name in PEERS} == dict.fromkeys(PEERS, there)
    assert result["machine"]["cores"]
    assert result["versions"]["payonce"]
    assert result["imports"]["payonce_import_over_bare_ms"]


@pytest.mark.slow
def test_growth_can_be_measured() -> None:
    """Each cost is there at each size, on both journals."""
    _need_postgres()
    result = _measured("scale.py", "--calls", "1000,2000")
    for kind in ("sqlite", "postgres"):
        assert [row["calls"] for row in result[kind]] == [1000, 2000]
        for row in result[kind]:
            assert {n for n in row if n.endswith("_ms") and not row[n]} == set()
            assert row["bytes"]["all"] > 0


@pytest.mark.slow
def test_what_an_observer_adds_can_be_measured() -> None:
    """Each contender has each figure."""
    result = _measured("observe.py", "--steps", "3", "--rounds", "2")
    for found in result.values():
        assert set(found) == {"nobody", "api", "sdk"}
        assert all(set(took) == {"step", "replay", "delivery"} for took in found.values())


@pytest.mark.slow
def test_what_prices_cost_can_be_measured() -> None:
    """Each figure is there: to load the lists, to price a receipt, to find a ceiling."""
    result = _measured("prices.py", "--rounds", "1", "--calls", "10")
    assert {name for name, value in result.items() if not value > 0} == set()
    assert set(result) >= {"load_ms", "load_beside_openai_ms", "cost_us", "ceiling_us"}


@pytest.mark.slow
def test_audits_of_large_files_can_be_measured() -> None:
    """On tiny files each kind is written, audited and its storm found."""
    figures = _measured("audit.py", "--mb", "1")
    assert set(figures) >= {"spendlogs", "parquet", "langfuse", "cloud_run", "worker_log", "spans"}
    for figure in figures.values():
        assert set(figure) >= {"mb", "rows", "seconds", "cpu_seconds", "peak_mb", "found"}
        assert figure["found"]


def test_looks_at_alarms_are_measured() -> None:
    """By the default rules and where all pass the floor, on both journals."""
    _need_postgres()
    found = _measured("alarms.py", "--calls", "2000")
    for journal in ("sqlite", "postgres"):
        assert set(found[journal]) == {"by default", "all pass the floor"}
        for rules in found[journal].values():
            assert set(rules) == {"first look of an hour", "looks after it", "told"}
