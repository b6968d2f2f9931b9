"""Workers on the same runs die by SIGKILL at random moments; the provider's bill is the witness."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from tests.chaos.site import APPS

from payonce.journal import journal_at
from payonce.journal.protocol import RunFilter
from payonce.model import CallState, RunState
from payonce.testing import MeteredProvider

_COURSES = 60
_KILLS = 10
_STOPS = 6
"""Of each of the workers; to stop it for longer than its lease takes longer."""
_LEASE = 0.5
_WORKERS = 3
Harm = Callable[[Path, MeteredProvider, int], None]


def _started(
    folder: Path, provider: MeteredProvider, seed: int, lease: float = 30
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "killed.py", str(seed), str(_COURSES), str(lease)],
        cwd=folder,
        env=os.environ | provider.environ(),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def _killed_again_and_again(folder: Path, provider: MeteredProvider, seed: int) -> None:
    """One worker after the other, each killed some moments after it had begun to work."""
    chance = random.Random(seed)
    for _ in range(_KILLS):
        with _started(folder, provider, chance.randrange(1000)) as process:
            try:
                process.wait(chance.uniform(0.01, 0.5))
            except subprocess.TimeoutExpired:
                process.kill()


def _stopped_again_and_again(folder: Path, provider: MeteredProvider, seed: int) -> None:
    """One worker that is stopped for longer than its lease, again and again, and goes on."""
    chance = random.Random(seed)
    with _started(folder, provider, seed, _LEASE) as process:
        for _ in range(_STOPS):
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.01, 0.2))
                return
            process.send_signal(signal.SIGSTOP)
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.3, 2) * _LEASE)
            process.send_signal(signal.SIGCONT)
        process.wait(60)


@pytest.mark.heavy
@pytest.mark.parametrize("harm", [_killed_again_and_again, _stopped_again_and_again])
@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_random_moments_pay_nothing_in_silence(
    tmp_path: Path, provider: MeteredProvider, seed: int, harm: Harm
) -> None:
    """Each billed call has a receipt or is in doubt, and every run ends."""
    for name in ("killed.py", "llm.py"):
        shutil.copy(APPS / name, tmp_path)
    with ThreadPoolExecutor(_WORKERS) as threads:
        for n in range(_WORKERS):
            threads.submit(harm, tmp_path, provider, seed * 100 + n)
    with _started(tmp_path, provider, seed) as last:
        assert last.wait(60) == 0
    billed = Counter(call.label for call in provider.bill)
    journal = journal_at(f"sqlite:///{tmp_path}/payonce.db")
    runs = [summary.run for summary in journal.runs(RunFilter(limit=1000))]
    assert len(runs) == _COURSES
    assert {run.state for run in runs} <= {RunState.DONE, RunState.PARKED}
    for run in runs:
        by_part = defaultdict(list)
        for call in journal.calls(run.id):
            by_part[call.name].append(call.state)
        for part, states in by_part.items():
            _told(billed.pop(f"{run.key}-{part}", 0), states)
    assert billed == {}
    journal.stop()


def _told(billed: int, states: list[CallState]) -> None:
    """What was billed for one step is accounted for, and nothing was paid twice in silence."""
    receipts, doubts = states.count(CallState.PAID), states.count(CallState.IN_DOUBT)
    assert receipts + doubts + states.count(CallState.RELEASED) == len(states)
    assert receipts <= billed <= receipts + doubts
    assert billed <= 2
