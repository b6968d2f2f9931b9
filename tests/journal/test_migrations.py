"""What an older payonce wrote down is there, and goes on, once the tables are migrated."""

from __future__ import annotations

from contextlib import closing

import pytest
from tests.journal.making import receipt
from tests.journal.stores import SqliteStore, Store

from payonce.journal.queries import migrations
from payonce.model import CallState
from payonce.money import Budget, Entry

ROWS = """
INSERT INTO payonce_runs (id, job, key, tenant, state, attempt, arguments, arguments_fingerprint,
    created_at, updated_at)
VALUES (7, 'generate', 'course:1', 'acme', 'waiting', 1, {braces}, 'args', 1.0, 1.0);
INSERT INTO payonce_payloads (id, codec, body) VALUES (3, 'json', {one});
INSERT INTO payonce_calls (id, run_id, attempt, step_key, occurrence, send, name, source, state,
    started_at, ceiling_nanos)
VALUES (11, 7, 1, 'a', 0, 1, 'outline', 'capture', 'intended', 1.0, NULL),
    (12, 7, 1, 'b', 0, 1, 'chapter', 'step', 'intended', 2.0, 40);
UPDATE payonce_calls SET state = 'paid', answer_id = 3, cost_nanos = 5, ended_at = 3.0
WHERE id = 11;
UPDATE payonce_calls SET state = 'in_doubt', reason = 'cut', ended_at = 4.0 WHERE id = 12;
"""
BYTES = {"sqlite": ("x'7b7d'", "x'31'"), "postgres": (r"'\x7b7d'", r"'\x31'")}


def _money(entries: list[Entry]) -> list[tuple[str, int, int | None, float]]:
    return [(entry.kind, entry.call_id, entry.nanos, entry.at) for entry in entries]


@pytest.mark.parametrize("later", [0, 1, 2])
def test_what_an_older_version_booked_stays(store: Store, later: int) -> None:
    """Calls, receipts and entries keep their numbers and their meaning, and are booked further."""
    known = migrations(store.dialect)
    known = known[: [name for _, name, _ in known].index("ledger") + 1 + later]
    braces, one = BYTES[store.dialect]
    with closing(store.connect()) as made:
        script = [sql for _, _, sql in known]
        script += [
            f"INSERT INTO payonce_migrations VALUES ({number}, '{name}', 1.0);"
            for number, name, _ in known
        ]
        for sql in (*script, ROWS.format(braces=braces, one=one)):
            if store.dialect == "sqlite":
                made.executescript(sql)
            else:
                made.execute(sql)
        made.commit()
    journal = store.journal()
    paid, doubt = journal.calls(7)
    assert (paid.id, paid.state, paid.cost_nanos, doubt.id) == (11, CallState.PAID, 5, 12)
    before = [("settle", 11, 5, 3.0), ("doubt", 12, 40, 4.0)]
    assert _money(journal.ledger.entries(7)) == before
    journal.complete(12, doubt.intent, receipt()).now()
    assert [entry[:3] for entry in _money(journal.ledger.entries(7))[2:]] == [
        ("doubt", 12, -40),
        ("settle", 12, receipt().cost_nanos),
    ]


def test_what_was_paid_before_there_was_a_ledger_is_entered(sqlite_store: SqliteStore) -> None:
    """Receipts, waste and doubts of the first version count in the sums, and in budgets, once."""
    with closing(sqlite_store.connect()) as made:
        for number, name, sql in migrations("sqlite")[:3]:
            made.executescript(sql)
            made.execute("INSERT INTO payonce_migrations VALUES (?, ?, 1.0)", (number, name))
        braces, one = BYTES["sqlite"]
        made.executescript(ROWS.format(braces=braces, one=one).replace("ceiling_nanos", "drift"))
        made.execute("UPDATE payonce_calls SET rejected = 1 WHERE id = 11")
        made.commit()
    journal = sqlite_store.journal()
    found = [("settle", 11, 5, 3.0), ("waste", 11, 5, 3.0), ("doubt", 12, None, 4.0)]
    assert _money(journal.ledger.entries(7)) == found
    assert journal.ledger.used(Budget("tenant", "acme", "total", 100)).spent == 5
