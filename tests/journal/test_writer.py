"""Writes of one process: in order, together in one commit, and each for itself."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from payonce.journal.sqlite_file import SqliteFile
from payonce.journal.writer import Write, Writer


class Counted(SqliteFile):
    """A file that counts its commits, and whether they reach the disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, time.time, 10.0)
        self.synced: list[bool] = []

    def commit(self, connection: sqlite3.Connection) -> None:
        self.synced.append(False)
        super().commit(connection)

    def _sync(self) -> None:
        super()._sync()
        self.synced[-1] = True


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Counted]:
    """A file with one table to write to."""
    file = Counted(tmp_path / "journal.db")
    with sqlite3.connect(file.path) as user:
        user.execute("CREATE TABLE seen (number INTEGER CHECK (number >= 0))")
    user.close()
    yield file
    file.close()


@pytest.fixture
def writer(file: Counted) -> Iterator[Writer[sqlite3.Connection]]:
    """The writer of that file."""
    writer = Writer(file)
    yield writer
    writer.flush()


def _add(writer: Writer[sqlite3.Connection], number: int, *, durable: bool = False) -> Write[int]:
    def add(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO seen VALUES (?)", (number,))
        return number

    return writer.write(add, durable=durable)


def _seen(file: Counted) -> list[int]:
    rows = file.read(lambda db: db.execute("SELECT number FROM seen ORDER BY rowid").fetchall())
    return [row[0] for row in rows]


class Gate:
    """A write that holds the writer up until it is opened."""

    def __init__(self, writer: Writer[sqlite3.Connection]) -> None:
        self.reached, self._go = threading.Event(), threading.Event()
        self.written = writer.write(self._wait).later()
        assert self.reached.wait(10)

    def _wait(self, _: sqlite3.Connection) -> None:
        self.reached.set()
        assert self._go.wait(10)

    def open(self) -> None:
        """Let the writes behind it through."""
        self._go.set()


def test_writes_that_wait_share_a_commit(file: Counted, writer: Writer[sqlite3.Connection]) -> None:
    """What was asked for during one commit is all in the next one."""
    gate = Gate(writer)
    futures = [_add(writer, number).later() for number in range(100)]
    gate.open()
    assert [future.result(10) for future in futures] == list(range(100))
    assert len(file.synced) == 2


def test_threads_commit_for_each_other(file: Counted, writer: Writer[sqlite3.Connection]) -> None:
    """Threads that ask at once need fewer commits than they are."""
    gate = Gate(writer)
    with ThreadPoolExecutor(16) as threads:
        futures = [threads.submit(_add(writer, number).now) for number in range(16)]
        while len(writer._waiting) < 16:
            time.sleep(0.001)
        gate.open()
        assert sorted(future.result(10) for future in futures) == list(range(16))
    assert sorted(_seen(file)) == list(range(16))
    assert len(file.synced) < 16


def test_a_durable_write_makes_its_commit_durable(
    file: Counted, writer: Writer[sqlite3.Connection]
) -> None:
    """A commit waits for the disk if one of its writes asks for it, and only then."""
    _add(writer, 1).now()
    _add(writer, 2, durable=True).now()
    _add(writer, 3).now()
    gate = Gate(writer)
    futures = [_add(writer, n, durable=n == 5).later() for n in (4, 5, 6)]
    gate.open()
    for future in futures:
        future.result(10)
    assert file.synced == [False, True, False, False, True]


def test_a_signal_between_the_commit_and_the_disk_lets_nobody_believe_too_early(
    file: Counted, writer: Writer[sqlite3.Connection]
) -> None:
    """A write that was committed when a signal came is told so once it is on the disk."""
    sync = file._sync

    def interrupted() -> None:
        file._sync = sync  # type: ignore[method-assign]
        raise KeyboardInterrupt

    file._sync = interrupted  # type: ignore[method-assign]
    write = _add(writer, 1, durable=True)
    with pytest.raises(KeyboardInterrupt):
        write.now()
    assert (write.now(), file.synced, _seen(file)) == (1, [True], [1])


def test_a_failing_write_fails_alone(file: Counted, writer: Writer[sqlite3.Connection]) -> None:
    """One write's failure takes back nothing of its neighbours in the same commit."""
    gate = Gate(writer)
    good, bad, better = (_add(writer, number).later() for number in (1, -1, 2))
    gate.open()
    assert (good.result(10), better.result(10)) == (1, 2)
    with pytest.raises(sqlite3.IntegrityError):
        bad.result(10)
    assert _seen(file) == [1, 2]


def test_a_write_that_half_fails_is_taken_back(
    file: Counted, writer: Writer[sqlite3.Connection]
) -> None:
    """Of a write that fails in its middle nothing is left."""

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO seen VALUES (7)")
        raise KeyError("half")

    with pytest.raises(KeyError):
        writer.write(half).now()
    _add(writer, 8).now()
    assert _seen(file) == [8]


def test_a_failure_can_be_answered_otherwise(writer: Writer[sqlite3.Connection]) -> None:
    """Where a write says what to do instead, its caller sees that and no failure."""

    def fail(_: sqlite3.Connection) -> str:
        raise KeyError("no")

    assert writer.write(fail, otherwise=lambda exc: f"instead of {exc!r}").now() == (
        "instead of KeyError('no')"
    )


def test_writes_are_done_in_order(file: Counted, writer: Writer[sqlite3.Connection]) -> None:
    """First asked, first written: whether the caller waits for it or not."""
    gate = Gate(writer)
    for number in range(600):
        _add(writer, number).later()
    gate.open()
    _add(writer, 600).now()
    assert _seen(file) == list(range(601))


def test_a_cancelled_caller_does_not_lose_its_write(
    file: Counted, writer: Writer[sqlite3.Connection]
) -> None:
    """A task that is cancelled while it waits leaves its write in the queue."""

    async def ask() -> int:
        return await asyncio.wrap_future(_add(writer, 5).later())

    async def cancel() -> None:
        gate = Gate(writer)
        task = asyncio.create_task(ask())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.open()

    asyncio.run(cancel())
    writer.flush()
    assert _seen(file) == [5]


def test_an_event_loop_is_not_blocked(writer: Writer[sqlite3.Connection]) -> None:
    """While a write waits for its turn, other tasks of the loop go on."""

    async def both() -> int:
        gate = Gate(writer)
        task = asyncio.ensure_future(asyncio.wrap_future(_add(writer, 1).later()))
        await asyncio.sleep(0)
        assert not task.done()
        gate.open()
        return await task

    assert asyncio.run(both()) == 1


def test_a_flush_waits_for_all(file: Counted, writer: Writer[sqlite3.Connection]) -> None:
    """After a flush and a close nothing is missing, and the next write opens the file again."""
    futures = [_add(writer, number).later() for number in range(50)]
    writer.flush()
    assert all(future.done() for future in futures)
    file.close()
    assert _add(writer, 50).now() == 50
    assert _add(writer, 51).later().result(10) == 51
    assert _seen(file) == list(range(52))


def test_a_journal_that_cannot_be_had_fails_all_that_wait(tmp_path: Path) -> None:
    """Without a transaction each write hears why; once there is one, writing goes on."""
    folder = tmp_path / "gone"
    folder.write_text("in the way")
    file = Counted(folder / "journal.db")
    writer = Writer(file)
    for _ in range(2):
        with pytest.raises(Exception, match=r"(?i)not a directory|exists"):
            writer.write(lambda _: None).now()
    folder.unlink()
    assert writer.write(lambda _: "written").now() == "written"
    file.close()


def test_a_writer_that_rests_has_no_thread(
    file: Counted, writer: Writer[sqlite3.Connection]
) -> None:
    """What was left to the thread is written before it ends; what comes later starts another."""
    for number in range(3):
        later = _add(writer, number).later()
        thread = writer._thread
        assert thread is not None
        writer.rest()
        assert later.result(10) == number
        thread.join(10)
        assert not thread.is_alive()
    assert _seen(file) == [0, 1, 2]


def test_resting_loses_no_write(file: Counted, writer: Writer[sqlite3.Connection]) -> None:
    """While some leave writes to the thread, and another lets it rest, all are written."""
    with ThreadPoolExecutor(4) as threads:

        def add(n: int) -> int:
            written = _add(writer, n).later()
            if n % 7 == 0:
                writer.rest()
            return written.result(30)

        assert sorted(threads.map(add, range(200))) == list(range(200))
    assert sorted(_seen(file)) == list(range(200))
