"""A SQLite journal is made when it is needed, and nothing else is ever touched."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.journal.making import found, opened, opening, paid
from tests.journal.stores import SqliteStore

from payonce.errors import JournalTooNew, NotAJournal, StoreNotSupported
from payonce.journal import journal_at
from payonce.journal.queries import migrations
from payonce.model import Payload

OLD_ROWS = """
INSERT INTO payonce_runs (id, job, key, state, arguments, arguments_fingerprint, created_at,
    updated_at) VALUES (7, 'generate', 'course:1', 'waiting', x'7b7d', 'args', 1.0, 1.0);
INSERT INTO payonce_payloads (id, codec, body) VALUES (3, 'json', x'31');
INSERT INTO payonce_calls (run_id, attempt, step_key, occurrence, send, name, source, state,
    started_at, answer_id) VALUES (7, 1, 'k', 0, 1, 'outline', 'capture', 'paid', 1.0, 3);
"""
SCHEMA = Path(journal_at.__code__.co_filename).with_name("sql") / "sqlite" / "schema.sql"


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    return connection.execute(
        "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    ).fetchall()


def test_the_migrations_make_the_schema(sqlite_store: SqliteStore) -> None:
    """All migrations, one after the other, leave exactly what the schema file says."""
    opened(sqlite_store.journal())
    with closing(sqlite3.connect(":memory:")) as told:
        told.executescript(SCHEMA.read_text(encoding="utf-8"))
        with closing(sqlite_store.connect()) as made:
            assert _schema(made) == _schema(told)


def test_the_migrations_are_numbered_without_a_gap(sqlite_store: SqliteStore) -> None:
    """Each migration is applied once and written down, in the order of the numbers."""
    for _ in range(2):
        sqlite_store.journal().find("generate", "none")
    rows = sqlite_store.execute("SELECT number, name, applied_at FROM payonce_migrations")
    known = [(number, name) for number, name, _ in migrations("sqlite")]
    assert [number for number, _ in known] == list(range(1, len(known) + 1))
    assert [row[:2] for row in rows] == known
    assert {row[2] for row in rows} == {sqlite_store.clock.now}


def test_a_journal_of_the_first_version_is_taken_over(sqlite_store: SqliteStore) -> None:
    """What an older payonce wrote is there after the migrations that came later."""
    _, name, first = migrations("sqlite")[0]
    with closing(sqlite_store.connect()) as made:
        made.executescript(first)
        made.execute("INSERT INTO payonce_migrations VALUES (1, ?, 1.0)", (name,))
        made.executescript(OLD_ROWS)
    (call,) = sqlite_store.journal().calls(7)
    assert (call.name, call.answer, call.drift) == ("outline", Payload("json", b"1"), None)


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    """The journal's folder need not be there."""
    journal = journal_at(f"sqlite:///{tmp_path}/a/b/journal.db")
    opened(journal)
    journal.stop()
    assert (tmp_path / "a/b/journal.db").is_file()


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    """Making a journal leaves no file behind."""
    journal_at(f"sqlite:///{tmp_path}/journal.db").stop()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    """A file of no bytes is nobody's; it may be used."""
    (tmp_path / "journal.db").touch()
    journal = journal_at(f"sqlite:///{tmp_path}/journal.db")
    assert opened(journal).attempt == 1
    journal.stop()


def test_the_journal_may_live_beside_the_users_tables(sqlite_store: SqliteStore) -> None:
    """A database that is there already gets the journal's tables, and keeps its own."""
    sqlite_store.execute("CREATE TABLE courses (id)")
    sqlite_store.execute("INSERT INTO courses VALUES (1)")
    opened(sqlite_store.journal())
    assert sqlite_store.execute("SELECT id FROM courses") == [(1,)]


def test_a_newer_journal_is_refused_untouched(sqlite_store: SqliteStore) -> None:
    """What a newer payonce wrote is neither changed nor read."""
    writer = sqlite_store.journal()
    opened(writer)
    writer.stop()
    sqlite_store.execute("INSERT INTO payonce_migrations VALUES (9999, 'later', 0)")
    before = sqlite_store.path.read_bytes()
    journal = sqlite_store.journal()
    with pytest.raises(JournalTooNew, match="9999") as failure:
        journal.find("generate", "course:1")
    with pytest.raises(JournalTooNew):
        journal.open(opening()).now()
    assert sqlite_store.path.read_bytes() == before
    assert (failure.value.paid, "Upgrade" in failure.value.todo) == ("no", True)


def _text(path: Path) -> None:
    path.write_text("dear diary, today I was not a database\n" * 100)


def _garbage(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + os.urandom(8192))


def _short(path: Path) -> None:
    path.write_bytes(b"SQLite form")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_text, _garbage, _short, _folder])
def test_a_foreign_file_is_refused_untouched(sqlite_store: SqliteStore, make: object) -> None:
    """A text, a corrupt database or a folder is never overwritten; the refusal names it."""
    path = sqlite_store.path
    make(path)  # type: ignore[operator]
    before = path.read_bytes() if path.is_file() else b""
    journal = sqlite_store.journal()
    with pytest.raises(NotAJournal, match=r"journal\.db") as failure:
        journal.open(opening()).now()
    with pytest.raises(NotAJournal):
        journal.find("generate", "course:1")
    assert failure.value.paid == "no"
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@contextmanager
def _unprivileged() -> Iterator[None]:
    """As somebody for whom file modes hold."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_only_be_read_fails_clearly(caplog: pytest.LogCaptureFixture) -> None:
    """Where the journal can't be written, each write says so, and nothing is changed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = SqliteStore(folder)
        journal = store.journal()
        opened(journal)
        journal.stop()
        before = store.path.read_bytes()
        store.path.chmod(0o444)
        folder.chmod(0o555)
        with _unprivileged(), pytest.raises(sqlite3.OperationalError, match=r"readonly|unable"):
            store.journal().open(opening("course:2")).now()
        folder.chmod(0o755)
        assert store.path.read_bytes() == before


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "journal.db"])
def test_an_unknown_store_is_refused(url: str) -> None:
    """A URL that names no journal is refused before any work, with an example of a good one."""
    with pytest.raises(StoreNotSupported, match=r"sqlite:///payonce\.db"):
        journal_at(url)


def test_a_url_with_a_password_is_not_repeated() -> None:
    """What is refused is not printed with its secrets."""
    with pytest.raises(StoreNotSupported) as failure:
        journal_at("mysql://user:hunter22@host/db")
    assert "hunter22" not in str(failure.value)


def test_ten_thousand_receipts_are_one_read(
    sqlite_store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    """All receipts of a run come with one statement."""
    journal = sqlite_store.journal()
    run = opened(journal)
    sqlite_store.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
        "INSERT INTO payonce_payloads SELECT i, 'json', CAST(i AS BLOB) FROM n"
    )
    sqlite_store.execute(
        "INSERT INTO payonce_calls (run_id, attempt, step_key, occurrence, send, name, source,"
        f" state, started_at, answer_id) SELECT {run.id}, 1, 's' || id, 0, 1, 's', 'step', 'paid',"
        " 0, id FROM payonce_payloads"
    )
    statements: list[str] = []
    journal._file.read(lambda db: db.set_trace_callback(statements.append))  # type: ignore[attr-defined]
    with caplog.at_level(logging.WARNING):
        calls = journal.calls(run.id)
    assert len(statements) == 1
    assert {int(c.answer.body) for c in calls if c.answer} == set(range(1, 10001))


def test_a_foreign_key_is_held(sqlite_store: SqliteStore) -> None:
    """The journal writes no call of a run that isn't there."""
    journal = sqlite_store.journal()
    run = opened(journal)
    paid(journal, run)
    enforced = journal._file.begin(durable=False)  # type: ignore[attr-defined]
    assert enforced.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    journal._file.rollback(enforced)  # type: ignore[attr-defined]
    assert found(journal) == run
