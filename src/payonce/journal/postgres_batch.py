"""Memory: the writes of one commit on PostgreSQL, sent together and answered together.

Statements that travel in one pipeline share one implicit transaction, and so one commit
(https://www.postgresql.org/docs/current/protocol-flow.html, "Pipelining"): one round trip,
however many writes have waited for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, Cursor, Error

from payonce.journal.writer import Pending
from payonce.money import Allowance

Row = dict[str, Any]
Statement = tuple[str, Mapping[str, Any]]
Rows = list[list[Row]]


@dataclass(frozen=True, slots=True)
class Touches:
    """Which balances a write will move: those of its allowances, of a call, of a run's calls.

    `makes` is for a write that may make new ones.
    """

    allowances: tuple[Allowance, ...] = ()
    currency: str = ""
    call_id: int | None = None
    run_id: int | None = None
    makes: bool = False


NOTHING = Touches()


class _Step:
    """One write: its statements, and how to read its value from the rows that they return.

    `touches` says what it will lock; `instead` is asked for where the statements found no row.
    """

    def __init__(
        self,
        statements: Sequence[Statement],
        read: Callable[[Rows], Any],
        touches: Touches,
        instead: Sequence[Statement] = (),
    ) -> None:
        self.statements, self._read, self.touches = statements, read, touches
        self._instead = instead
        self._rows: Rows = []
        self._error: Error | None = None

    def goes_on(self) -> bool:
        """Whether there is something left to ask for, which is asked for next."""
        if not self._instead or self._error is not None or any(self._rows):
            return False
        self.statements, self._instead = self._instead, ()
        return True

    def send(self, connection: Connection[Row]) -> list[Any]:
        """Ask for all statements; the cursors that their rows will be on."""
        return [connection.execute(sql, given, binary=True) for sql, given in self.statements]

    def ask(self, cursor: Cursor[Row]) -> None:
        """Do its only statement, on a cursor that is used again: to make one takes 14 µs."""
        [(sql, given)] = self.statements
        self.take([cursor.execute(sql, given)])

    def take(self, cursors: Sequence[Any]) -> None:
        """Keep what came back."""
        self._rows = [c.fetchall() if c.description else [] for c in cursors]
        self._error = None

    def fail(self, error: Error) -> None:
        """This write was refused; its neighbours were not."""
        self._error = error

    def value(self) -> Any:
        """The write's value, or its failure."""
        if self._error is not None:
            raise self._error
        return self._read(self._rows)


class Batch:
    """What one commit is made of; `soft` lets the commit not wait for the disk.

    `cursor` is for a statement that is alone; several have one each, on its connection.

    `locks` makes statements that lock what its writes touch before the first of them, in the order
    of all commits: the writes alone would do so each in an order of its own.
    """

    def __init__(
        self,
        cursor: Cursor[Row],
        locks: Callable[[Sequence[Touches]], Iterable[Statement]],
        *,
        soft: bool,
    ) -> None:
        self.cursor, self.connection = cursor, cursor.connection
        self.soft, self._locks = soft, locks
        self._steps: list[_Step] = []

    def add(
        self,
        statements: Sequence[Statement],
        read: Callable[[Rows], Any],
        touches: Touches,
        instead: Sequence[Statement] = (),
    ) -> Pending:
        """Take a write along; its value is there once the batch is carried out."""
        step = _Step(statements, read, touches, instead)
        self._steps.append(step)
        return Pending(step.value)

    def carry_out(self) -> None:
        """Do all writes in one commit; where one is refused, each in a commit of its own.

        Raises:
            psycopg.Error: the only write was refused, or the connection is gone.
        """
        try:
            self._together(self._steps)
        except Error:
            if len(self._steps) == 1 or self.connection.closed:
                raise
            self._each_alone()
        for step in self._steps:
            if step.goes_on():
                try:
                    self._together([step])
                except Error as exc:  # the others are committed
                    step.fail(exc)

    def _each_alone(self) -> None:
        for step in self._steps:
            try:
                self._together([step])
            except Error as exc:
                if self.connection.closed:
                    raise
                step.fail(exc)

    def _together(self, steps: Sequence[_Step]) -> None:
        if len(steps) == 1 and len(steps[0].statements) == 1:
            steps[0].ask(self.cursor)
            return
        with self.connection.pipeline():
            for sql, given in self._locks([step.touches for step in steps]):
                self.connection.execute(sql, given, binary=True)
            sent = [step.send(self.connection) for step in steps]
        for step, cursors in zip(steps, sent, strict=True):
            step.take(cursors)
