"""Of several processes that find the same, one tells of it; and if that one is killed, another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from payonce import Payonce

PROGRAM = Path(__file__).parent / "apps" / "ringing.py"
SECONDS = 60


class Ringing:
    """A journal in which a run has taken all the money, and processes that look at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/payonce.db"
        app = Payonce(self.url, version="1", alarms=None, look_every=None)

        @app.step(cost="60 USD")
        def pay() -> None: ...

        @app.job(key="loop")
        def job() -> None:
            pay()

        job()
        app.close()

    def look(self, count: int, **settings: str) -> list[int]:
        """So many processes look, and tell at once what they have found; how each ended."""
        ready = [self._start(settings) for _ in range(count)]
        try:
            for process in ready:
                assert process.stdout is not None
                assert process.stdout.readline() == "1\n"
            for process in ready:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
            return [process.wait(SECONDS) for process in ready]
        finally:
            for process in ready:
                process.kill()
                process.communicate()

    def _start(self, settings: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            cwd=self.folder,
            env=os.environ | {"PAYONCE_STORE": self.url} | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def told(self) -> int:
        """How often a hook was told."""
        file = self.folder / "told"
        return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture
def ringing(tmp_path: Path) -> Ringing:
    """Such a journal."""
    return Ringing(tmp_path)


def test_of_two_processes_one_tells(ringing: Ringing) -> None:
    """Given two that find the same at the same time, then hooks are told once, and not again by
    a third that finds it an hour later."""
    assert ringing.look(2) == [0, 0]
    assert ringing.told == 1
    assert ringing.look(1, LATER="3600") == [0]
    assert ringing.told == 1


def test_an_alarm_whose_process_is_killed_is_told_by_another(ringing: Ringing) -> None:
    """Given a process that is killed after it has claimed to tell, before it has told anybody, then
    another tells after two minutes: not before, for the first may be at it."""
    assert ringing.look(1, DIES="1") == [-9]
    assert ringing.look(1, LATER="60") == [0]
    assert ringing.told == 0
    assert ringing.look(1, LATER="180") == [0]
    assert ringing.told == 1
