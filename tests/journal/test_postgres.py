"""A PostgreSQL journal is made once, by whoever may, and is as good as the database under it."""

from __future__ import annotations

import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from tests.databases.pgbouncer import NoPgBouncer, pgbouncer
from tests.databases.postgres import PostgresServer, postgres
from tests.journal.making import (
    closing,
    found,
    intended,
    opened,
    opening,
    paid,
    receipt,
)
from tests.journal.making import intent as intent_of
from tests.journal.stores import PostgresStore

from payonce.errors import ConfigError, JournalNotFound, JournalTooNew, NotAJournal
from payonce.journal import journal_at
from payonce.journal.ledger import EntryFilter
from payonce.journal.postgres import PostgresJournal
from payonce.journal.protocol import RunFilter
from payonce.journal.queries import migrations
from payonce.model import CallState

SCHEMA = Path(journal_at.__code__.co_filename).with_name("sql") / "postgres" / "schema.sql"
CATALOGUE = """
SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    || ' ' || a.attnotnull || ' ' || a.attstorage::text
    || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || a.attidentity::text
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = '{schema}'::regnamespace
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = '{schema}'
UNION ALL SELECT proname || prosrc FROM pg_proc WHERE pronamespace = '{schema}'::regnamespace
UNION ALL SELECT pg_get_triggerdef(t.oid)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = '{schema}'::regnamespace AND NOT t.tgisinternal
UNION ALL SELECT relname || coalesce(reloptions::text, '') FROM pg_class
WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'
"""


def _catalogue(store: PostgresStore, schema: str) -> list[str]:
    rows = store.execute(CATALOGUE.format(schema=schema))
    return sorted(row[0].replace(f"{schema}.", "") for row in rows)


def _schema_of(store: PostgresStore) -> str:
    return store.database.rpartition("%3D")[2]


def test_the_migrations_make_the_schema(postgres_store: PostgresStore) -> None:
    """All migrations, one after the other, leave exactly what the schema file says."""
    opened(postgres_store.journal())
    postgres_store.execute("CREATE SCHEMA told")
    with postgres_store.connect() as user:
        user.execute("SET LOCAL search_path TO told")
        user.execute(SCHEMA.read_bytes())
    try:
        made = _catalogue(postgres_store, _schema_of(postgres_store))
        assert len(made) > 50
        assert made == _catalogue(postgres_store, "told")
    finally:
        postgres_store.execute("DROP SCHEMA told CASCADE")


def test_the_tables_live_in_the_schema_that_the_url_names(postgres_store: PostgresStore) -> None:
    """`?schema=` is made where it isn't there, whatever its name, and nothing else is touched."""
    name = f'{_schema_of(postgres_store)} of "ours"'
    url = f"{postgres_store.url}&schema={name.replace(' ', '%20')}"
    journal = journal_at(url, clock=postgres_store.clock)
    run = opened(journal)
    paid(journal, run)
    assert journal.close(closing(run, result=receipt().answer)).now()
    assert [summary.run.key for summary in journal.runs(RunFilter())] == ["course:1"]
    assert journal.about().bytes > 0
    journal.stop()
    assert _catalogue(postgres_store, _schema_of(postgres_store)) == []
    postgres_store.execute(f"DROP SCHEMA {psycopg.sql.Identifier(name).as_string()} CASCADE")


def test_a_newer_journal_is_refused_untouched(postgres_store: PostgresStore) -> None:
    """What a newer payonce wrote is neither changed nor read."""
    opened(postgres_store.journal())
    postgres_store.execute("INSERT INTO payonce_migrations VALUES (9999, 'later', 0)")
    before = _catalogue(postgres_store, _schema_of(postgres_store))
    journal = postgres_store.journal()
    with pytest.raises(JournalTooNew, match="9999") as failure:
        journal.find("generate", "course:1")
    with pytest.raises(JournalTooNew):
        journal.open(opening()).now()
    assert _catalogue(postgres_store, _schema_of(postgres_store)) == before
    assert (failure.value.paid, "Upgrade" in failure.value.todo) == ("no", True)


@pytest.mark.parametrize(
    "theirs", ["CREATE TABLE payonce_migrations (id int)", "CREATE TABLE payonce_runs (id int)"]
)
def test_tables_of_somebody_else_are_refused_untouched(
    postgres_store: PostgresStore, theirs: str
) -> None:
    """Tables that happen to have the journal's names are never changed."""
    postgres_store.execute(theirs)
    before = _catalogue(postgres_store, _schema_of(postgres_store))
    with pytest.raises(NotAJournal, match="left untouched"):
        postgres_store.journal().open(opening()).now()
    assert _catalogue(postgres_store, _schema_of(postgres_store)) == before


def test_to_look_is_not_to_make(postgres_store: PostgresStore) -> None:
    """A journal that isn't there is not made by somebody who only looks."""
    journal = journal_at(postgres_store.url, create=False)
    with pytest.raises(JournalNotFound):
        journal.find("generate", "course:1")
    journal.stop()
    assert _catalogue(postgres_store, _schema_of(postgres_store)) == []


RIGHTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
REVOKE INSERT, UPDATE, DELETE ON {schema}.payonce_migrations FROM {role};
"""


def test_a_role_needs_no_more_than_the_documented_rights(postgres_store: PostgresStore) -> None:
    """Whoever may not make tables is told who should; with the documented rights all verbs work."""
    schema = _schema_of(postgres_store)
    role = f"role_{schema}"
    postgres_store.execute(f"CREATE ROLE {role} LOGIN")
    postgres_store.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    try:
        url = postgres_store.url.replace("postgres@", f"{role}@")
        humble = journal_at(url, clock=postgres_store.clock)
        with pytest.raises(ConfigError, match="may not make"):
            humble.open(opening()).now()
        opened(postgres_store.journal(), "course:0")
        postgres_store.execute(RIGHTS.format(schema=schema, role=role))
        run = opened(humble)
        humble.reject(paid(humble, run), "unusable").now()
        humble.end(
            intended(humble, run, "b"), intent_of(run, "b"), CallState.IN_DOUBT, "timeout"
        ).now()
        assert humble.renew(run.id, run.attempt, 30).now()
        assert humble.close(closing(run, result=receipt().answer)).now()
        assert humble.about().states == {"done": 1, "running": 1}
        humble.stop()
    finally:
        postgres_store.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_one_connection_is_enough_to_look(postgres_store: PostgresStore) -> None:
    """Sums of many days are read where the server has no other connection to spare, too."""
    schema, day = _schema_of(postgres_store), 86_400.0
    role = f"role_{schema}"
    journal = postgres_store.journal()
    run = opened(journal, lease=99 * day)
    for _ in range(10):
        paid(journal, run, f"step {postgres_store.clock.now}")
        postgres_store.clock.move(day)
    wanted = EntryFilter(0.0, 9e9)
    postgres_store.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    postgres_store.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    try:
        postgres_store.execute(RIGHTS.format(schema=schema, role=role))
        humble = journal_at(postgres_store.url.replace("postgres@", f"{role}@"))
        assert len(humble.ledger.sums(wanted, day)) == 10
        assert humble.ledger.sums(wanted, day) == journal.ledger.sums(wanted, day)
        humble.stop()
    finally:
        postgres_store.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_receipt_waits_for_the_disk_and_an_intent_does_not() -> None:
    """A receipt flushes the log before it is answered for; an intent is flushed later."""
    with postgres(fsync="on", wal_writer_delay="10s", autovacuum="off") as server:
        journal = journal_at(server.database())
        run = opened(journal)

        def flushed() -> str:
            return str(server.execute("SELECT pg_current_wal_flush_lsn()")[0][0])

        def written() -> str:
            return str(server.execute("SELECT pg_current_wal_insert_lsn()")[0][0])

        intended(journal, run, "soft")
        end = written()  # whole pages of the log before it may be flushed by themselves
        assert server.execute(f"SELECT '{flushed()}'::pg_lsn < '{end}'::pg_lsn") == [(True,)]
        paid(journal, run, "durable")
        after = server.execute(f"SELECT '{flushed()}'::pg_lsn > '{end}'::pg_lsn")
        assert after == [(True,)]
        journal.stop()


def test_a_receipt_is_durable_where_the_server_would_not_wait(
    postgres_store: PostgresStore,
) -> None:
    """`synchronous_commit = off` in the role's settings doesn't count for receipts."""
    url = postgres_store.url.replace("options=", "options=-csynchronous_commit%3Doff%20")
    journal = journal_at(url, clock=postgres_store.clock)
    assert isinstance(journal, PostgresJournal)
    seen: list[str] = []
    run = opened(journal)
    call_id = intended(journal, run)
    batch = journal._database.begin(durable=True)
    original = batch.cursor

    class Watched:
        def execute(self, sql: str, given: object) -> object:
            seen.append("asked")
            return original.execute(sql.encode(), given)  # type: ignore[arg-type]

    batch.cursor = Watched()  # type: ignore[assignment]
    with batch.connection.transaction():
        journal.complete(call_id, intent_of(run), receipt()).do(batch)
        batch.carry_out()
        row = batch.connection.execute("SHOW synchronous_commit").fetchone()
    assert (seen, row) == (["asked"], {"synchronous_commit": "on"})
    journal.stop()


def test_a_call_is_paid_though_its_intent_is_gone(postgres_store: PostgresStore) -> None:
    """A crash of the database takes back what didn't wait for the disk, and its number, too."""
    journal = postgres_store.journal()
    run = opened(journal)
    lost = intended(journal, run, "lost", source="capture")
    postgres_store.execute(f"DELETE FROM payonce_calls WHERE id = {lost}")
    postgres_store.execute("ALTER SEQUENCE payonce_calls_id_seq RESTART WITH 1")
    other = intended(journal, run, "other")
    assert other == lost
    meant = intent_of(run, "lost", source="capture")
    journal.complete(lost, meant, receipt("late")).now()
    calls = {call.step_key: call for call in journal.calls(run.id)}
    assert (calls["lost"].state, calls["lost"].source) == ("paid", "capture")
    assert (calls["other"].id, calls["other"].state) == (other, "intended")


@pytest.mark.parametrize("late", ["receipt", "doubt", "released"])
def test_what_comes_late_takes_no_other_attempts_place(
    postgres_store: PostgresStore, late: str
) -> None:
    """A crash of the database takes an intent along, its lease runs out, another attempt makes the
    same call: both were billed, and both are told of."""
    journal = postgres_store.journal()
    first = opened(journal)
    call_id = intended(journal, first)
    postgres_store.execute("DELETE FROM payonce_calls")
    postgres_store.clock.move(31)
    second = opened(journal, owner="two")
    again = intended(journal, second)
    if late == "receipt":
        journal.complete(call_id, intent_of(first), receipt("late")).now()
    else:
        state = CallState.IN_DOUBT if late == "doubt" else CallState.RELEASED
        journal.end(call_id, intent_of(first), state, "timeout").now()
    journal.complete(again, intent_of(second), receipt("own")).now()
    told = {"receipt": [(1, "paid", 2)], "doubt": [(1, "in_doubt", 2)], "released": []}[late]
    calls = [(call.attempt, call.state, call.send) for call in journal.calls(first.id)]
    assert calls == [(2, "paid", 1), *told]


def test_a_doubt_is_kept_though_its_intent_is_gone(postgres_store: PostgresStore) -> None:
    """A call whose intent a crash took away is in doubt all the same, and no other one is."""
    journal = postgres_store.journal()
    run = opened(journal)
    lost = intended(journal, run, "lost")
    postgres_store.execute(f"DELETE FROM payonce_calls WHERE id = {lost}")
    journal.end(lost, intent_of(run, "lost"), CallState.IN_DOUBT, "timeout").now()
    [call] = journal.calls(run.id)
    assert (call.step_key, call.state, call.reason) == ("lost", "in_doubt", "timeout")


def test_a_connection_that_was_closed_meanwhile_is_replaced(
    postgres_store: PostgresStore,
) -> None:
    """A restart between two writes, or two reads, goes unnoticed."""
    journal = postgres_store.journal()
    run = opened(journal)
    assert found(journal) == run
    there = "FROM pg_stat_activity WHERE application_name = 'payonce'"
    postgres_store.execute(f"SELECT pg_terminate_backend(pid, 30000) {there}")
    assert postgres_store.execute(f"SELECT count(*) {there}") == [(0,)]
    paid(journal, run)
    assert found(journal) == run


def test_writes_in_one_commit_fail_alone(postgres_store: PostgresStore) -> None:
    """One refused write takes back nothing of those that share its commit."""
    journal = postgres_store.journal()
    assert isinstance(journal, PostgresJournal)
    run = opened(journal)
    paid(journal, run, "taken")
    with journal._writer._committing:  # what is asked for meanwhile waits, and goes together
        futures = [journal.intend(intent_of(run, key)).later() for key in ("a", "taken", "b")]
    assert isinstance(futures[0].result(20), int)
    with pytest.raises(psycopg.errors.UniqueViolation):
        futures[1].result(20)
    assert isinstance(futures[2].result(20), int)
    assert {call.step_key for call in journal.calls(run.id)} == {"a", "b", "taken"}


def test_a_mixed_commit_is_a_durable_one(postgres_store: PostgresStore) -> None:
    """An intent in the same commit as a receipt doesn't make the receipt's commit a soft one."""
    journal = postgres_store.journal()
    assert isinstance(journal, PostgresJournal)
    run = opened(journal)
    call_id = intended(journal, run, "paid")
    batch = journal._database.begin(durable=True)
    with batch.connection.transaction():
        journal.complete(call_id, intent_of(run, "paid"), receipt()).do(batch)
        journal.intend(intent_of(run, "soft")).do(batch)
        batch.carry_out()
        row = batch.connection.execute("SHOW synchronous_commit").fetchone()
    assert row == {"synchronous_commit": "on"}
    alone = journal._database.begin(durable=False)
    with alone.connection.transaction():
        journal.intend(intent_of(run, "alone")).do(alone)
        alone.carry_out()
        row = alone.connection.execute("SHOW synchronous_commit").fetchone()
    assert row == {"synchronous_commit": "off"}


def test_many_threads_share_one_connection(postgres_store: PostgresStore) -> None:
    """However many threads write, the process has one connection that writes."""
    journal = postgres_store.journal()
    run = opened(journal)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: paid(journal, run, f"step:{n}"), range(80)))
    assert sum(call.state == "paid" for call in journal.calls(run.id)) == 80
    [(connections,)] = postgres_store.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'payonce'"
    )
    assert connections <= 2  # one that writes, one that reads


def test_a_run_that_its_own_job_has_locked_is_still_held(postgres_store: PostgresStore) -> None:
    """While the job's own transaction completes the run, its lease is not lost, nor is it taken.

    And nobody waits for that transaction: neither the keeper of leases nor a duplicate.
    """
    journal, other = postgres_store.journal(), postgres_store.journal()
    run = opened(journal)
    with postgres_store.connect() as user:
        assert journal.close_within(
            lambda sql, given: user.execute(sql, given).rowcount, closing(run)
        )
        assert journal.renew(run.id, run.attempt, 30.0).now()
        postgres_store.clock.move(31)
        assert other.open(opening(owner="two", seen=run)).now() is None
        user.commit()
    assert not journal.renew(run.id, run.attempt, 30.0).now()
    assert found(journal).state == "done"


def test_the_databases_clock_is_the_one_that_counts(postgres_server: PostgresServer) -> None:
    """Leases and times are those of the database, whatever this machine's clock says."""
    url = postgres_server.schema()
    journal = journal_at(url)
    run = opened(journal)
    [(there,)] = postgres_server.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
    assert run.lease_until is not None
    assert abs(run.lease_until - 30 - there) < 60
    assert abs(journal.now() - there) < 60
    journal.stop()
    postgres_server.drop(url)


def test_a_key_may_hold_what_the_database_cannot(postgres_store: PostgresStore) -> None:
    """A NUL, which PostgreSQL's texts can't hold, is replaced, and the run is found again."""
    journal = postgres_store.journal()
    run = opened(journal, "course:\0")
    assert found(journal, "course:\0") == run
    paid(journal, run, "step\0", text="an answer")
    assert [call.state for call in journal.calls(run.id)] == ["paid"]


def test_a_server_that_never_answers_is_not_waited_for(postgres_store: PostgresStore) -> None:
    """A write ends within its patience where the database holds it up for ever."""
    journal = postgres_store.impatient()
    run = opened(journal)
    with postgres_store.locked(), pytest.raises(psycopg.OperationalError):
        journal.close(closing(run, result=receipt().answer)).now()
    assert found(journal) == run
    assert journal.close(closing(run)).now()


def test_no_journal_no_write_and_no_hang() -> None:
    """Where nothing listens, reads and writes fail at once and say so."""
    journal = journal_at("postgresql://postgres@127.0.0.1:1/none")
    with pytest.raises(psycopg.OperationalError):
        journal.find("generate", "course:1")
    with pytest.raises(psycopg.OperationalError):
        journal.open(opening()).now()
    journal.stop()


def test_a_database_made_anew_is_not_written_to_by_old_attempts(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """What an attempt began in a database that was dropped doesn't go on in the next one."""
    url = postgres_server.database()
    journal = journal_at(f"{url}?spill={tmp_path}")
    run = opened(journal)
    postgres_server.drop(url)
    postgres_server.execute(f"CREATE DATABASE {url.rpartition('/')[2]}")
    other = journal_at(f"{url}?spill={tmp_path}")
    assert opened(other, "course:another").id == run.id
    with pytest.raises(psycopg.OperationalError, match="removed"):
        journal.intend(intent_of(run)).now()
    assert other.calls(run.id) == []
    other.stop()
    journal.stop()
    postgres_server.drop(url)


def test_the_journal_is_opened_from_many_threads_at_once(postgres_store: PostgresStore) -> None:
    """The first use by many threads makes the tables once."""
    journal = postgres_store.journal()
    go = threading.Barrier(6)

    def open_(n: int) -> bool:
        go.wait(20)
        return journal.open(opening(f"course:{n}")).now() is not None

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(open_, range(6)))
    numbers = [row[0] for row in postgres_store.execute("SELECT number FROM payonce_migrations")]
    assert numbers == [number for number, _, _ in migrations("postgres")]


def test_a_pooler_in_transaction_mode_is_no_obstacle(postgres_server: PostgresServer) -> None:
    """Behind PgBouncer no statement counts on what an earlier one left on its connection.

    Prepared statements need PgBouncer 1.21; for older ones the store's URL turns them off.
    """
    url = postgres_server.database()
    try:
        with pgbouncer(postgres_server) as port:
            pooled = url.replace(f":{postgres_server.port}/", f":{port}/") + "?prepare=off"
            journals = [journal_at(pooled) for _ in range(4)]

            def work(n: int) -> int:
                run = opened(journals[n % 4], f"course:{n}")
                for step in range(10):
                    paid(journals[n % 4], run, f"step:{step}")
                assert journals[n % 4].close(closing(run, result=receipt().answer)).now()
                return len(journals[0].calls(run.id))

            with ThreadPoolExecutor(8) as threads:
                assert list(threads.map(work, range(16))) == [10] * 16
            for journal in journals:
                journal.stop()
    except NoPgBouncer as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    finally:
        postgres_server.drop(url)


def test_names_of_tables_are_qualified(postgres_store: PostgresStore) -> None:
    """No statement depends on the search path, which a pooler may have set for somebody else."""
    journal = postgres_store.journal()
    assert isinstance(journal, PostgresJournal)
    opened(journal)
    for name, query in journal._database.tables.queries.items():
        bare = re.findall(r"(?:FROM|JOIN|INTO|UPDATE)\s+payonce_\w+", query)
        assert (name, bare) == (name, [])
