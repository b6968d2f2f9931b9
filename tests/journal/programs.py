"""Programs that tests run in processes of their own; what each is given stands in `sys.argv`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WRITER = """
import os, signal, sys
from payonce.journal import journal_at
from tests.journal.making import intended, opened, receipt
from tests.journal.making import intent as intent_of
journal = journal_at(sys.argv[1])
run = opened(journal)
call_id = intended(journal, run)
if "paid" in sys.argv:
    journal.complete(call_id, intent_of(run), receipt()).now()
if "later" in sys.argv:
    journal.complete(call_id, intent_of(run), receipt()).later().result()
os.kill(os.getpid(), signal.SIGKILL)
"""

OPENER = """
import sys
from payonce.journal import journal_at
from tests.journal.making import opening
journal = journal_at(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
run = journal.open(opening(sys.argv[2])).now()
assert run is not None
journal.stop()
"""

MERGER = """
import sys
from payonce.journal import journal_at
from tests.journal.making import opened
journal = journal_at(sys.argv[1])
opened(journal, "course:other")
journal.stop()
"""


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that runs a program."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> int:
    """A process's return code; what it said of a failure is in the assertion."""
    try:
        _, errors = process.communicate(timeout=18)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert "Traceback" not in errors, errors
    return process.returncode


LISTER = """
import sys
from payonce.journal import journal_at
from payonce.journal.protocol import RunFilter
journal = journal_at(sys.argv[1])
print(*sorted(listed.run.key for listed in journal.runs(RunFilter())))
journal.stop()
"""
