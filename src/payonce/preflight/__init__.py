"""Edge: what the databases that jobs write to look like; one small file per dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from payonce.errors import ConfigError
from payonce.preflight.connecting import database, sqlite_file, unknown
from payonce.preflight.sqlite import SqliteFileSchema, SqliteSchema
from payonce.preflight.watching import WatchedDatabase
from payonce.world import Watched

if TYPE_CHECKING:
    from payonce.preflight.need import SchemaNeed


def watched(target: Any) -> Watched:
    """The schema behind an SQLAlchemy engine, a URL, a Django connection, or a function.

    Raises:
        ConfigError: it is none of these, or of a kind that payonce can't read.
    """
    engine = getattr(target, "sync_engine", target)
    is_engine = hasattr(engine, "dialect") and hasattr(engine, "raw_connection")
    if is_engine or isinstance(target, str):
        url = str(engine.url) if is_engine else target
        file = sqlite_file(url)
        if file is not None:
            return SqliteFileSchema(file)
        if is_engine and engine.dialect.name == "sqlite":
            if engine is not target:
                raise unknown(target)
            return SqliteSchema("sqlite", lambda: engine.raw_connection())
    return WatchedDatabase(database(target))


def expect(
    target: Any,
    expected: Sequence[Any],
    reads: Sequence[Any],
    rehearse: Sequence[Any],
    migrations: str | None,
) -> SchemaNeed:
    """What code needs of a database; see `Payonce.schema`.

    Raises:
        ConfigError: nothing can be made of one of these.
    """
    from payonce.preflight.need import SchemaNeed
    from payonce.preflight.sources import Sources

    if not (expected or reads or rehearse):
        raise ConfigError(
            "app.schema() was given nothing to look for", "Name what the job writes or reads."
        )
    alias = getattr(target, "alias", "default") if hasattr(target, "settings_dict") else "default"
    sources = Sources(tuple(expected), tuple(reads), tuple(rehearse), alias, migrations)
    where = database(target)
    return SchemaNeed(f"{where.name}/needs", where, sources)
