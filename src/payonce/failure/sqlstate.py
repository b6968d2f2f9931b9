"""Decision, inside `failure`: SQLSTATE, by code and then by class.

Source: PostgreSQL's documentation, appendix A (error codes), with the SQL standard's classes
as other databases use them. PostgreSQL's client library drops the code of errors that come
while connecting; their messages are turned back into codes here.
"""

from __future__ import annotations

import re

from payonce.chain import Link
from payonce.failure.conditions import CODE_OF_NAME
from payonce.failure.finding import (
    CODE,
    CONFIG,
    CREDENTIALS,
    INPUT,
    NOTHING,
    SCHEMA,
    Finding,
    Rank,
    Row,
    words,
)
from payonce.failure.phrases import SURE_OF_CREDENTIALS, sqlstate_in
from payonce.model import Kind

FOLLOW_ON = "25P02"
_POOLERS = "08P01"  # PgBouncer says all of its own with it

CODES = words(
    (Kind.DETERMINISTIC, SCHEMA + CODE, "42P01 42703 42704 42883 3F000 42P10 42804 42846"),
    (Kind.DETERMINISTIC, SCHEMA + CODE, "42S02 42S22 42S12 42P07 42701 42710 42723 42P06"),
    (Kind.DETERMINISTIC, CODE, "42601 42000 42P02 42P18 42P08 42702 42725 42803 42P20 42809"),
    (Kind.DETERMINISTIC, CREDENTIALS, "42501"),
    (Kind.DETERMINISTIC, CODE + INPUT + SCHEMA, "23502 23514"),
    (Kind.DETERMINISTIC, SCHEMA + INPUT, "22001 22003 22P02 22026 HV00L"),
    (Kind.UNKNOWN, NOTHING, "23000 23001 23503 23505 23P01 25P03 25P04 40003 08P01 P0001"),
    (Kind.UNKNOWN, NOTHING, "57000 HY000 01000"),
    (Kind.TRANSIENT, NOTHING, "40001 40P01 40000 40002 55P03 55006 26000 72000 HYT01"),
    (Kind.TRANSIENT, NOTHING, "25006 57014 57P01 57P02 57P03 57P05 58030 HYT00"),
    (Kind.DETERMINISTIC, CONFIG, "57P04 58P01 58P02"),
    (Kind.DETERMINISTIC, CODE, "P0004 55000 55P02 55P04"),
    (Kind.DETERMINISTIC, INPUT + CODE, "P0002 P0003"),
    (Kind.DETERMINISTIC, CONFIG, "08004 IM002 IM003"),
)

CLASSES = words(
    (Kind.DETERMINISTIC, CODE, "07 09 0A 0B 0D 0F 0L 0P 0Z 10 20 24 25 27 2B 2F 34 38 39 3B"),
    (Kind.DETERMINISTIC, INPUT + CODE, "21 22"),
    (Kind.DETERMINISTIC, SCHEMA + CODE, "42 37 3F 44"),
    (Kind.DETERMINISTIC, CREDENTIALS, "28"),
    (Kind.DETERMINISTIC, CONFIG, "3D F0"),
    (Kind.DETERMINISTIC, INPUT + CODE, "54"),
    (Kind.TRANSIENT, NOTHING, "08 40 53"),
    (Kind.UNKNOWN, NOTHING, "23 55 57 58 HV HY P0 XX"),
)

STALE_PLAN = re.compile(r"cached (?:statement )?plan", re.IGNORECASE)

LOST_CODES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), code)
    for pattern, code in (
        (r"too many (?:connections|clients)|remaining connection slots|pool_timeout", "53300"),
        (r"no more connections allowed|max_client_conn|query_wait_timeout", "53300"),
        (r"max(?:imum)? client connections|server_login_retry|server login has been", "53300"),
        (r"database system is|not yet accepting connections", "57P03"),
        (r"terminating connection|crash of another server process", "57P01"),
        (r'FATAL:.*database ".*" does not exist', "3D000"),
        (
            r'role ".*" does not exist|pg_hba\.conf (?:entry|rejects)|not permitted to log in',
            "28000",
        ),
        (r"[Tt]enant or user not found|password is required|no such user", "28000"),
        (r"(?:password|peer|ident|LDAP|GSSAPI|certificate) authentication failed", "28P01"),
        (r"no password supplied|SASL authentication failed", "28P01"),
        (r"permission denied for database", "42501"),
        (r"expected authentication request|invalid response to (?:SSL|GSS)", "08004"),
        (r"invalid (?:dsn|connection option|port number)|missing \"=\" after", "08004"),
        (r"server does not support SSL|unsupported startup parameter", "08004"),
        (r"server closed the connection|connection (?:was )?(?:closed|lost|reset)", "08006"),
        (r"consuming input failed|SSL SYSCALL error|could not receive data", "08006"),
        (r"could not send data|SSL connection has been closed|Connection refused", "08006"),
        (r"timeout expired|connection timeout|could not connect|Connection timed out", "08001"),
    )
)
_NAMED = frozenset({"psycopg", "psycopg2", "asyncpg"})
_LIBPQ = frozenset({"psycopg", "psycopg2", "psycopg_pool", "pg8000", "asyncpg"})
_MESSAGE_ONLY = frozenset(
    {"psycopg.OperationalError", "psycopg2.OperationalError", "psycopg2.ProgrammingError"}
)


def code_of(link: Link) -> str | None:
    """The SQLSTATE that an exception carries, as an attribute, by its class's name or its text."""
    if link.sqlstate is not None or link.is_plain:
        return link.sqlstate
    name = type(link.exc).__name__
    if link.package in _NAMED and name in CODE_OF_NAME:
        return CODE_OF_NAME[name]
    return sqlstate_in(link.message)


def judge(link: Link) -> Finding | None:
    """What a SQLSTATE says; on MySQL, whose SQLSTATEs are coarse, only if it is a precise one."""
    code = code_of(link)
    if code is None:
        return _judge_connect(link)
    if code == FOLLOW_ON:
        return None
    evidence = f"SQLSTATE {code}"
    if code == _POOLERS and (lost := _lost_code(link)) is not None:
        return _finding(lost, f"{evidence} (by its message)")
    if code == "0A000" and STALE_PLAN.search(link.message):
        return Finding(Rank.CODE, Kind.TRANSIENT, evidence)
    if code[:2] in ("08", "HY", "XX") and SURE_OF_CREDENTIALS.search(link.message):
        return Finding(Rank.CODE, Kind.DETERMINISTIC, evidence, CREDENTIALS)
    if link.mysql_number is not None and code[:3] != "42S" and code[:2] not in ("08", "40", "28"):
        return None
    return _finding(code, evidence)


def _finding(code: str, evidence: str, rank: Rank = Rank.CODE) -> Finding | None:
    row: Row | None = CODES.get(code) or CLASSES.get(code[:2])
    return Finding(rank, row[0], evidence, row[1]) if row else None


def _judge_connect(link: Link) -> Finding | None:
    if link.package not in _LIBPQ or not _MESSAGE_ONLY.intersection(link.names):
        return None
    code = _lost_code(link)
    return _finding(code, f"SQLSTATE {code} (by its message)", Rank.NUMBER) if code else None


def _lost_code(link: Link) -> str | None:
    return next((code for pattern, code in LOST_CODES if pattern.search(link.message)), None)
