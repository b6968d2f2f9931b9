"""Edge: the ladder of checks: the catalogue, then EXPLAIN, then, if asked for, a rehearsal."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from payonce.failure import classify
from payonce.model import Kind
from payonce.preflight.compare import Defect, defects
from payonce.preflight.database import Connection, Database
from payonce.preflight.dialects import SPEECH
from payonce.preflight.expected import Expected, Rehearsal, Statement
from payonce.preflight.found import Catalogue
from payonce.preflight.sources import Sources
from payonce.preflight.watching import AWAY, digest, whole
from payonce.ready import Readiness, State

_log = logging.getLogger("payonce")
_UNTOLD = ("08", "25", "40", "53", "55006", "55P03", "57", "58", "XX")
_UNTOLD_NUMBERS = (1290, 1792, 1836, 3100)
_INFERRED = ("42P18", "42725", "42P08")
"""What PREPARE says where only the values would tell a parameter's type: no defect."""


class CantTell(Exception):
    """The database did not answer the question; the cause says why."""


class _Unmade(Exception):
    """The code's own expectation can't be made for this dialect; only other code mends that."""


class SchemaNeed:
    """What a job needs of one database's schema; made by `app.schema()`."""

    def __init__(self, name: str, database: Database, sources: Sources) -> None:
        self.name = name
        self._database, self._sources = database, sources
        self._expected: Expected | None = None

    def __repr__(self) -> str:
        return f"<what is needed of {self.name}>"

    def fingerprint(self) -> str:
        """12 hex digits that change with the tables in question; "?" when they can't be read."""
        try:
            return self._database.ask(self._fingerprint)
        except Exception as exc:  # any driver's own way of saying that it can't
            _log.info("the schema of %s can't be read just now: %s", self.name, exc)
            return AWAY

    def check(self) -> Readiness:
        """Climb the ladder, as far as it holds."""
        try:
            return self._database.ask(self._check)
        except _Unmade as exc:
            told = f"what the code needs can't be put in the database's words: {exc}"
            return Readiness(State.NOT_READY, AWAY, (told,))
        except CantTell as exc:
            return Readiness(State.CANT_TELL, AWAY, (str(exc),))
        except Exception as exc:  # any driver's own way of saying that it can't
            return Readiness(State.CANT_TELL, AWAY, (_first_line(exc),))

    def close(self) -> None:
        """Close the connection that is kept."""
        self._database.close()

    def _fingerprint(self, connection: Connection) -> str:
        expected = self._expect(connection)
        if not expected.names:
            return whole(connection)
        return _fingerprint(SPEECH[connection.dialect].look(connection, expected.names))

    def _expect(self, connection: Connection) -> Expected:
        if self._expected is None:
            try:
                self._expected = self._sources.expected(connection)
            except Exception as exc:
                raise _Unmade(str(exc)) from exc
        return self._expected

    def _check(self, connection: Connection) -> Readiness:
        expected = self._expect(connection)
        catalogue = SPEECH[connection.dialect].look(connection, expected.names)
        seen = _fingerprint(catalogue) if expected.names else whole(connection)
        if catalogue.reads_only:
            raise CantTell("it takes no writes just now: it is read-only")
        found = list(_by_catalogue(expected, catalogue, connection))
        touched = {defect.table for defect in found}
        for statement in expected.statements:
            if not touched.intersection(map(str, statement.names)):
                found += _explained(statement, connection)
        if not found:
            for rehearsal in expected.rehearsals:
                found += _rehearsed(rehearsal, catalogue, expected, connection)
        if not found:
            return Readiness(State.READY, seen)
        told = tuple(dict.fromkeys(defect.what for defect in found))
        return Readiness(State.NOT_READY, seen, told, self._sources.hint(connection, found))


def _fingerprint(catalogue: Catalogue) -> str:
    return AWAY if catalogue.reads_only else digest(catalogue.text)


def _by_catalogue(
    expected: Expected, catalogue: Catalogue, connection: Connection
) -> Iterator[Defect]:
    by_name = dict(zip(expected.names, catalogue.tables, strict=True))
    for table in expected.rows:
        yield from defects(table, by_name[table.named], catalogue, connection.dialect)


def _explained(statement: Statement, connection: Connection) -> Iterator[Defect]:
    explain = SPEECH[connection.dialect].explain
    try:
        explain(connection, statement.sql, statement.parameters)
    except Exception as exc:
        if _sqlstate(exc) in _INFERRED:
            return
        yield _judged("statement", statement.shown, exc)


def _rehearsed(
    rehearsal: Rehearsal, catalogue: Catalogue, expected: Expected, connection: Connection
) -> Iterator[Defect]:
    speech = SPEECH[connection.dialect]
    by_name = dict(zip(expected.names, catalogue.tables, strict=True))
    for named in rehearsal.names:
        table = by_name[named]
        if table is not None and not table.undoes:
            raise CantTell(f"a write to {named} can't be rehearsed: its engine can't undo it")
    try:
        with connection.undone():
            begun = speech.begin(connection, rehearsal.names)
            rehearsal.perform(connection)
            speech.end(connection, rehearsal.names, begun)
    except Exception as exc:
        yield _judged("rehearsal", rehearsal.shown, exc)


def _judged(kind: str, shown: str, exc: Exception) -> Defect:
    """A defect, if the database's refusal is one.

    Raises:
        CantTell: it is not: a lock, a migration that runs, a database on its way out.
    """
    code = _sqlstate(exc)
    passing = classify(exc).kind in (Kind.TRANSIENT, Kind.THROTTLED)
    if passing or code.startswith(_UNTOLD) or _number(exc) in _UNTOLD_NUMBERS or _is_io(exc):
        raise CantTell(_first_line(exc)) from exc
    told = f"{_first_line(exc)} ({code})" if code else _first_line(exc)
    return Defect(kind, f"{told}, by: {shown}")


def _sqlstate(exc: BaseException) -> str:
    inner: Any = getattr(exc, "orig", None) or exc
    return str(getattr(inner, "sqlstate", None) or getattr(inner, "pgcode", None) or "")


def _is_io(exc: BaseException) -> bool:
    """Whether SQLite's file, disk or memory failed it (https://sqlite.org/rescode.html)."""
    inner: Any = getattr(exc, "orig", None) or exc
    code = getattr(inner, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in (7, 8, 10, 13, 14)


def _number(exc: BaseException) -> Any:
    inner: Any = getattr(exc, "orig", None) or exc
    return next(iter(inner.args), None)


def _first_line(exc: BaseException) -> str:
    inner: Any = getattr(exc, "orig", None) or exc
    args: Sequence[Any] = inner.args
    text = str(args[1]) if len(args) > 1 and isinstance(args[0], int) else str(inner)
    line = text.strip().partition("\n")[0]
    return line.partition(": ")[2] if line.startswith("<class ") else line or type(inner).__name__
