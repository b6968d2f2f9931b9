"""A receipt that the journal can't take is kept in a file, until the journal can."""

from __future__ import annotations

import errno
import logging
import stat
import tempfile
from pathlib import Path

import pytest
from tests.journal.making import called, intended, opened, opening, paid, receipt
from tests.journal.making import intent as intent_of
from tests.journal.programs import MERGER, ended, started
from tests.journal.stores import SqliteStore, Store

from payonce.journal import sqlite_file
from payonce.journal.protocol import Journal, RunFilter
from payonce.journal.spill import read


@pytest.fixture
def impatient(store: Store) -> Journal:
    """A journal that waits for others for no more than a moment."""
    return store.impatient()


def _spilled(store: Store, journal: Journal, text: str = "answer") -> int:
    """A call whose receipt lies in the spill folder."""
    run = opened(journal)
    call_id = intended(journal, run)
    with store.locked():
        journal.complete(call_id, intent_of(run), receipt(text, cost_nanos=5)).now()
    return call_id


def test_a_receipt_is_spilled_when_the_journal_is_locked(
    store: Store, impatient: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller has its answer, the file has the receipt, and the log says where."""
    call_id = _spilled(store, impatient)
    [file] = store.spill.iterdir()
    assert (read(file).call_id, read(file).receipt.cost_nanos) == (call_id, 5)
    assert str(file) in caplog.text
    assert called(impatient, call_id).state == "intended"


def test_a_receipt_that_the_disk_refused_is_kept_in_a_file(
    sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk's error after the commit loses no receipt, and gives none twice; work goes on."""
    journal = sqlite_store.journal()
    run = opened(journal)
    call_id = intended(journal, run)

    def refuse(log: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_file, "_fsync", refuse)
        journal.complete(call_id, intent_of(run), receipt("dear", cost_nanos=5)).now()
    [file] = sqlite_store.spill.iterdir()
    assert (read(file).call_id, read(file).receipt.cost_nanos) == (call_id, 5)
    sqlite_store.clock.move(31)
    opened(journal)
    kept = called(journal, call_id)
    assert (kept.state, kept.cost_nanos) == ("paid", 5)
    journal.stop()
    assert not list(sqlite_store.spill.iterdir())
    assert [each.nanos for each in journal.ledger.entries(run.id) if each.nanos] == [5]


def test_a_spilled_receipt_is_for_its_owner_only(store: Store, impatient: Journal) -> None:
    """Nobody else of the machine may read what was answered."""
    _spilled(store, impatient)
    folder = store.spill
    [file] = folder.iterdir()
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (
        0o700,
        0o600,
    )


def test_a_spilled_receipt_is_merged_by_the_next_open(store: Store, impatient: Journal) -> None:
    """Before the next attempt reads its calls, the receipt is in the journal again."""
    call_id = _spilled(store, impatient, "kept")
    store.clock.move(31)
    run = opened(impatient)
    [call] = impatient.calls(run.id)
    assert call.answer is not None
    assert (call.id, call.state, call.answer.body) == (call_id, "paid", b'"kept"')
    assert call.cost_nanos == 5
    impatient.stop()
    assert list(store.spill.iterdir()) == []


def test_another_process_merges_it_too(store: Store, impatient: Journal) -> None:
    """Whoever opens any run next on this machine merges what was left behind."""
    call_id = _spilled(store, impatient)
    assert ended(started(MERGER, store.url)) == 0
    assert called(impatient, call_id).state == "paid"
    assert list(store.spill.iterdir()) == []


def test_a_spilled_receipt_brings_its_call_back(store: Store, impatient: Journal) -> None:
    """Where a crash of the machine took the intent away, call and receipt come back together."""
    call_id = _spilled(store, impatient)
    store.execute(f"DELETE FROM payonce_calls WHERE id = {call_id}")
    other = opened(impatient, "course:2")
    paid(impatient, other)
    [run] = store.execute("SELECT id FROM payonce_runs WHERE key = 'course:1'")
    [call] = impatient.calls(run[0])
    assert (call.step_key, call.state, call.cost_nanos) == ("outline", "paid", 5)


def test_an_unreadable_spill_file_is_left_there(
    store: Store, impatient: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """What can't be read is named in the log and kept; the others are merged."""
    call_id = _spilled(store, impatient)
    broken = store.spill / "1-broken.json"
    broken.write_text('{"call_id": 1')
    with caplog.at_level(logging.ERROR, "payonce"):
        opened(impatient, "course:2")
    assert str(broken) in caplog.text
    impatient.stop()
    assert list(store.spill.iterdir()) == [broken]
    assert called(impatient, call_id).state == "paid"


def test_a_spill_that_cannot_be_merged_is_kept(
    store: Store, impatient: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """A receipt of a run that the journal doesn't know stays in its file."""
    _spilled(store, impatient)
    [file] = store.spill.iterdir()
    file.write_text(file.read_text().replace('"run_id":1', '"run_id":77'))
    assert read(file).intent.run_id == 77
    with caplog.at_level(logging.ERROR, "payonce"):
        opened(impatient, "course:2")
        impatient.stop()
    assert file.exists()
    assert f"{file} could not be merged" in caplog.text


def test_the_temporary_folder_is_the_last_resort(
    store: Store, impatient: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the folder beside the journal can't be written, the machine's temporary one is used."""
    last = tmp_path / "tmp"
    last.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(last))
    journal = store.impatient()
    store.spill.write_text("in the way")
    call_id = _spilled(store, journal)
    assert len(list(last.glob("payonce-spill-*/*.json"))) == 1
    opened(journal, "course:2")
    journal.stop()
    assert called(impatient, call_id).state == "paid"


def test_a_receipt_that_nothing_can_take_is_a_failure(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no folder can be written either, the caller is told."""
    last = tmp_path / "tmp"
    last.write_text("in the way")
    monkeypatch.setattr(tempfile, "tempdir", str(last))
    journal = store.impatient()
    store.spill.write_text("in the way")
    with pytest.raises(OSError, match=r"(?i)exists|not a directory"):
        _spilled(store, journal)
    journal.stop()


def test_a_spill_file_that_another_one_merged_is_no_error(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two openings that merge at once don't complain of each other."""
    journal = store.journal()
    opened(journal)
    gone = store.spill / "1-gone.json"
    monkeypatch.setattr(journal._spill, "files", lambda: [gone])  # type: ignore[attr-defined]
    journal.open(opening("course:2")).now()
    assert caplog.text == ""
    assert len(journal.runs(RunFilter())) == 2


def test_a_spilled_receipt_takes_no_other_attempts_place(store: Store, impatient: Journal) -> None:
    """A crash took its intent along, and another attempt made the same call: it gets a place of
    its own, once, however often it is merged."""
    first = opened(impatient)
    call_id = intended(impatient, first)
    with store.locked():
        impatient.complete(call_id, intent_of(first), receipt("late")).now()
    [file] = store.spill.iterdir()
    kept = file.read_bytes()
    file.unlink()
    store.execute("DELETE FROM payonce_calls")
    store.clock.move(31)
    second = opened(impatient, owner="two")
    paid(impatient, second, text="own")
    for _ in range(3):
        file.write_bytes(kept)
        store.clock.move(31)
        opened(impatient)
        impatient.stop()
    calls = impatient.calls(first.id)
    told = [(call.attempt, call.send, call.answer and call.answer.body) for call in calls]
    assert told == [(2, 1, b'"own"'), (1, 2, b'"late"')]
    assert list(store.spill.iterdir()) == []


def _emptied(store: Store) -> None:
    """The journal as it is when somebody made it anew: the same numbers are given out again."""
    tables = ["entries", "calls", "deliveries", "attempts", "runs", "payloads"]
    if store.dialect == "postgres":
        store.execute(f"TRUNCATE {', '.join(f'payonce_{t}' for t in tables)} RESTART IDENTITY")
        return
    for table in tables:
        store.execute(f"DELETE FROM payonce_{table}")


def test_a_spilled_receipt_waits_for_its_run_in_a_journal_made_anew(
    store: Store, impatient: Journal
) -> None:
    """The number of its run is another run's there, which doesn't get the receipt; the run itself
    does, before it begins."""
    run = opened(impatient)
    named = intent_of(run, job=run.job, key=run.key)
    call_id = intended(impatient, run)
    with store.locked():
        impatient.complete(call_id, named, receipt("kept", cost_nanos=5)).now()
    _emptied(store)
    other = opened(impatient, "course:2")
    assert (other.id, impatient.calls(other.id)) == (run.id, [])
    assert impatient.open(opening(run.key)).now() is None, "it is to be looked at again"
    again = opened(impatient, run.key)
    [call] = impatient.calls(again.id)
    assert (call.step_key, call.state, call.cost_nanos) == ("outline", "paid", 5)
    impatient.stop()
    assert list(store.spill.iterdir()) == []
