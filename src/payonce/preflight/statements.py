"""Edge: a raw statement, read just enough to be prepared and to name its tables.

The database itself judges it. Here only its placeholders are put into the form that PREPARE
takes, and the tables after INTO, UPDATE, FROM, JOIN and USING are picked out.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import count

from payonce.errors import ConfigError
from payonce.preflight.database import Dialect
from payonce.preflight.expected import Access, Statement, WantedColumn, WantedTable
from payonce.preflight.found import Named

_STRINGS = {
    "postgresql": r"\b[eE]'(?:\\.|''|[^'\\])*'|'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$",
    "mysql": r"'(?:\\.|''|[^'\\])*'|#[^\n]*",
    "sqlite": r"'(?:[^']|'')*'|\[\w+\]",
}
_SKIPPED = r'--[^\n]*|/\*.*?\*/|"(?:[^"]|"")*"|`(?:[^`]|``)*`'
_PLACES = {
    "percent": r"%s|%\(\w+\)s",
    "dollar": r"\$(?P<number>\d+)",
    "colon": r"(?<![:\w]):[A-Za-z_]\w*",
    "mark": r"\?\d*",
}
_NAME = r'(?:"(?:[^"]|"")*"|`(?:[^`]|``)*`|\w+)'
_TABLE = re.compile(
    rf"\b(?:(?:INTO|UPDATE(?:\s+ONLY)?)\s+((?:{_NAME}\s*\.\s*)?{_NAME})"
    rf"|(?:FROM(?:\s+ONLY)?|JOIN|USING)\s+((?:{_NAME}\s*\.\s*)?{_NAME})(?![\w\"`]|\s*[.(]))",
    re.IGNORECASE,
)
_INSERT = re.compile(
    rf"^\s*(?:INSERT\b[\w\s]*?|REPLACE\s+)INTO\s+((?:{_NAME}\s*\.\s*)?{_NAME})"
    rf"(?:\s+AS\s+{_NAME})?\s*\(\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*"
    r"(?:OVERRIDING\s+\w+\s+VALUE\s*)?(?:VALUES?\b|SELECT\b|WITH\b|\()",
    re.IGNORECASE,
)
_CHECKABLE = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|REPLACE|WITH|VALUES)\b",
    re.IGNORECASE | re.DOTALL,
)
_PARTS = re.compile(_NAME)
_WORDS = {"select", "values", "set", "where", "lateral", "unnest", "only", "table"}


def statement(text: str, dialect: Dialect) -> Statement:
    """A statement as its author wrote it: with `%s`, `%(name)s`, `$1`, `:name` or `?`.

    Raises:
        ConfigError: it is none that a database can prepare and explain.
    """
    sql = text.strip().rstrip(";").rstrip()
    if not _CHECKABLE.match(sql):
        raise ConfigError(
            f"a database can't check this statement without running it: {short(sql)}",
            "Give app.schema() SELECT, INSERT, UPDATE, DELETE or MERGE statements.",
        )
    prepared, parameters = _prepared(sql, dialect)
    inserts = _inserted(sql, dialect)
    return Statement(prepared, parameters, short(sql), tuple(names(sql, dialect)), inserts)


def short(sql: str) -> str:
    """A statement on one line of at most 80 signs."""
    line = " ".join(sql.split())
    return line if len(line) <= 80 else f"{line[:79]}…"


def names(sql: str, dialect: Dialect) -> list[Named]:
    """The tables that a statement names, each once."""
    bare = _without_text(sql, dialect)
    found = (_named(match.group(1) or match.group(2), dialect) for match in _TABLE.finditer(bare))
    return list(dict.fromkeys(each for each in found if each.name.lower() not in _WORDS))


def _without_text(sql: str, dialect: Dialect) -> str:
    """The statement without its comments and strings, but with its quoted names."""

    def keep(match: re.Match[str]) -> str:
        return match.group() if match.group()[0] in '"`[' else "''"

    return re.sub(f"{_STRINGS[dialect]}|{_SKIPPED}", keep, sql, flags=re.DOTALL)


def _inserted(sql: str, dialect: Dialect) -> WantedTable | None:
    found = _INSERT.match(_without_text(sql, dialect))
    if found is None:
        return None
    columns = (_unquoted(part, dialect) for part in _PARTS.findall(found.group(2)))
    return WantedTable(
        named=_named(found.group(1), dialect),
        columns=tuple(WantedColumn(name) for name in columns),
        access=Access.STATED,
        whole=True,
    )


def _named(text: str, dialect: Dialect) -> Named:
    parts = [_unquoted(part, dialect) for part in _PARTS.findall(text)]
    return Named(parts[0] if len(parts) > 1 else None, parts[-1])


def _unquoted(name: str, dialect: Dialect) -> str:
    if name[0] in '"`':
        return name[1:-1].replace(name[0] * 2, name[0])
    return name.lower() if dialect == "postgresql" else name


def _prepared(sql: str, dialect: Dialect) -> tuple[str, int]:
    """The statement with `$1` or `?` for each parameter, and their number."""
    places = _places(dialect)
    found = [match for match in places.finditer(sql) if match.group("skipped") is None]
    percents = any(match.group("percent") for match in found)
    numbers = count(1)

    def put(match: re.Match[str]) -> str:
        if match.group("skipped") is not None or match.group("dollar") is not None:
            return match.group()
        return f"${next(numbers)}" if dialect == "postgresql" else "?"

    replaced = places.sub(put, sql)
    named = [int(match.group("number")) for match in found if match.group("dollar")]
    return replaced.replace("%%", "%") if percents else replaced, max(named, default=len(found))


@cache
def _places(dialect: Dialect) -> re.Pattern[str]:
    """What stands for a parameter; "?" is an operator in PostgreSQL, "$1" is known only there."""
    foreign = "mark" if dialect == "postgresql" else "dollar"
    kinds = (
        f"(?P<{name}>{each if name != foreign else '(?!)' + each})"
        for name, each in _PLACES.items()
    )
    skipped = f"{_STRINGS[dialect]}|{_SKIPPED}"
    return re.compile(f"(?P<skipped>{skipped})|{'|'.join(kinds)}", re.DOTALL)
