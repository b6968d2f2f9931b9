"""Memory: the journal's tables in a PostgreSQL schema: found, made, migrated or refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from psycopg import Connection, errors, sql

from payonce.errors import ConfigError, JournalNotFound, JournalTooNew, NotAJournal
from payonce.journal.queries import migrations, qualified, queries

if TYPE_CHECKING:
    from payonce.journal.postgres_url import PostgresUrl

_LOCK = 7_926_001_977_001
"""The advisory lock that those who migrate take in turn; a number that nobody else has."""


class Tables:
    """Where the tables are, and the queries that name them there."""

    def __init__(
        self, url: PostgresUrl, *, create: bool, clock: Callable[[], float] | None
    ) -> None:
        self._url, self._create, self._clock = url, create, clock
        self.schema = ""
        self.made_anew = 0
        self._made: float | None = None
        self.queries: Mapping[str, str] = {}

    def ensure(self, connection: Connection[Any]) -> None:
        """Make sure, once for each connection, that the tables are those that the code knows.

        Raises:
            JournalNotFound: they aren't there, and may not be made.
            JournalTooNew: a newer payonce made them.
            NotAJournal: tables of these names belong to something else.
            ConfigError: the role may not make them.
        """
        schema = self._schema(connection)
        version = self._version(connection, schema)
        if version < migrations("postgres")[-1][0]:
            if not version and not self._create:
                raise JournalNotFound(
                    f"there is no journal in schema {schema!r} of {self._url.place}",
                    "Name the app's store with --store or $PAYONCE_STORE; its first delivery "
                    "makes it.",
                )
            self._migrate(connection, schema)
            self._version(connection, schema)
        if schema != self.schema:
            self.queries = qualified(queries("postgres"), sql.Identifier(schema).as_string())
            self.schema = schema

    def _schema(self, connection: Connection[Any]) -> str:
        if self._url.schema is not None:
            return self._url.schema
        row = connection.execute("SELECT current_schema() AS name").fetchone()
        if row is None or row["name"] is None:
            raise ConfigError(
                f"the role of {self._url.place} has no current schema",
                "Name one that is there: ?schema=payonce at the end of the store's URL.",
            )
        return str(row["name"])

    def _version(self, connection: Connection[Any], schema: str) -> int:
        table = sql.Identifier(schema, "payonce_migrations")
        found = connection.execute(
            "SELECT to_regclass(%s)::text AS name", [table.as_string()]
        ).fetchone()
        if found is None or found["name"] is None:
            return 0
        try:
            row = connection.execute(
                sql.SQL("SELECT max(number) AS number, min(applied_at) AS made FROM {}").format(
                    table
                )
            ).fetchone()
        except errors.UndefinedColumn as exc:
            raise _not_ours(self._url.place, schema, str(exc)) from exc
        version = int(row["number"] or 0) if row else 0
        newest = migrations("postgres")[-1][0]
        if version > newest:
            raise JournalTooNew(
                f"{self._url.place} is a journal of version {version}, and this payonce knows up "
                f"to {newest}; it was left untouched",
                "Upgrade payonce to the version that wrote it.",
            )
        self._notice(row["made"] if row else None)
        return version

    def _notice(self, made: float | None) -> None:
        """Count how often the tables were dropped and made anew under this process."""
        if made is not None and made != self._made:
            self.made_anew += self._made is not None
            self._made = made

    def _migrate(self, connection: Connection[Any], schema: str) -> None:
        try:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                if not connection.execute(
                    "SELECT FROM pg_namespace WHERE nspname = %s", [schema]
                ).rowcount:
                    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
                self._apply_missing(connection, schema)
        except errors.InsufficientPrivilege as exc:
            raise ConfigError(
                f"the role of {self._url.place} may not make the journal's tables: {exc}",
                "Make them once with a role that may: payonce doctor --migrate --store URL.",
            ) from exc
        except errors.DuplicateTable as exc:
            raise _not_ours(self._url.place, schema, str(exc)) from exc

    def _apply_missing(self, connection: Connection[Any], schema: str) -> None:
        version = self._version(connection, schema)
        place = sql.Identifier(schema)
        connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(place))
        at = time.time() if self._clock is None else self._clock()
        for number, name, script in migrations("postgres"):
            if number > version:
                connection.execute(script.encode(), prepare=False)
                connection.execute(
                    "INSERT INTO payonce_migrations VALUES (%s, %s, %s)", [number, name, at]
                )


def _not_ours(place: str, schema: str, why: str) -> NotAJournal:
    return NotAJournal(
        f"the tables in schema {schema!r} of {place} are no journal's: {why.splitlines()[0]}; "
        "they were left untouched",
        "Name another schema: ?schema=payonce at the end of the store's URL.",
    )
