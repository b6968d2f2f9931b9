"""The statements of `payonce audit`: each is used, and says what it is for."""

from __future__ import annotations

import re

from tests.audit.asking import ROOT

FOLDER = ROOT / "src" / "payonce" / "audit"
FILES = sorted((FOLDER / "sql").glob("*.sql"))


def test_each_statement_gives_its_reason() -> None:
    """The line after a statement's name says what it is for."""
    nameless = re.compile(r"^-- name: (\w+)\n(?!-- \S)", re.MULTILINE)
    found = {file.name: nameless.findall(file.read_text("utf-8")) for file in FILES}
    assert {name: names for name, names in found.items() if names} == {}


def test_each_statement_is_asked_for() -> None:
    """A statement is run with all of its file, or named where it is used."""
    code = "\n".join(path.read_text("utf-8") for path in FOLDER.rglob("*.py"))
    formats = set(re.findall(r'Format\(\n\s+"[^"]+",\n\s+"(\w+)"', code)) - {"app_log"}
    whole = formats | set(re.findall(r'run_all\("(\w+)"\)', code))
    names = [
        name
        for file in FILES
        if file.stem not in whole
        for name in re.findall(r"^-- name: (\w+)$", file.read_text("utf-8"), re.MULTILINE)
    ]
    assert [name for name in names if f'"{name}"' not in code] == []
    assert {file.stem for file in FILES} >= whole
