"""Decision, inside `pasted`: what an exception's name and message say of its classes and values.

A traceback has no attributes and no bases; drivers and SDKs write most of both into their messages.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import re
from typing import Any

_SQLALCHEMY = re.compile(r"^\((?P<name>[A-Za-z_][\w.<>]*)\) (?P<message>.*)", re.DOTALL)
_ASYNCPG = re.compile(r"^<class '(?P<name>[\w.]+)'>: (?P<message>.*)", re.DOTALL)
_MYSQL = re.compile(r"^\((\d{4}), ")
_MYSQL_CONNECTOR = re.compile(r"^(\d{4})(?: \((\w{5})\))?: ")
_STATUS_BODY = re.compile(
    r"^(?:[\w.]+: )*(?:Error code: |status_code: )?(?P<status>[1-5]\d\d)\b"
    r"(?:[ ,.-]+[A-Z_]+\.)?(?:[^{]{0,80}?)(?P<body>\{.*\})?\s*$",
    re.DOTALL,
)
_BOTO = re.compile(r"An error occurred \((?P<code>[\w.:-]+)\) when calling the \w+ operation")
_GRPC = re.compile(r"(?:status = |code=)(?:<?StatusCode\.)(?P<name>[A-Z_]+)")
_ERRNO = re.compile(r"\[Errno (-?\d+)\]")
_SQLSTATE = re.compile(r"^\('(?P<state>\w{5})', ")
_CODED = frozenset(
    {
        "openai",
        "anthropic",
        "groq",
        "together",
        "google",
        "mistralai",
        "cohere",
        "pydantic_ai",
        "litellm",
    }
)
_STANDARD = frozenset(
    {"asyncio", "concurrent", "configparser", "csv", "ftplib", "http", "imaplib", "json", "pickle",
     "smtplib", "socket", "sqlite3", "ssl", "struct", "subprocess", "tomllib", "urllib", "zipfile"}
)  # fmt: skip
_BASES: dict[str, tuple[str, ...]] = {
    "botocore": ("botocore.exceptions.ClientError",),
    "redis": ("redis.exceptions.RedisError",),
    "smtplib": ("smtplib.SMTPException",),
    "pymongo": ("pymongo.errors.PyMongoError",),
    "openai": ("openai.OpenAIError",),
    "anthropic": ("anthropic.AnthropicError",),
    **{
        driver: (f"{home}.DatabaseError", f"{home}.Error")
        for driver, home in (
            ("psycopg", "psycopg"), ("psycopg2", "psycopg2"), ("pymysql", "pymysql.err"),
            ("MySQLdb", "MySQLdb"), ("mysql", "mysql.connector.errors"), ("peewee", "peewee"),
            ("sqlalchemy", "sqlalchemy.exc"), ("duckdb", "duckdb"), ("_duckdb", "duckdb"),
            ("oracledb", "oracledb.exceptions"), ("pyodbc", "pyodbc"), ("sqlite3", "sqlite3"),
        )
    },
}  # fmt: skip
_PLAIN_NAMES = {"JSONDecodeError": "json.decoder.JSONDecodeError"}


def record_of(name: str, message: str) -> dict[str, Any]:
    """A record as `stand_in` takes it, of a class's name and a message."""
    name = _PLAIN_NAMES.get(name, name)
    mro = _mro(name)
    attributes = _attributes(mro, message)
    record: dict[str, Any] = {"mro": mro, "message": message, "attributes": attributes}
    wrapped = _wrapped(mro[0], message)
    return {**record, "cause_chain": [wrapped]} if wrapped else record


def _mro(name: str) -> list[str]:
    module, _, own = name.rpartition(".")
    cls = getattr(builtins, own, None) if module in ("", "builtins") else _standard(module, own)
    if isinstance(cls, type) and issubclass(cls, BaseException):
        return [f"{each.__module__}.{each.__qualname__}" for each in cls.__mro__[:-1]]
    full = name if module else f"__main__.{own}"
    package = module.partition(".")[0]
    bases = () if module == "sqlalchemy.orm.exc" else _BASES.get(package, ())
    family = [each for each in bases if each != full]
    return [full, *family, "builtins.Exception", "builtins.BaseException"]


def _standard(module: str, own: str) -> Any:
    """A class of the standard library, whose bases are known for sure."""
    if module.partition(".")[0] not in _STANDARD:
        return None
    try:
        return getattr(importlib.import_module(module), own, None)
    except ImportError:
        return None


def _wrapped(name: str, message: str) -> dict[str, Any] | None:
    """What SQLAlchemy gives in parentheses before a driver's own message."""
    if not name.startswith("sqlalchemy."):
        return None
    match = _SQLALCHEMY.match(message)
    if match is None:
        return None
    inner_name, inner = match["name"], match["message"].partition("\n[SQL: ")[0].strip()
    deeper = _ASYNCPG.match(inner)
    if deeper is not None:
        inner_name, inner = deeper["name"], deeper["message"]
    return {**record_of(inner_name, inner), "via": "orig"}


def _attributes(mro: list[str], message: str) -> dict[str, Any]:
    package = mro[0].partition(".")[0]
    found: dict[str, Any] = {}
    if match := _MYSQL.match(message):
        found["args[0]"] = int(match[1])
    elif package == "mysql" and (match := _MYSQL_CONNECTOR.match(message)):
        found["errno"] = int(match[1])
    elif package in ("pyodbc", "aioodbc") and (match := _SQLSTATE.match(message)):
        found["args[0]"] = match["state"]
    elif match := _BOTO.search(message):
        found["response.Error.Code"] = match["code"]
    elif match := _GRPC.search(message):
        found["code().name"] = match["name"]
    elif package in _CODED:
        found |= _answer(message)
    if "builtins.OSError" in mro and (match := _ERRNO.search(message)):
        found["errno"] = int(match[1])
    return found


def _answer(message: str) -> dict[str, Any]:
    """Status and body of "Error code: 429 - {…}" and its like."""
    match = _STATUS_BODY.match(message)
    if match is None:
        return {}
    found: dict[str, Any] = {"status_code": int(match["status"])}
    body = _literal(match["body"]) if match["body"] else None
    if isinstance(body, dict):
        found["body"] = body
    return found


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
