"""Memory: one writer thread per process; concurrent writes share a commit (group commit).

Each write is a function of the connection. The writer takes all that wait, does each under a
savepoint, commits once, and only then answers. A write that must survive the machine asks for
a durable commit (an fsync); one that must only survive the process does not.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

C = TypeVar("C")
T = TypeVar("T")


class Transactions(Protocol[C]):
    """What the writer needs of a database; `begin` raises when it can't be had."""

    def begin(self, *, durable: bool) -> C:
        """Open the connection if need be, and a transaction on it."""

    def commit(self, connection: C) -> None:
        """Make the transaction's writes hold."""

    def rollback(self, connection: C) -> None:
        """Take back all writes of the transaction; never raises."""

    def guarded(self, connection: C, write: Callable[[C], T]) -> T:
        """Do one write so that its failure takes back nothing but itself."""


class _Write(Generic[C]):
    __slots__ = ("do", "durable", "future")

    def __init__(self, do: Callable[[C], Any], durable: bool) -> None:
        self.do, self.durable = do, durable
        self.future: Future[Any] = Future()
        # A caller that is cancelled must not take its write out of the queue.
        self.future.set_running_or_notify_cancel()


class Writer(Generic[C]):
    """Hands writes to one daemon thread, which is started with the first and after a fork."""

    def __init__(self, transactions: Transactions[C], *, most: int = 256) -> None:
        self._transactions = transactions
        self._most = most
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        self._queue: SimpleQueue[_Write[C] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._committing = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, do: Callable[[C], T], *, durable: bool = False) -> Future[T]:
        """Queue one write; the future is answered after its commit."""
        write = _Write(do, durable)
        with self._lock:
            self._queue.put(write)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, args=(self._queue,), name="payonce-writer", daemon=True
                )
                self._thread.start()
        return write.future

    def stop(self) -> None:
        """Wait until all that was submitted is written, then end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            queue, self._queue = self._queue, SimpleQueue()
        if thread is not None:
            queue.put(None)
            thread.join()

    def _work(self, queue: SimpleQueue[_Write[C] | None]) -> None:
        while (write := queue.get()) is not None:
            batch = [write]
            stopping = self._gather(queue, batch)
            with self._committing:
                self._commit(batch)
            if stopping:
                return

    def _gather(self, queue: SimpleQueue[_Write[C] | None], batch: list[_Write[C]]) -> bool:
        """Take what else is waiting; True when the last thing waiting was the word to stop."""
        while len(batch) < self._most:
            try:
                write = queue.get_nowait()
            except Empty:
                return False
            if write is None:
                return True
            batch.append(write)
        return False

    def _commit(self, batch: list[_Write[C]]) -> None:
        answers: list[tuple[_Write[C], Any, BaseException | None]] = []
        try:
            connection = self._transactions.begin(durable=any(w.durable for w in batch))
        except BaseException as exc:
            _answer([(write, None, exc) for write in batch])
            return
        try:
            for write in batch:
                answers.append(self._do(connection, write))
            self._transactions.commit(connection)
        except BaseException as exc:
            self._transactions.rollback(connection)
            answers = [(write, None, exc) for write in batch]
        _answer(answers)

    def _do(self, connection: C, write: _Write[C]) -> tuple[_Write[C], Any, BaseException | None]:
        try:
            return write, self._transactions.guarded(connection, write.do), None
        except Exception as exc:
            return write, None, exc


def _answer(answers: list[tuple[_Write[C], Any, BaseException | None]]) -> None:
    for write, result, exc in answers:
        if exc is None:
            write.future.set_result(result)
        else:
            write.future.set_exception(exc)


_writers: weakref.WeakSet[Writer[Any]] = weakref.WeakSet()


def _after_fork() -> None:
    for writer in list(_writers):
        writer._reset()


def _at_exit() -> None:
    for writer in list(_writers):
        writer.stop()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
