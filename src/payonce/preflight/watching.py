"""Edge: the fingerprint of a whole schema, for jobs that don't say which tables they use."""

from __future__ import annotations

import hashlib
import logging

from payonce.preflight.database import Connection, Database
from payonce.preflight.dialects import SPEECH

AWAY = "?"
_log = logging.getLogger("payonce")


def whole(connection: Connection) -> str:
    """12 hex digits that change with the schema; payonce's own tables don't count."""
    return digest(SPEECH[connection.dialect].whole(connection))


def digest(text: str) -> str:
    """12 hex digits of a text's hash."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class WatchedDatabase:
    """A watched database: PostgreSQL, MySQL, MariaDB, or one behind a function."""

    def __init__(self, database: Database) -> None:
        self.name = database.name
        self._database = database

    def fingerprint(self) -> str:
        """A hash of the schema; "?" when it can't be read just now."""
        try:
            return self._database.ask(whole)
        except Exception as exc:  # any driver's own way of saying that it can't
            _log.info("the schema of %s can't be read just now: %s", self.name, exc)
            return AWAY

    def close(self) -> None:
        """Close the connection that is kept."""
        self._database.close()
