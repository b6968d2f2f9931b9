"""Edge: what the databases that jobs write to look like; one small file per dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from payonce.errors import ConfigError
from payonce.preflight.sqlite import SqliteFileSchema, SqliteSchema
from payonce.redact import redact
from payonce.world import Watched


def watched(target: Any) -> Watched:
    """The schema behind an SQLAlchemy engine, a URL, or a function that opens a connection.

    Raises:
        ConfigError: the database has no schema reader yet, or isn't a database.
    """
    url = str(getattr(target, "url", target))
    sync = getattr(target, "sync_engine", target)
    if isinstance(target, str) or hasattr(sync, "dialect"):
        file = _sqlite_file(url)
        if file is not None:
            return SqliteFileSchema(file)
        if hasattr(sync, "dialect") and sync.dialect.name == "sqlite" and sync is target:
            return SqliteSchema("sqlite", lambda: sync.raw_connection())
    elif callable(target):
        return SqliteSchema("sqlite", target)
    raise ConfigError(
        f"payonce can't watch {redact(url)[:200]}",
        "Give app.watch() an SQLAlchemy engine or URL of a SQLite file, or a function that opens "
        "a sqlite3 connection.",
    )


def _sqlite_file(url: str) -> Path | None:
    scheme, _, path = url.partition(":///")
    path = path.partition("?")[0]
    is_file = scheme.partition("+")[0] == "sqlite" and path and not path.startswith(":memory:")
    return Path(path).absolute() if is_file else None
