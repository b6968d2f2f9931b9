"""Edge: from an engine, a URL, a Django connection or a function to a `Database`."""

from __future__ import annotations

import importlib.util
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from payonce.errors import ConfigError
from payonce.journal.postgres_url import parsed
from payonce.preflight.database import DIALECTS, Connection, Database, Dialect
from payonce.preflight.looped import LoopedDatabase
from payonce.redact import redact

_MARKERS = {"qmark": "?", "format": "%s", "pyformat": "%s", "numeric_dollar": "$1", "named": "?"}
_DRIVERS: dict[str, Dialect] = {
    "sqlite3": "sqlite",
    "psycopg": "postgresql",
    "psycopg2": "postgresql",
    "pymysql": "mysql",
    "MySQLdb": "mysql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
_LIBPQ = ("", "psycopg", "psycopg2")
_PATIENCE = 5
"""Seconds until a server that doesn't answer counts as away."""

_known: weakref.WeakValueDictionary[Any, Database] = weakref.WeakValueDictionary()


def database(target: Any) -> Database:
    """The database behind an SQLAlchemy engine, a URL, a Django connection, or a function.

    Each is opened once in a process, however often it is named; nothing is opened here.

    Raises:
        ConfigError: it is none of these, or of a kind that payonce can't read.
    """
    engine = getattr(target, "sync_engine", target)
    key: object = id(engine)
    if isinstance(target, str):
        key = target
    elif hasattr(target, "settings_dict"):
        key = ("django", target.alias)
    found = _known.get(key)
    if found is None:
        found = _database(target, engine)
        _known[key] = found
    return found


def _database(target: Any, engine: Any) -> Database:
    if isinstance(target, str):
        return _at_url(target)
    if hasattr(engine, "dialect") and hasattr(engine, "raw_connection"):
        return _of_engine(engine)
    if hasattr(target, "settings_dict") and hasattr(target, "vendor"):
        return _of_django(target)
    if callable(target):
        return Database("database", lambda: _of_function(target))
    raise unknown(target)


def unknown(target: Any) -> ConfigError:
    """The error for what is no database that can be read."""
    return ConfigError(
        f"payonce can't read the schema of {redact(str(target))[:200]}",
        "Give it an SQLAlchemy engine, a Django connection, the URL of a PostgreSQL, MySQL, MariaDB"
        " or SQLite database, or a function that opens a connection to one.",
    )


def _of_engine(engine: Any) -> Database:
    dialect = DIALECTS.get(engine.dialect.name)
    if dialect is None:
        raise unknown(engine)
    file = sqlite_file(str(engine.url)) if dialect == "sqlite" else None
    if engine.dialect.is_async and dialect == "sqlite":
        if file is None:
            raise unknown(engine)
        return _of_engine(_engine_at(f"sqlite:///{file}"))
    name = f"{dialect}:{file.name if file is not None else engine.url.database or ''}"
    kind = LoopedDatabase if engine.dialect.is_async else Database
    return kind(name, lambda: _opened(engine))


def _opened(engine: Any) -> Connection:
    """A connection as the engine's own pool would make it, but in no one else's way.

    A database in memory is only to be had from the engine itself.
    """
    from sqlalchemy import Engine

    dialect = DIALECTS[engine.dialect.name]
    shared = dialect == "sqlite" and sqlite_file(str(engine.url)) is None
    private = engine
    if not shared:
        options = engine.get_execution_options()
        pool = engine.pool.recreate()
        private = Engine(pool, engine.dialect, engine.url, execution_options=options)
    alchemy = private.connect().execution_options(isolation_level="AUTOCOMMIT")

    def close() -> None:
        alchemy.close()
        if not shared:
            private.dispose()

    marker = _MARKERS[engine.dialect.paramstyle]
    return Connection(dialect, alchemy.connection, marker, close, alchemy)


def _engine_at(url: str) -> Any:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url

    engine = make_url(url).get_dialect()
    if engine.is_async:
        from sqlalchemy.ext.asyncio import create_async_engine

        return create_async_engine(url).sync_engine
    return create_engine(url)


def _at_url(url: str) -> Database:
    scheme, _, driver = urlsplit(url).scheme.partition("+")
    dialect = DIALECTS.get("postgresql" if scheme == "postgres" else scheme)
    file = sqlite_file(url)
    if dialect is None or (dialect == "sqlite" and file is None):
        raise unknown(url)
    if file is not None:
        connect = _sqlite(file)
        return Database(f"sqlite:{file.name}", lambda: of_driver(connect()))
    name = f"{dialect}:{urlsplit(url).path.lstrip('/')}"
    if dialect == "postgresql" and driver in _LIBPQ and _is_installed("psycopg"):
        return Database(name, lambda: of_driver(_psycopg(url)))
    if not driver and dialect == "mysql" and "?" not in url and _is_installed("pymysql"):
        return Database(name, lambda: of_driver(_pymysql(url)))
    if not _is_installed("sqlalchemy"):
        raise ConfigError(
            f"there is no driver for {redact(url)[:200]}",
            "Install one: pip install 'psycopg[binary]' for PostgreSQL, pymysql for MySQL.",
        )
    return _of_engine(_engine_at(url))


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _sqlite(file: Path) -> Callable[[], Any]:
    import sqlite3

    uri = f"{file.as_uri()}?mode=rw"
    return lambda: sqlite3.connect(uri, uri=True, timeout=1.0, check_same_thread=False)


def _psycopg(url: str) -> Any:
    import psycopg

    conninfo = parsed(url).conninfo
    patience: dict[str, Any] = (
        {} if "connect_timeout" in conninfo else {"connect_timeout": _PATIENCE}
    )
    return psycopg.connect(conninfo, autocommit=True, **patience)


def _pymysql(url: str) -> Any:
    import pymysql

    at = urlsplit(url)
    return pymysql.connect(
        host=at.hostname or "localhost",
        port=at.port or 3306,
        user=unquote(at.username or ""),
        password=unquote(at.password or ""),
        database=unquote(at.path.lstrip("/")),
        connect_timeout=_PATIENCE,
        read_timeout=6 * _PATIENCE,
    )


def _of_django(target: Any) -> Database:
    dialect = DIALECTS.get(target.vendor)
    if dialect is None:
        raise unknown(target)
    alias = target.alias

    def opened() -> Connection:
        from django.db import connections

        wrapper = connections.create_connection(alias)
        wrapper.inc_thread_sharing()
        wrapper.connect()
        return of_driver(wrapper.connection, close=wrapper.close)

    name = Path(str(target.settings_dict["NAME"])).name
    return Database(f"{dialect}:{name}", opened)


def _of_function(target: Callable[[], Any]) -> Connection:
    given = target()
    engine = getattr(given, "sync_engine", given)
    if not hasattr(engine, "raw_connection"):
        return of_driver(given)
    if engine.dialect.is_async or engine.dialect.name not in DIALECTS:
        raise unknown(engine)
    return _opened(engine)


def of_driver(raw: Any, close: Callable[[], object] | None = None) -> Connection:
    """A driver's own connection, switched to autocommit.

    Raises:
        ConfigError: it is of no driver that payonce knows.
    """
    inner = getattr(raw, "driver_connection", raw)
    driver = next(
        (name for cls in type(inner).__mro__ if (name := cls.__module__.split(".")[0]) in _DRIVERS),
        None,
    )
    if driver is None:
        raise unknown(type(inner))
    if driver == "sqlite3":
        inner.isolation_level = None
    elif callable(inner.autocommit):
        inner.autocommit(True)
    else:
        inner.autocommit = True
    marker = "?" if driver == "sqlite3" else "%s"
    return Connection(_DRIVERS[driver], raw, marker, close or raw.close)


def sqlite_file(url: str) -> Path | None:
    """The file behind a SQLite URL; None where it is another database, or in memory."""
    scheme, _, path = url.partition(":///")
    path = path.partition("?")[0]
    is_file = scheme.partition("+")[0] == "sqlite" and path and not path.startswith(":memory:")
    return Path(path).absolute() if is_file else None
