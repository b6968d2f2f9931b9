"""Decision, inside `failure`: the numbers and codes of further databases.

Sources: Oracle's error messages (ORA, DPY), SQL Server's (the numbers that Microsoft's EF Core
counts as transient, and Spring's as bad grammar), MongoDB's `error_codes.yml`, ClickHouse's
`ErrorCodes.cpp`, Neo4j's status codes, Snowflake's connector.
"""

from __future__ import annotations

import re

from payonce.chain import Link, read
from payonce.failure.finding import (
    CODE,
    CONFIG,
    CREDENTIALS,
    INPUT,
    NOTHING,
    SCHEMA,
    Finding,
    Rank,
    look_up,
    numbers,
)
from payonce.model import Kind

ORACLE = numbers(
    (Kind.DETERMINISTIC, SCHEMA + CODE, "942 904 903 4043 1418 1430 955 2289 6550 6575 1747 980"),
    (Kind.DETERMINISTIC, CODE, "900 907 911 917 918 923 932 933 936 1008 1036 979 937 1002"),
    (Kind.DETERMINISTIC, CREDENTIALS, "1017 1031 28000 28001 1045 1005 28009"),
    (Kind.DETERMINISTIC, CONFIG, "12154 12504 12505 12557"),
    (Kind.DETERMINISTIC, INPUT + SCHEMA, "1400 1407 1438 12899 1722 1830 1840 1843 1847 1861 1858"),
    (Kind.DETERMINISTIC, INPUT + SCHEMA, "2290 1426 1476 1401 1461 1427 1422 6502"),
    (Kind.TRANSIENT, NOTHING, "54 60 8177 104 28 1012 1033 1034 1089 1090 1092 3113 3114 3135"),
    (Kind.TRANSIENT, NOTHING, "12153 12170 12502 12516 12518 12519 12520 12528 12537 12541 12543"),
    (
        Kind.TRANSIENT,
        NOTHING,
        "12545 12547 12571 12514 18 20 25408 25401 1555 1013 4068 4061",
    ),
    (Kind.TRANSIENT, NOTHING, "1653 1654 1652 257 19815 4031 4030 16000 12609 30006"),
    (Kind.UNKNOWN, NOTHING, "1 2291 2292 1403 20000 600 7445"),
)
SQL_SERVER = numbers(
    (Kind.DETERMINISTIC, SCHEMA + CODE, "207 208 2812 4121 4902 2714 2705 213 214 515"),
    (Kind.DETERMINISTIC, CODE, "102 105 156 170 137 209 8120 8144 201 1033"),
    (Kind.DETERMINISTIC, CREDENTIALS, "229 230 262 297 18456 18452 18470 18486 916"),
    (Kind.DETERMINISTIC, CONFIG, "4060 911 15247"),
    (Kind.DETERMINISTIC, INPUT + SCHEMA, "241 242 245 8114 8115 8152 2628 220 232 8134 544"),
    (Kind.TRANSIENT, NOTHING, "1205 1222 3960 3966 233 121 64 20 10053 10054 10060 10928 10929"),
    (Kind.TRANSIENT, NOTHING, "40197 40501 40540 40613 40143 41301 41302 41305 41325 41839 49918"),
    (Kind.TRANSIENT, NOTHING, "20002 20003 20004 20006 20009 20047"),
    (Kind.TRANSIENT, NOTHING, "49919 49920 4221 17142 6005 18401 701 802 8645 1204 9002 3906"),
    (Kind.UNKNOWN, NOTHING, "547 2601 2627 1105"),
)
MONGO = numbers(
    (Kind.DETERMINISTIC, CREDENTIALS, "11 13 18 31 33 8000"),
    (Kind.DETERMINISTIC, CODE + INPUT, "2 4 9 10 14 16 17 28 40 52 53 54 55 56 57 59 66 72 73"),
    (Kind.DETERMINISTIC, CODE + INPUT, "115 121 10334 10003 17280 40324 40353 51024 17419 241"),
    (Kind.DETERMINISTIC, SCHEMA + CODE, "26 27 48 67 68 85 86 166"),
    (Kind.TRANSIENT, NOTHING, "6 7 43 50 63 64 89 91 112 133 134 150 189 234 246 251 262 317 364"),
    (Kind.TRANSIENT, NOTHING, "9001 10058 10107 11600 11602 13388 13435 13436 24 46 202 225 384"),
    (Kind.UNKNOWN, NOTHING, "11000 11001 1 8 12582"),
)
CLICKHOUSE = numbers(
    (Kind.DETERMINISTIC, SCHEMA + CODE, "10 16 36 46 47 57 60 81 115 383"),
    (Kind.DETERMINISTIC, CODE, "43 62 63 42 53 215 184 190 386"),
    (Kind.DETERMINISTIC, INPUT, "6 26 27 38 41 69 70 117 131 349 457"),
    (Kind.DETERMINISTIC, CREDENTIALS, "192 193 194 497 516"),
    (Kind.TRANSIENT, NOTHING, "3 159 160 198 202 203 209 210 241 242 252 279 319 425 999 439 473"),
)
_NEO4J = (
    ("Neo.TransientError.", Kind.TRANSIENT, NOTHING),
    ("Neo.ClientError.Cluster.", Kind.TRANSIENT, NOTHING),
    ("Neo.ClientError.General.ForbiddenOnReadOnly", Kind.TRANSIENT, NOTHING),
    ("Neo.ClientError.Transaction.", Kind.UNKNOWN, NOTHING),
    ("Neo.ClientError.Schema.", Kind.UNKNOWN, NOTHING),
    ("Neo.ClientError.Security.AuthenticationRateLimit", Kind.THROTTLED, NOTHING),
    ("Neo.ClientError.Security.", Kind.DETERMINISTIC, CREDENTIALS),
    ("Neo.ClientError.Database.", Kind.DETERMINISTIC, CONFIG),
    ("Neo.ClientError.", Kind.DETERMINISTIC, CODE + INPUT),
)
_DPY = re.compile(r"DPY-(\d)\d{3}")
_DPY_THOUSANDS = {
    "2": (Kind.DETERMINISTIC, CODE),
    "3": (Kind.DETERMINISTIC, CODE),
    "4": (Kind.DETERMINISTIC, CONFIG),
    "6": (Kind.TRANSIENT, NOTHING),
}
_ORA = re.compile(r"\bORA-0*(\d{1,5})\b")
_MSSQL = re.compile(r"\[SQL Server\].*?\((\d{2,5})\)", re.DOTALL)
_CLICKHOUSE = re.compile(r"\bcode: (\d+)", re.IGNORECASE)
_ODBC = frozenset({"pyodbc", "aioodbc", "pymssql", "_mssql", "pytds"})
_MONGO_PASSES = frozenset({"TransientTransactionError", "RetryableWriteError", "NetworkError"})
_ORACLE_DRIVERS = frozenset({"oracledb", "cx_Oracle"})


def judge(link: Link) -> Finding | None:
    """What the number or code of such a database says."""
    table = _JUDGES.get(link.package)
    return table(link) if table is not None else None


def _judge_oracle(link: Link) -> Finding | None:
    found = None
    for match in _ORA.finditer(link.message):
        number = int(match[1])
        found = look_up(ORACLE, number, Rank.CODE, f"ORA-{number:05d}") or found
    return found or _judge_oracle_client(link)


def _judge_oracle_client(link: Link) -> Finding | None:
    match = _DPY.match(link.message)
    if match is None:
        return None
    row = _DPY_THOUSANDS.get(match[1])
    if match[0] in ("DPY-4011", "DPY-4024"):
        row = (Kind.TRANSIENT, NOTHING)
    return Finding(Rank.CODE, row[0], match[0], row[1]) if row else None


def _judge_sql_server(link: Link) -> Finding | None:
    first = next(iter(link.exc.args), None)
    number = first if isinstance(first, int) else None
    if number is None and (match := _MSSQL.search(link.message)):
        number = int(match[1])
    return look_up(SQL_SERVER, number, Rank.CODE, f"SQL Server {number}")


def _judge_mongo(link: Link) -> Finding | None:
    labels = link.read("details.errorLabels")
    if isinstance(labels, list) and _MONGO_PASSES & set(map(str, labels)):
        return Finding(Rank.CODE, Kind.TRANSIENT, f"MongoDB {labels[0]}")
    code = link.read("code")
    errors = link.read("details.writeErrors")
    if not isinstance(code, int) or (isinstance(errors, list) and errors):
        first = errors[0] if isinstance(errors, list) and errors else link.read("details")
        code = read(first, "code")
    return look_up(MONGO, code if isinstance(code, int) else None, Rank.CODE, f"MongoDB {code}")


def _judge_clickhouse(link: Link) -> Finding | None:
    match = _CLICKHOUSE.search(link.message)
    number = int(match[1]) if match else None
    return look_up(CLICKHOUSE, number, Rank.CODE, f"ClickHouse {number}")


def _judge_neo4j(link: Link) -> Finding | None:
    code = link.text("code", "neo4j_code") or ""
    for start, kind, wakes_on in _NEO4J:
        if code.startswith(start):
            return Finding(Rank.CODE, kind, code, wakes_on)
    return None


_JUDGES = {
    **dict.fromkeys(_ORACLE_DRIVERS, _judge_oracle),
    **dict.fromkeys(_ODBC, _judge_sql_server),
    **dict.fromkeys(("pymongo", "motor", "bson"), _judge_mongo),
    **dict.fromkeys(("clickhouse_connect", "clickhouse_driver", "asynch"), _judge_clickhouse),
    "neo4j": _judge_neo4j,
}
