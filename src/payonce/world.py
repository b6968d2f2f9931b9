"""On the path, at the door: the world that a deterministic failure depends on.

The code's version comes from the first of: `version=`, `$PAYONCE_VERSION`, the platform's own
variable, else git's commit or the installed distribution's version, together with a hash of the
file that defines the job, so that a fix in a working tree counts as a change.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from payonce.model import World

VERSION_VARIABLES = (
    "PAYONCE_VERSION",
    "K_REVISION",  # Cloud Run: https://cloud.google.com/run/docs/container-contract
    "GIT_SHA",
    "GIT_COMMIT",
    "SOURCE_VERSION",  # Heroku build-packs
    "RENDER_GIT_COMMIT",  # https://render.com/docs/environment-variables
    "RAILWAY_GIT_COMMIT_SHA",
    "VERCEL_GIT_COMMIT_SHA",
    "FLY_IMAGE_REF",  # https://fly.io/docs/machines/runtime-environment/
    "HEROKU_SLUG_COMMIT",
    "AWS_LAMBDA_FUNCTION_VERSION",
)


class Watched(Protocol):
    """A database whose schema parked runs wait for."""

    name: str

    def fingerprint(self) -> str:
        """A text without "+" that changes with the schema, "?" when it can't be read just now.

        It is asked for at each delivery, so it has to be cheap.
        """

    def close(self) -> None:
        """Let go of what is open; the next fingerprint opens it again."""


def world(version: str | None, job: Callable[..., Any], watched: Sequence[Watched]) -> World:
    """The world as it is now."""
    schemas = "+".join(f"{w.name}={w.fingerprint()}" for w in watched)
    return World(version or code_version(job), schemas)


def code_version(job: Callable[..., Any]) -> str:
    """The version of the code that defines a job."""
    for variable in VERSION_VARIABLES:
        if found := os.environ.get(variable):
            return found
    return _version_of_file(_file(job))


def _file(job: Callable[..., Any]) -> Path | None:
    try:
        found = inspect.getsourcefile(inspect.unwrap(job))
    except TypeError:
        return None
    return None if found is None else Path(found).absolute()


@cache
def _version_of_file(file: Path | None) -> str:
    if file is None or not file.is_file():
        return "unknown"
    source = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    return f"{_commit(file) or _distribution(file) or 'file'}+{source}"


def _commit(file: Path) -> str | None:
    """The checked-out commit, read from the repository's own files."""
    for folder in file.parents:
        if (git := folder / ".git").exists():
            break
    else:
        return None
    try:
        if git.is_file():  # a worktree: https://git-scm.com/docs/gitrepository-layout
            git = folder / git.read_text().partition("gitdir:")[2].strip()
        head = (git / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            head = _reference(git, head.removeprefix("ref: "))
        return head[:12] or None
    except OSError:
        return None


def _reference(git: Path, name: str) -> str:
    common = git / "commondir"
    root = git / common.read_text().strip() if common.exists() else git
    for folder in (git, root):
        if (folder / name).exists():
            return (folder / name).read_text().strip()
    for line in (root / "packed-refs").read_text().splitlines():
        if line.endswith(f" {name}"):
            return line.partition(" ")[0]
    return ""


def _distribution(file: Path) -> str | None:
    if "site-packages" not in file.parts:
        return None
    from importlib.metadata import packages_distributions, version

    top = file.parts[file.parts.index("site-packages") + 1].removesuffix(".py")
    names = packages_distributions().get(top)
    return f"{names[0]}-{version(names[0])}" if names else None
