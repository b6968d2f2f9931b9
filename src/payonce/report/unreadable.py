"""Reading: what a database driver says, as an error that says what to do."""

from __future__ import annotations

from payonce.errors import JournalError
from payonce.redact import redact

_DRIVERS = ("sqlite3", "psycopg")


def unreadable(exc: BaseException) -> JournalError | None:
    """The error behind a driver's exception; None where it is no driver's."""
    if type(exc).__module__.partition(".")[0] not in _DRIVERS:
        return None
    return JournalError(
        f"the journal can't be used: {redact(str(exc))}",
        "Look at the file, its folder's rights and the space on its disk, then try again.",
    )
