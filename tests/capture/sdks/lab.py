"""Runs the programs of a table's rows: all of one file and environment in the same processes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.capture.sdks.environments import python_of
from tests.capture.sdks.task import Outcome, Task

from payonce.testing import MeteredProvider

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 300
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")
_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGSMITH_TRACING": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "NO_PROXY": "127.0.0.1",
    "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
}


@dataclass(frozen=True)
class Ran:
    """What came of the tasks of one process, by label, and the versions that it used."""

    outcomes: dict[str, Outcome]
    versions: dict[str, str]


def run(
    environment: str,
    tasks: Sequence[Task],
    packages: Sequence[str],
    provider: MeteredProvider,
    folder: Path,
) -> Ran:
    """Run tasks in one new process; a store in the folder is gone on with."""
    host = provider.url.removeprefix("http://")
    told = {
        "store": f"sqlite:///{folder / 'journal.db'}",
        "hosts": [host] if any(task.program.startswith("plain.") for task in tasks) else [],
        "tasks": [asdict(task) for task in tasks],
        "packages": list(packages),
    }
    said = folder / "outcomes.json"
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    done = subprocess.run(
        [str(python_of(environment)), "-m", "tests.capture.sdks.child", str(said)],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=ROOT,
        env={**kept, **_QUIET, **provider.environ()},
    )
    if done.returncode or not said.exists():
        raise RuntimeError(f"the process of {environment} ended so:\n{done.stdout}{done.stderr}")
    heard = json.loads(said.read_text())
    said.unlink()
    outcomes = {t.label: Outcome(**o) for t, o in zip(tasks, heard["outcomes"], strict=True)}
    return Ran(outcomes, heard["versions"])
