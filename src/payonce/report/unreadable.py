"""Reading: what a database driver says, as an error that says what to do."""

from __future__ import annotations

from payonce.errors import JournalError
from payonce.redact import redact

_TODO = {
    "sqlite3": "Look at the file, its folder's rights and the space on its disk, then try again.",
    "psycopg": "Look whether the database is up, and what its role may do, then try again.",
}


def unreadable(exc: BaseException) -> JournalError | None:
    """The error behind a driver's exception; None where it is no driver's."""
    todo = _TODO.get(type(exc).__module__.partition(".")[0])
    if todo is None:
        return None
    return JournalError(f"the journal can't be used: {redact(str(exc))}", todo)
