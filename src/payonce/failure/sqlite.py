"""Decision, inside `failure`: SQLite's result codes, extended before primary.

Source: https://www.sqlite.org/rescode.html. `SQLITE_ERROR` (1) is shared by a missing table,
a missing column and wrong SQL; its message tells which.
"""

from __future__ import annotations

import re

from payonce.chain import Link
from payonce.failure.finding import (
    CODE,
    CONFIG,
    INPUT,
    NOTHING,
    SCHEMA,
    Finding,
    Rank,
    numbers,
)
from payonce.model import Kind

CODES = numbers(
    (Kind.TRANSIENT, NOTHING, "5 6 15 17 516"),  # BUSY LOCKED PROTOCOL SCHEMA ABORT_ROLLBACK
    (Kind.TRANSIENT, NOTHING, "7 9 10 13"),  # NOMEM INTERRUPT IOERR FULL
    (Kind.UNKNOWN, NOTHING, "2 4 14"),  # INTERNAL ABORT; CANTOPEN, also without a free file
    (Kind.UNKNOWN, NOTHING, "19 2067 1555 2579 787 1811"),  # CONSTRAINT: UNIQUE, keys, TRIGGER
    (Kind.DETERMINISTIC, CODE + INPUT + SCHEMA, "275 1299 3091"),  # CHECK NOTNULL DATATYPE
    (Kind.DETERMINISTIC, SCHEMA + CODE, "1 257 12"),  # ERROR, MISSING_COLLSEQ, NOTFOUND
    (Kind.DETERMINISTIC, INPUT + CODE, "18 20 25"),  # TOOBIG MISMATCH RANGE
    (Kind.DETERMINISTIC, CODE, "21 1043"),  # MISUSE CONSTRAINT_FUNCTION
    (Kind.DETERMINISTIC, CONFIG, "3 8 11 22 23 26"),  # PERM READONLY CORRUPT …
)

_MISSING = re.compile(
    r"no such (?:table|column|function|index|view|module|collation sequence)"
    r"|has no column named|syntax error"
)
_LOCKED = re.compile(r"database (?:table |schema )?is locked")
_DRIVERS = frozenset({"sqlite3", "pysqlite3", "sqlcipher3", "libsql", "libsql_experimental"})


def judge(link: Link) -> Finding | None:
    """What SQLite's result code says, or its message where a driver has dropped the code."""
    code = link.read("sqlite_errorcode")
    if not isinstance(code, int):
        return _judge_message(link)
    row = CODES.get(code) or CODES.get(code & 0xFF)
    if row is None:
        return None
    kind, wakes_on = row
    evidence = link.text("sqlite_errorname") or f"SQLite result code {code}"
    if code == 1:
        missing = _MISSING.search(link.message)
        evidence += f": {missing[0]}" if missing else ""
        wakes_on = CODE if missing and missing[0] == "syntax error" else wakes_on
    return Finding(Rank.CODE, kind, evidence, wakes_on)


def _judge_message(link: Link) -> Finding | None:
    if link.package not in _DRIVERS:
        return None
    missing = _MISSING.search(link.message)
    if missing:
        return Finding(Rank.NUMBER, Kind.DETERMINISTIC, missing[0], SCHEMA + CODE)
    if _LOCKED.search(link.message):
        return Finding(Rank.NUMBER, Kind.TRANSIENT, "database is locked")
    return None
