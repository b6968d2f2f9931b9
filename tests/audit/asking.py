"""How the tests of `payonce audit` call it: as users do, on the command line."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from payonce.cli import main

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Audited:
    """What one audit told programs: its exit code and its document."""

    code: int
    document: dict[str, Any]

    @property
    def storms(self) -> list[dict[str, Any]]:
        """The storms."""
        found: list[dict[str, Any]] = self.document["storms"]
        return found

    def source(self, path: Path) -> dict[str, Any]:
        """What became of one file."""
        found: dict[str, Any] = next(
            each for each in self.document["sources"] if each["path"] == str(path)
        )
        return found


def told(*arguments: object) -> tuple[int, str, str]:
    """Call `payonce audit`; its exit code and what it printed."""
    result = CliRunner().invoke(main, ["audit", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def audited(*arguments: object) -> Audited:
    """The same for programs."""
    code, document, _ = told(*arguments, "--json")
    return Audited(code, json.loads(document))


def samples() -> Path:
    """The folder with real exports, which don't come with the package; skips where it isn't."""
    named = os.environ.get("PAYONCE_SAMPLES")
    places = [Path(named)] if named else [p / "shared" / "samples" for p in ROOT.parents]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        pytest.skip("the samples are not here: set PAYONCE_SAMPLES")
    return found
