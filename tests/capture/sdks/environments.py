"""Virtual environments for SDKs that can't live in one: made once, kept in a cache folder.

`environments/NAME.txt` pins all of one; `NAME.in` beside it says what was asked for. The folder in
the cache is named after the content of the pins, so that a changed one is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

PINS = Path(__file__).resolve().parent / "environments"
DEVELOPERS = "developer's"
"""The interpreter that runs the tests; its packages are those that the dev extra found."""
_PATIENCE = 540


def python_of(name: str) -> Path:
    """The interpreter of an environment, which is made first where it isn't there yet."""
    return Path(sys.executable) if name == DEVELOPERS else _made(name)


@cache
def _made(name: str) -> Path:
    pins = PINS / f"{name}.txt"
    what = f"{sys.version_info[:2]}\n{pins.read_text(encoding='utf-8')}"
    folder = _cache() / f"{name}-{hashlib.sha256(what.encode()).hexdigest()[:16]}"
    python, whole = folder / "bin" / "python", folder / "whole"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            _make(folder, python, pins)
            whole.touch()
    return python


def _make(folder: Path, python: Path, pins: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv")
    if uv is not None:
        _run(uv, "venv", "-q", "--python", sys.executable, str(folder))
        compiled = "--compile-bytecode"  # else each process of a row does it
        _run(uv, "pip", "install", "-q", compiled, "--python", str(python), "-r", str(pins))
    else:
        venv.create(folder, with_pip=True, symlinks=True)
        _run(str(python), "-m", "pip", "install", "-q", "-r", str(pins))


def _run(*command: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_PATIENCE, check=False, env=environ
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def _cache() -> Path:
    above = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(above) / "payonce" / "sdks"


@cache
def pinned(name: str) -> dict[str, str]:
    """The versions that an environment pins, by package."""
    text = (PINS / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*])?==([^\s;]+)", text, re.MULTILINE))
