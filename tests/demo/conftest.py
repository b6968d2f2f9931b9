"""The demo, run once with `--json` and `--keep`; and a way to run it again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

# A shell that starts something in the background lets it ignore SIGINT: here it counts.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from payonce.cli.demo import demo
demo(prog_name="payonce demo")
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What one run of the demo printed, and the folder that it kept."""

    process: subprocess.CompletedProcess[str]
    folder: Path


def command(*options: str | Path) -> list[str]:
    """The command line of the demo, in an interpreter of its own."""
    return [sys.executable, "-c", PROGRAM, *map(str, options)]


def run(*options: str | Path, environment: dict[str, str] | None = None) -> Told:
    """Run the demo to its end."""
    process = subprocess.run(
        command(*options),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    return Told(process, Path(options[-1]) if options else Path())


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The whole story, kept."""
    return run("--json", "--keep", tmp_path_factory.mktemp("demo") / "kept")
