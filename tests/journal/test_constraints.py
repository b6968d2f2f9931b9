"""The exam: what must never be in the journal is refused by the database itself."""

from __future__ import annotations

import pytest
from tests.journal.making import called, found, opened, paid
from tests.journal.stores import Store

from payonce.journal.protocol import Journal

CALL = (
    "INSERT INTO payonce_calls (run_id, attempt, step_key, occurrence, send, name, source, state,"
    " started_at) VALUES ({run}, 1, {step}, {occurrence}, {send}, 's', {source}, {state}, 0)"
)
GOOD = {
    "run": "1",
    "step": "'other'",
    "occurrence": "0",
    "send": "1",
    "source": "'step'",
    "state": "'intended'",
}


def _call(**bad: str) -> str:
    return CALL.format(**GOOD | bad)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payonce_runs SET state = 'lost'",
        "UPDATE payonce_runs SET state = 'waiting'",
        "UPDATE payonce_runs SET lease_until = NULL",
        "UPDATE payonce_runs SET lease_owner = NULL",
        "UPDATE payonce_runs SET state = 'parked', lease_owner = NULL, lease_until = NULL",
        "UPDATE payonce_runs SET attempt = 'many'",
        "UPDATE payonce_runs SET key = NULL",
        "INSERT INTO payonce_runs (job, key, state, arguments, arguments_fingerprint, created_at,"
        " updated_at) VALUES ('generate', 'course:1', 'waiting', '{}', 'f', 0, 0)",
        "UPDATE payonce_attempts SET outcome = 'done'",
        "UPDATE payonce_attempts SET ended_at = 1",
        "UPDATE payonce_attempts SET outcome = 'gone', ended_at = 1",
        "UPDATE payonce_attempts SET number = 0",
        _call(step="'outline'"),
        _call(state="'paid'"),
        _call(state="'done'"),
        _call(source="'magic'"),
        _call(send="0"),
        _call(occurrence="-1"),
        "UPDATE payonce_calls SET answer_id = NULL",
        "UPDATE payonce_calls SET state = 'released'",
        "UPDATE payonce_calls SET rejected = 2",
        "UPDATE payonce_calls SET state = 'in_doubt', answer_id = NULL, rejected = 1",
        "UPDATE payonce_calls SET resolution = 'maybe'",
        "UPDATE payonce_calls SET cost_nanos = 1e30",
    ],
)
def test_a_bad_row_is_refused(store: Store, journal: Journal, statement: str) -> None:
    """Each invariant holds against anybody's SQL, and leaves the journal as it was."""
    run = opened(journal)
    call_id = paid(journal, run)
    call = called(journal, call_id)
    store.execute(_call())
    with pytest.raises(Exception, match=r"(?i)constraint|store|violat|invalid input|out of range"):
        store.execute(statement)
    assert (found(journal), called(journal, call_id)) == (run, call)
