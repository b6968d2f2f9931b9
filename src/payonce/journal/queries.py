"""Memory: named queries, read out of the dialect's `.sql` file once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"
_TABLE = re.compile(
    r"\bpayonce_(?:runs|attempts|deliveries|calls|payloads|migrations|claims"
    r"|entries|budgets|balances|holds)\b"
)
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries(dialect: str) -> dict[str, str]:
    """All named queries of a dialect, without their comment lines."""
    text = (_FOLDER / dialect / "queries.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return {
        name: "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def qualified(named: dict[str, str], schema: str) -> dict[str, str]:
    """The same queries with the tables of one schema, whatever the search path is."""
    return {name: _TABLE.sub(rf"{schema}.\g<0>", text) for name, text in named.items()}


@cache
def migrations(dialect: str) -> tuple[tuple[int, str, str], ...]:
    """(number, name, sql) of each migration, in the order in which they are applied."""
    found = sorted((_FOLDER / dialect / "migrations").glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return tuple((int(p.stem[:4]), p.stem[5:], p.read_text(encoding="utf-8")) for p in found)
