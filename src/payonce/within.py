"""On the path, in place of its end: a run is completed inside the user's own transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payonce import values
from payonce.errors import ConfigError, OutsideRun
from payonce.journal.protocol import Closing
from payonce.model import RunState
from payonce.scope import current


def complete_within(app: object, session: Any, result: Any) -> None:
    """Write the run's end through the user's connection; see `Payonce.complete`."""
    scope = current()
    if scope is None or scope.app is not app:
        raise OutsideRun("app.complete()")
    scope.check()
    connection = _connection(session)

    def execute(sql: str, given: Mapping[str, Any]) -> int:
        cursor = connection.cursor()
        try:
            cursor.execute(sql, given)
            return int(cursor.rowcount)
        finally:
            cursor.close()

    closing = Closing(
        run_id=scope.run_id,
        attempt=scope.attempt,
        state=RunState.DONE,
        outcome="done",
        answer="done",
        world=scope.world,
        result=None if result is None else values.encode(result, name="the result"),
    )
    try:
        completed = scope.journal.close_within(execute, closing)
    except Exception as exc:
        if "payonce_runs" not in str(exc):
            raise
        raise ConfigError(
            "app.complete() was given a connection to a database without the journal's tables",
            "Keep the journal in the same database as the job's own tables.",
        ) from exc
    if not completed:
        raise scope.stop(scope.lost())
    scope.completed = True


def _connection(session: Any) -> Any:
    """The DB-API connection behind an SQLAlchemy session or connection, or the thing itself."""
    found = session
    if hasattr(found, "in_nested_transaction") and callable(getattr(found, "connection", None)):
        found = found.connection()  # a session's connection, its transaction begun
    if hasattr(found, "exec_driver_sql"):
        found = found.connection
    return found
