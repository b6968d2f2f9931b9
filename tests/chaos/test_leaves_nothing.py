"""No test, however unlucky, leaves a process behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROC = Path("/proc")
_SECONDS = 90


def _of(mark: str) -> dict[int, str]:
    """The processes of a test session, with their states, by its mark in their environment or by
    the folder that they work in (PostgreSQL writes over its environment)."""
    found = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            marked = mark.encode() in (folder / "environ").read_bytes()
            if marked or mark in str((folder / "cwd").readlink()):
                found[int(folder.name)] = (
                    (folder / "stat").read_text().rpartition(")")[2].split()[0]
                )
        except OSError:
            continue
    return {pid: state for pid, state in found.items() if state not in ("Z", "X")}


def _seen(mark: str, process: subprocess.Popen[bytes], log: Path) -> dict[int, str]:
    """Wait until the session's workers are there, and one of them is stopped."""
    give_up = time.monotonic() + _SECONDS
    while time.monotonic() < give_up:
        found = _of(mark)
        if len(found) >= 6 and "T" in found.values():
            return found
        assert process.poll() is None, log.read_text()
        time.sleep(0.005)
    raise AssertionError(log.read_text())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, as what it tests does")
@pytest.mark.parametrize(
    "tests",
    [
        "test_fleet.py -k any_moment and sqlite",
        "test_fleet.py -k any_moment and postgres",
        "test_attacks.py -k swallowed and no_call_is_begun",
    ],
)
def test_a_killed_session_takes_all_its_processes_along(tests: str) -> None:
    """kill -9 of pytest in the middle of the chaos, while a worker or the network is stopped:
    nothing of it is left, neither workers nor provider nor server."""
    mark = f"payonce-mark-{uuid.uuid4().hex[:12]}"
    folder = Path(tempfile.mkdtemp(prefix=mark))
    folder.chmod(0o755)
    file, _, chosen = tests.partition(" -k ")
    command = [sys.executable, "-m", "pytest", "-q", f"--basetemp={folder / 'base'}"]
    command += [f"tests/chaos/{file}", "-k", chosen, "-p", "no:cacheprovider"]
    command += ["-m", "heavy or not heavy"]
    settings = {"TMPDIR": str(folder), "CHAOS_RUNS": "400", "CHAOS_SEEDS": "1", "MARK": mark}
    log = folder / "log"
    with log.open("wb") as file:
        session = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | settings, stdout=file, stderr=file
        )
    try:
        before = _seen(mark, session, log)
        assert session.pid in before
    finally:
        session.send_signal(signal.SIGKILL)
        session.wait()
        give_up = time.monotonic() + _SECONDS
        while (left := _of(mark)) and time.monotonic() < give_up:
            time.sleep(0.02)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder)
    assert left == {}
