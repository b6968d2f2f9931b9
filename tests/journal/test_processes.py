"""The exam: many processes, some of which die, lose nothing that was promised."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.journal.making import found, opened, opening
from tests.journal.programs import LISTER, OPENER, ROOT, WRITER, ended, started
from tests.journal.stores import SqliteStore, Store

from payonce.journal import journal_at
from payonce.journal.protocol import RunFilter
from payonce.journal.queries import migrations


@pytest.mark.parametrize(
    ("word", "state"), [("intent", "intended"), ("paid", "paid"), ("later", "paid")]
)
def test_what_was_answered_survives_the_process(store: Store, word: str, state: str) -> None:
    """After `kill -9` an intent is there, and a receipt that was answered for is there."""
    assert ended(started(WRITER, store.url, word)) == -signal.SIGKILL
    journal = store.journal()
    [call] = journal.calls(found(journal).id)
    assert call.state == state
    assert (call.answer is not None) is (state == "paid")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_receipt_waits_for_the_disk(tmp_path: Path) -> None:
    """A receipt costs one fsync of the log; an intent costs none."""
    syncs = {}
    for word in ("intent", "paid"):
        url, trace = f"sqlite:///{tmp_path}/{word}.db", tmp_path / f"{word}.trace"
        command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
        program = [sys.executable, "-c", WRITER, url, word]
        done = subprocess.run(
            command + program,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=18,
            check=False,
        )
        if b"ptrace" in done.stderr:
            pytest.skip("processes may not be traced here")
        syncs[word] = len(re.findall(r"(?:fsync|fdatasync)\(\d+<[^>]*\.db-wal>", trace.read_text()))
    assert syncs["paid"] > syncs["intent"]


def test_processes_that_make_a_journal_at_once_all_can(store: Store) -> None:
    """Eight processes that find no journal make one together."""
    processes = [started(OPENER, store.url, f"course:{n}") for n in range(8)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [ended(process) for process in processes] == [0] * 8
    assert len(store.journal().runs(RunFilter())) == 8
    applied = store.execute("SELECT * FROM payonce_migrations")
    assert len(applied) == len(migrations(store.dialect))


def _in_child(work: object) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()  # type: ignore[operator]
        except BaseException:
            os._exit(1)
        os._exit(0)
    return pid


def test_a_forked_child_writes_beside_its_parent(store: Store) -> None:
    """Parent and children use the journal that one of them opened before the fork."""
    journal = journal_at(store.url, patience=10)
    opened(journal, "before")
    children = []
    for child in range(2):

        def work(child: int = child) -> None:
            for n in range(20):
                assert journal.open(opening(f"child:{child}:{n}")).now() is not None
            assert len(journal.runs(RunFilter(limit=1000))) >= 21

        children.append(_in_child(work))
    for n in range(20):
        opened(journal, f"parent:{n}")
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0]
    assert len(journal.runs(RunFilter(limit=1000))) == 61
    journal.stop()
    if store.dialect == "sqlite":
        assert store.execute("PRAGMA integrity_check") == [("ok",)]


def test_a_child_keeps_its_receipts_when_the_parent_closes(store: Store) -> None:
    """What a forked child wrote is there after its parent closed the journal meanwhile."""
    journal = journal_at(store.url, patience=5)
    opened(journal, "before")
    go, going = os.pipe()
    first, wrote = os.pipe()

    def work() -> None:
        opened(journal, "child:1")
        os.write(wrote, b"x")
        os.read(go, 1)
        opened(journal, "child:2")

    pid = _in_child(work)
    assert select.select([first], [], [], 10)[0]
    journal.stop()
    os.write(going, b"x")
    assert os.waitpid(pid, 0)[1] == 0
    keys = [row[0] for row in store.execute("SELECT key FROM payonce_runs ORDER BY key")]
    assert keys == ["before", "child:1", "child:2"]


def test_a_fork_in_the_middle_of_a_write_does_not_lock_the_child_out(
    store: Store,
) -> None:
    """A child that is forked while the parent writes can write, too."""
    journal = journal_at(store.url, patience=1)
    opened(journal, "before")
    inside, go = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        inside.set()
        go.wait(5)

    held = journal._writer.write(hold).later()  # type: ignore[attr-defined]
    assert inside.wait(5)
    threading.Timer(0.2, go.set).start()
    pid = _in_child(lambda: opened(journal, "child"))
    status = os.waitpid(pid, 0)[1]
    go.set()
    held.result(5)
    journal.stop()
    assert status == 0


def test_a_process_that_looks_and_leaves_takes_nothing_away(sqlite_store: SqliteStore) -> None:
    """What is written after another process has opened and closed the journal is there.

    SQLite's locks go when any descriptor of the file is closed, so a process that looked into
    the file by other means would let the other one take away the log that it is writing to.
    """
    journal = journal_at(sqlite_store.url)
    opened(journal, "one")
    assert len(journal.runs(RunFilter())) == 1
    looker = started(LISTER, sqlite_store.url)
    assert looker.communicate(timeout=15)[0].split() == ["one"]
    opened(journal, "two")
    looker = started(LISTER, sqlite_store.url)
    assert looker.communicate(timeout=15)[0].split() == ["one", "two"]
    journal.stop()
