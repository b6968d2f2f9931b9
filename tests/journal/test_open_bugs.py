"""Behaviours that the journal does not have yet."""

from __future__ import annotations

import os
import select
import threading
from contextlib import closing

import pytest
from payonce.journal import journal_at
from payonce.journal.protocol import Journal, RunFilter

from tests.journal.making import called, closing as closing_of, intended, opened, opening, paid
from tests.journal.making import intent as intent_of
from tests.journal.making import receipt
from tests.journal.stores import SqliteStore, Store


def _child(work: object) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()  # type: ignore[operator]
        except BaseException:
            os._exit(1)
        os._exit(0)
    return pid


def test_a_child_keeps_its_receipts_when_the_parent_closes(sqlite_store: SqliteStore) -> None:
    """What a forked child wrote is there after its parent closed the journal meanwhile."""
    journal = journal_at(sqlite_store.url, patience=5)
    opened(journal, "before")
    go, going = os.pipe()
    first, wrote = os.pipe()

    def work() -> None:
        opened(journal, "child:1")
        os.write(wrote, b"x")
        os.read(go, 1)
        opened(journal, "child:2")

    pid = _child(work)
    assert select.select([first], [], [], 10)[0]
    journal.stop()
    os.write(going, b"x")
    assert os.waitpid(pid, 0)[1] == 0
    with closing(sqlite_store.connect()) as user:
        keys = [row[0] for row in user.execute("SELECT key FROM payonce_runs ORDER BY key")]
    assert keys == ["before", "child:1", "child:2"]


def test_a_fork_in_the_middle_of_a_write_does_not_lock_the_child_out(
    sqlite_store: SqliteStore,
) -> None:
    """A child that is forked while the parent writes can write, too."""
    journal = journal_at(sqlite_store.url, patience=1)
    opened(journal, "before")
    inside, go = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        inside.set()
        go.wait(5)

    held = journal._writer.write(hold).later()  # type: ignore[attr-defined]
    assert inside.wait(5)
    threading.Timer(0.2, go.set).start()
    pid = _child(lambda: opened(journal, "child"))
    status = os.waitpid(pid, 0)[1]
    go.set()
    held.result(5)
    journal.stop()
    assert status == 0


def test_a_paid_call_did_happen(journal: Journal) -> None:
    """"Did not happen" is no word on a call that has a receipt: it changes nothing, or says so."""
    run = opened(journal)
    call_id = paid(journal, run)
    assert journal.resolve(call_id, "did_not_happen", "why", None).now() is False
    assert called(journal, call_id).state == "paid"


def test_the_reason_of_a_person_is_kept_with_the_receipt(journal: Journal) -> None:
    """A call that is paid by a person's word keeps the reason that was given."""
    run = opened(journal)
    call_id = intended(journal, run)
    journal.end(call_id, "in_doubt", "timeout").now()  # type: ignore[arg-type]
    journal.resolve(call_id, "happened", "seen on the bill", receipt("told")).now()
    assert called(journal, call_id).reason == "seen on the bill"


def test_a_lost_attempts_result_leaves_nothing_behind(store: Store) -> None:
    """A close that is refused adds no payload."""
    journal = store.journal()
    run = opened(journal)
    store.clock.move(31)
    opened(journal, owner="two")
    assert not journal.close(closing_of(run, result=receipt("late").answer)).now()
    assert store.execute("SELECT count(*) FROM payonce_payloads") == [(0,)]


def test_a_spill_file_that_another_one_merged_is_no_error(
    sqlite_store: SqliteStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two openings that merge at once don't complain of each other."""
    journal = sqlite_store.journal()
    opened(journal)
    gone = sqlite_store.path.with_name("journal.db.spill") / "1-gone.json"
    monkeypatch.setattr(journal._spill, "files", lambda: [gone])  # type: ignore[attr-defined]
    journal.open(opening("course:2")).now()
    assert caplog.text == ""
    assert len(journal.runs(RunFilter())) == 2
    assert intent_of
