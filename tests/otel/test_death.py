"""A span that never ends is never exported: what a dead process did is in the journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.databases.postgres import PostgresServer

from payonce.testing import BilledCall, MeteredProvider

PROGRAM = Path(__file__).parent / "apps" / "dying.py"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the journal is."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/journal.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    schema = server.schema()
    yield f"{schema}&spill={tmp_path}"
    server.drop(schema)


@pytest.mark.slow
def test_a_killed_worker_is_told_of_by_the_next_one(store: str, tmp_path: Path) -> None:
    """After `kill -9` in a call its span is missing; the next attempt counts it as in doubt."""
    workers: list[subprocess.Popen[str]] = []

    def kill(call: BilledCall | None) -> None:
        if call is not None and call.label == "chapter" and len(workers) == 1:
            os.kill(workers[0].pid, signal.SIGKILL)

    spans = tmp_path / "spans.jsonl"
    with MeteredProvider(hook=kill) as provider:

        def work() -> tuple[int, str]:
            command = [sys.executable, str(PROGRAM), store]
            command += [provider.openai_url, str(spans)]
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            workers.append(worker)
            printed, _ = worker.communicate(timeout=120)
            return worker.returncode, printed

        assert work()[0] == -signal.SIGKILL
        first = _told(spans)
        code, printed = work()
        assert code == 0
        assert (provider.billed("outline"), provider.billed("chapter")) == (1, 2)
    assert [span["name"] for span in first] == ["chat gpt-4o-mini"]
    rest = _told(spans)[len(first) :]
    assert [s["name"] for s in rest] == ["chat gpt-4o-mini", "attempt course", "process course"]
    call, attempt, _ = (span["attributes"] for span in rest)
    assert (call["payonce.call.send"], call["payonce.call.state"]) == (2, "paid")
    assert attempt["payonce.attempt"] == 2
    assert [event["name"] for event in rest[1]["events"]] == ["payonce.lost", "payonce.replayed"]
    counted = {by.get("payonce.call.state"): n for name, by, n in json.loads(printed) if _is(name)}
    assert counted == {"in_doubt": 1, "paid": 1}


def _is(name: str) -> bool:
    return name == "payonce.calls"


def _told(spans: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in spans.read_text(encoding="utf-8").splitlines()]
