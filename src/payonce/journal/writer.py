"""Memory: one write at a time per process; writes that wait together share a commit.

A write is a function of the connection. Whoever asks for one *now* does it in its own thread,
along with all that others have asked for meanwhile: while one thread waits for the disk, the
others queue up, and the next one commits for them all (group commit). What is asked for *later*,
by an event loop or by somebody who doesn't wait, is done by one daemon thread in the same way. A
write that must survive the machine asks for a durable commit (an fsync); one that must only
survive the process does not.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar, cast

C = TypeVar("C")
T = TypeVar("T")


class Pending:
    """A write's value that can be read only once its transaction is committed."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[], Any]) -> None:
        self.read = read


class Transactions(Protocol[C]):
    """What the writer needs of a database; `begin` raises when it can't be had."""

    def begin(self, *, durable: bool) -> C:
        """Open the connection if need be, and a transaction on it."""

    def commit(self, connection: C) -> None:
        """Make the transaction's writes hold."""

    def rollback(self, connection: C) -> bool:
        """Take back all writes of an open transaction; False when it is committed already."""

    def guarded(self, connection: C, write: Write[T]) -> T | Pending:
        """Do one write of several so that its failure takes back nothing but itself."""


class Write(Generic[T]):
    """A write that waits to be asked for; it is done once, in the order of asking.

    `otherwise` is called in place of failing, with what went wrong.
    """

    __slots__ = (
        *("_done", "_error", "_future", "_value", "_writer"),
        *("do", "durable", "otherwise", "undo"),
    )

    def __init__(
        self,
        writer: Writer[Any],
        do: Callable[[Any], T | Pending],
        *,
        durable: bool,
        otherwise: Callable[[BaseException], T] | None,
    ) -> None:
        self._writer, self.do, self.durable, self.otherwise = writer, do, durable, otherwise
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._future: Future[T] | None = None
        self.undo: Callable[[T], object] | None = None

    def now(self) -> T:
        """Do it, and return its value once it is committed."""
        self._writer.lead(self)
        if self._error is not None:
            raise self._error
        return cast(T, self._value)

    def later(self) -> Future[T]:
        """Let the writer's thread do it; cancelling the future does not take it back."""
        future: Future[T] = Future()
        self._future = future
        future.set_running_or_notify_cancel()
        self._writer.follow(self)
        return future

    def unwanted(self, undo: Callable[[T], object]) -> None:
        """Nobody waits for it any more: `undo` is called with its value, once that is there."""
        self.undo = undo
        if self._done:
            self._undone()

    def _undone(self) -> None:
        undo, self.undo = self.undo, None
        if undo is not None and self._error is None:
            undo(cast(T, self._value))

    @property
    def done(self) -> bool:
        """Whether it is committed, or has failed."""
        return self._done

    def end(self, value: Any, error: BaseException | None) -> None:
        """Take down how it went; once, but it may be told again."""
        if not self._done:
            if error is not None and self.otherwise is not None:
                try:
                    value, error = self.otherwise(error), None
                except Exception as exc:
                    error = exc
            self._value, self._error, self._done = value, error, True
        self._undone()
        if self._future is not None and not self._future.done():
            if self._error is None:
                self._future.set_result(cast(T, self._value))
            else:
                self._future.set_exception(self._error)


End = tuple[Write[Any], Any, BaseException | None]


class Writer(Generic[C]):
    """Does the writes of one process on one database."""

    def __init__(self, transactions: Transactions[C], *, most: int = 256) -> None:
        self._transactions = transactions
        self._most = most
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        self._waiting: deque[Write[Any]] = deque()
        self._committing = threading.RLock()
        self._is_committing = False
        self._starting = threading.RLock()
        self._asked = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def write(
        self,
        do: Callable[[C], T | Pending],
        *,
        durable: bool = False,
        otherwise: Callable[[BaseException], T] | None = None,
    ) -> Write[T]:
        """A write, not yet asked for."""
        return Write(self, do, durable=durable, otherwise=otherwise)

    def lead(self, write: Write[Any]) -> None:
        """Return when the write is done, by this thread or by another that came first."""
        self._waiting.append(write)
        while not write.done:
            with self._committing:
                if self._is_committing:
                    raise RuntimeError("a signal handler came in the middle of another write")
                if not write.done:
                    self._commit()

    def follow(self, write: Write[Any]) -> None:
        """Leave a write to the thread."""
        self._waiting.append(write)
        self._asked.release()
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._start()

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._work, args=(self._asked,), name="payonce-writer", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no thread to be had just now: this one does what waits
            if self._committing.acquire(blocking=False):
                try:
                    self._commit()
                finally:
                    self._committing.release()
        else:
            self._thread = thread

    def pause(self) -> None:
        """Wait for the commit that is under way, and let no other begin in this process."""
        self._committing.acquire()

    def resume(self) -> None:
        """Let commits go on."""
        self._committing.release()

    def start_anew(self) -> None:
        """Forget, in a forked child, what the parent's threads have asked for."""
        self._reset()

    def flush(self) -> None:
        """Return when all that was asked for is written.

        In a signal handler that came in the middle of a write it returns at once.
        """
        while self._waiting:
            with self._committing:
                if self._is_committing:
                    return
                self._commit()
        with self._committing:
            pass

    def rest(self) -> None:
        """Write what was asked for, and let the thread end until it is needed again."""
        self.flush()
        with self._starting:
            asked, self._asked, self._thread = self._asked, threading.Semaphore(0), None
        asked.release()

    def _work(self, asked: threading.Semaphore) -> None:
        is_needed = True
        while is_needed:
            asked.acquire()
            is_needed = asked is self._asked
            with self._committing:
                self._commit()

    def _commit(self) -> None:
        """Do what waits in one transaction.

        A write leaves the queue only once it has ended: whoever comes next finds all that an
        exception out of a signal kept this thread from.
        """
        if self._is_committing:
            return
        batch = self._first()
        ends: list[End] = []
        connection = None
        try:
            self._is_committing = True
            if not batch:
                return
            connection = self._transactions.begin(durable=any(w.durable for w in batch))
            if len(batch) == 1:
                ends.append((batch[0], batch[0].do(connection), None))
            else:
                ends.extend(self._guarded(connection, write) for write in batch)
            self._transactions.commit(connection)
            ends = [_read(end) for end in ends]
        except Exception as exc:
            if connection is not None:
                self._transactions.rollback(connection)
            self._end([(write, None, exc) for write in batch])
        except BaseException:  # a signal's: it is not the writes' failure
            if connection is not None and not self._transactions.rollback(connection):
                self._end(ends)
            raise
        else:
            self._end(ends)
        finally:
            self._is_committing = False

    def _first(self) -> list[Write[Any]]:
        while self._waiting and self._waiting[0].done:
            self._waiting.popleft()
        return [self._waiting[n] for n in range(min(len(self._waiting), self._most))]

    def _guarded(self, connection: C, write: Write[Any]) -> End:
        try:
            return write, self._transactions.guarded(connection, write), None
        except Exception as exc:
            return write, None, exc

    def _end(self, ends: list[End]) -> None:
        try:
            for write, value, error in ends:
                write.end(value, error)
        except BaseException:  # what was committed is told, whatever a signal raises meanwhile
            for write, value, error in ends:
                write.end(value, error)
            raise
        finally:
            self._first()


def _read(end: End) -> End:
    write, value, error = end
    if isinstance(value, Pending):
        try:
            return write, value.read(), None
        except Exception as exc:
            return write, None, exc
    return write, value, error


_writers: weakref.WeakSet[Writer[Any]] = weakref.WeakSet()


def _at_exit() -> None:
    for writer in list(_writers):
        writer.flush()


atexit.register(_at_exit)
