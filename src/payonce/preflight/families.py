"""Edge: which types of a database take the values of which types in code.

Only what a database would refuse, or what would come back as something else, counts as
incompatible: lengths, precisions and time zones don't, and what isn't known here fits anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from payonce.preflight.database import Dialect

_FAMILIES = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r".*\[\]|array", "array"),
        (r"tinyint\(1\)|bool(ean)?$|^bool", "boolean"),
        (r"(small|big|medium|tiny)?(int|serial)\d?\b|integer|int\d|year", "integer"),
        (r"numeric|decimal|dec\b|money|number", "numeric"),
        (r"real|float|double", "float"),
        (r"jsonb?\b", "json"),
        (r"timestamp|datetime", "timestamp"),
        (r"date\b", "date"),
        (r"time\b|timetz", "time"),
        (r"interval", "interval"),
        (r"uuid|uniqueidentifier", "uuid"),
        (r"enum\(", "enum"),
        (r"bytea|(tiny|medium|long)?blob|(var)?binary", "bytes"),
        (r"n?(var)?char|character|(tiny|medium|long)?text|n?clob|citext|string|name\b", "text"),
    )
)
_TAKES: Mapping[str, frozenset[str]] = {
    "integer": frozenset({"numeric", "float"}),
    "numeric": frozenset({"float", "integer"}),
    "float": frozenset({"numeric", "integer"}),
    "boolean": frozenset(),
    "text": frozenset({"enum", "uuid", "json"}),
    "enum": frozenset({"text"}),
    "json": frozenset({"text"}),
    "timestamp": frozenset({"date"}),
    "date": frozenset({"timestamp"}),
    "time": frozenset({"interval"}),
    "interval": frozenset({"timestamp"}),
    "uuid": frozenset({"text", "bytes"}),
    "bytes": frozenset(),
    "array": frozenset({"json"}),
}
_MYSQL_TAKES: Mapping[str, frozenset[str]] = {
    "boolean": frozenset({"integer"}),
    "integer": frozenset({"boolean"}),
    "bytes": frozenset({"text"}),
    "interval": frozenset({"timestamp", "integer"}),
}
_STRICT_SQLITE_REFUSES = {"text": {"integer", "float", "bytes"}, "json": {"integer", "float"}}


def family(type_: str) -> str | None:
    """What a type is a kind of; None where that isn't known."""
    text = type_.strip().strip('"').lower()
    return next((name for pattern, name in _FAMILIES if pattern.match(text)), None)


def takes(found: str, wanted: str, dialect: Dialect) -> bool:
    """Whether a column of type `found` takes what the code has as `wanted`."""
    has, needs = family(found), family(wanted)
    if has is None or needs is None or has == needs:
        return True
    if dialect == "sqlite":
        return has not in _STRICT_SQLITE_REFUSES.get(needs, ())
    more = _MYSQL_TAKES.get(needs, frozenset()) if dialect == "mysql" else frozenset()
    return has in _TAKES[needs] | more
