"""What the docs promise by name is there: words, commands, set-up, versions."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import payonce

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WORDS = {
    *("delivery", "job", "run", "run key", "attempt", "fencing token", "lease"),
    *("step", "step key", "fingerprint", "journal", "receipt", "replay"),
    *("intended", "paid", "released", "in doubt", "hold", "settle", "release", "expire"),
    *("ledger", "entry", "failure kind", "verdict", "park", "wake", "world", "preflight"),
    *("waste", "delivery scope", "run scope", "physical send", "resolution", "spill file"),
}


def test_each_word_has_one_sentence() -> None:
    """The glossary has a heading for each word of the project, and one sentence under each."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^### (.+)\n\n((?:.+\n)+)", text, re.MULTILINE))
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) == set(entries)
    assert WORDS - set(entries) == set()
    sentence = re.compile(r"[^.]*(?:\.\w[^.]*)*\.\n", re.DOTALL)
    assert {word for word, told in entries.items() if not sentence.fullmatch(told)} == set()


def test_set_up_is_two_commands() -> None:
    """README names two commands, the main job and the tests, and `.ci/run` can read them."""
    command = [sys.executable, str(ROOT / ".ci" / "readme_commands.py")]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    main_job, tests = output.splitlines()
    assert main_job.endswith("payonce demo")
    assert tests.endswith("pytest")


def test_changelog_has_this_version() -> None:
    """The changelog has an entry for the version that the code says it is."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(payonce.__version__)}\]", text, re.MULTILINE)


def _commands() -> dict[str, Any]:
    """The subcommands of `payonce`, by name."""
    if importlib.util.find_spec("payonce.cli") is None:
        return {}
    return dict(importlib.import_module("payonce.cli").main.commands)


def test_each_command_is_documented() -> None:
    """README or the docs show each command, none that isn't there, and each has a help text."""
    commands = _commands()
    told = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = set(re.findall(r"(?:^|`|\$ |/)payonce ([a-z]+)\b", told, re.MULTILINE))
    assert {name for name in commands if name not in shown} == set()
    assert {name for name, command in commands.items() if not command.help} == set()
    assert not commands or shown - set(commands) == set()
