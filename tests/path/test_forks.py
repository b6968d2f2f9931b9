"""A process that is forked inside of a run has left it: whatever becomes of it, the run is its
parent's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from payonce.journal import journal_at
from payonce.journal.protocol import RunFilter

PROGRAM = """
import os, signal, sys, threading, warnings
import payonce
from payonce import lease

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
app = payonce.Payonce(sys.argv[1], version="1", look_every=None)

def renew() -> None:  # as the thread that keeps leases does: it may be at it when the fork comes
    with lease._keeper._changed:
        renewing.set()
        told.wait(60)

def forked() -> str:
    threading.Thread(target=renew).start()
    renewing.wait(60)
    child = os.fork()
    signal.alarm(50)  # no process outlives its test
    if child:
        told.set()
        os.waitpid(child, 0)
        return "parent"
    if sys.argv[3] == "raise":
        raise KeyError("child")
    return "child"

renewing, told = threading.Event(), threading.Event()

@app.step(cost="1 USD")
def pay(n: int) -> str:
    return forked() if n == int(sys.argv[2]) else "paid"

@app.job(key="k", backoff=0.001)
def job() -> list[str]:
    return [pay(1), forked() if sys.argv[2] == "0" else "worked", pay(2)]

me = os.getpid()
try:
    print(job())
finally:
    if os.getpid() != me:
        os._exit(0)
app.close()
"""


@pytest.mark.parametrize("how", ["return", "raise"])
@pytest.mark.parametrize("where", [0, 1], ids=["job", "step"])
def test_a_forked_process_ends_neither_run_nor_call(tmp_path: Path, where: int, how: str) -> None:
    """It returns or raises out of the job that it was forked in, and nothing is written for it."""
    program = tmp_path / "fork.py"
    program.write_text(PROGRAM, encoding="utf-8")
    store = f"sqlite:///{tmp_path}/journal.db"
    ended = subprocess.run(
        [sys.executable, program, store, str(where), how],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    expected = ["paid", "parent", "paid"] if where == 0 else ["parent", "worked", "paid"]
    assert ended.stdout.splitlines()[-1] == str(expected), ended.stderr
    journal = journal_at(store)
    [run] = [summary.run for summary in journal.runs(RunFilter())]
    values = [call.answer and call.answer.body for call in journal.calls(run.id)]
    journal.stop()
    assert (run.state, run.attempt) == ("done", 1)
    assert b'"child"' not in values
