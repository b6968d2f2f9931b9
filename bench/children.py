"""Contenders as the bench commands them, over pipes, and the machine that they run on."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import select
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.databases.postgres import die_with_parent

PATIENCE = 300.0
PROGRAM = Path(__file__).with_name("contenders.py")
PROGRAMS = {
    "bare": "pass",
    "payonce": "from payonce import Payonce; Payonce('sqlite:///never-opened.db')",
    "dbos": "from dbos import DBOS",
}
_PEAK = "import sys; sys.path[:0] = [{folder!r}]; from contenders import peak_mb; print(peak_mb())"


class Child:
    """One contender's process, ended by its id however the bench ends.

    What follows a `_` in its name tells two of a kind apart.
    """

    def __init__(self, name: str, store: str) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM, name.partition("_")[0], store],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            preexec_fn=die_with_parent,
            env=_environ(),
        )
        self._rest = b""

    def ask(self, *command: Any) -> None:
        """Send a command; its answer is to be heard next."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """The answer to the last command, or that it is ready."""
        assert self._process.stdout is not None
        until = time.monotonic() + PATIENCE
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], until - time.monotonic())
            found = os.read(self._process.stdout.fileno(), 1 << 20) if ready else b""
            if not found:
                self._log.seek(0)
                told = self._log.read().decode(errors="replace")[-4000:]
                raise RuntimeError(f"{self.name} gave no answer\n{told}")
            self._rest += found
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def do(self, *command: Any) -> Any:
        """Command it, and wait for the answer."""
        self.ask(*command)
        return self.hear()

    def end(self) -> None:
        """Let it go, or end it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._log.close()


@contextlib.contextmanager
def children(stores: Sequence[tuple[str, str]]) -> Iterator[list[Child]]:
    """Contenders by name and store, each ready; ended with the block."""
    found: list[Child] = []
    try:
        for name, store in stores:
            found.append(Child(name, store))
            found[-1].hear()
        yield found
    finally:
        for child in found:
            child.end()


def has_dbos() -> bool:
    """Whether the peer is installed (`pip install "payonce[bench]"`)."""
    return _version("dbos") is not None


def imports(rounds: int, *, dbos: bool) -> dict[str, float | None]:
    """What an import costs over bare Python in ms, medians of fresh interpreters, and memory."""
    programs = {name: code for name, code in PROGRAMS.items() if dbos or name != "dbos"}
    times: dict[str, list[float]] = {name: [] for name in programs}
    for n in range(rounds + 1):
        for name, code in programs.items():
            since = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, env=_environ())
            if n:  # the first one compiles
                times[name].append((time.perf_counter() - since) * 1000)
    medians = {name: statistics.median(found) for name, found in times.items()}
    peaks = {name: _peak(code) for name, code in programs.items()}
    found: dict[str, float | None] = {"import_bare_ms": round(medians["bare"], 1)}
    for name in ("payonce", "dbos"):
        there = name in programs
        over = round(medians[name] - medians["bare"], 1) if there else None
        found[f"{name}_import_over_bare_ms"] = over
    for name in PROGRAMS:
        found[f"{name}_imported_mb"] = peaks.get(name)
    return found


def _peak(code: str) -> float:
    program = "\n".join([code, _PEAK.format(folder=str(PROGRAM.parent))])
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=_environ())
    return float(done.stdout)


def _environ() -> dict[str, str]:
    """The environment, but for a setting that makes each process compile all that it imports."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def machine(folder: Path) -> dict[str, Any]:
    """What the figures were taken on; `folder` is on the disk that was measured."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "disk": _disk(folder),
        "load_before": [round(load, 1) for load in os.getloadavg()],
    }


def versions(postgres: str | None) -> dict[str, str | None]:
    """What took part."""
    return {
        "python": platform.python_version(),
        "payonce": _version("payonce"),
        "dbos": _version("dbos"),
        "psycopg": _version("psycopg"),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": postgres,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def _disk(folder: Path) -> str:
    """File system and device of the mount that holds the folder."""
    try:
        mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "?"
    above = {str(path) for path in (folder.resolve(), *folder.resolve().parents)}
    device, _, kind = max((m for m in mounts if m[1] in above), key=lambda m: len(m[1]))
    cache = Path("/sys/block") / Path(device).name / "queue" / "write_cache"
    try:
        return f"{kind} on {device}, {cache.read_text().strip()}"
    except OSError:
        return f"{kind} on {device}"
