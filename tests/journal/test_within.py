"""The exam: a run is closed inside the user's own transaction, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing as shutting
from typing import Any

from tests.journal.making import closing, found, opened, receipt
from tests.journal.stores import Store

from payonce.journal.protocol import Execute


def _by(connection: Any) -> Execute:
    def execute(sql: str, given: Mapping[str, Any]) -> int:
        return int(connection.execute(sql, given).rowcount)

    return execute


def test_a_committed_transaction_ends_the_run(store: Store) -> None:
    """With the user's own rows come the run's end, its value and what the queue was told."""
    journal = store.journal()
    run = opened(journal)
    store.execute("CREATE TABLE courses (id int)")
    with shutting(store.connect()) as user:
        user.execute("INSERT INTO courses VALUES (1)")
        assert journal.close_within(_by(user), closing(run, result=receipt("value").answer))
        assert found(journal).state == "running"
        user.commit()
    done = found(journal)
    assert done.result is not None
    assert (done.state, done.lease_owner, done.result.body) == ("done", None, b'"value"')
    assert [attempt.outcome for attempt in journal.history(run.id).attempts] == ["done"]
    assert [arrival.answer for arrival in journal.history(run.id).arrivals] == ["done"]


def test_a_transaction_rolled_back_leaves_the_run(store: Store) -> None:
    """Without the user's rows the run goes on, under the same lease."""
    journal = store.journal()
    run = opened(journal)
    with shutting(store.connect()) as user:
        assert journal.close_within(_by(user), closing(run, result=receipt("value").answer))
        user.rollback()
    assert found(journal) == run
    assert store.execute("SELECT count(*) FROM payonce_payloads") == [(0,)]
    assert journal.close(closing(run)).now()


def test_a_run_closed_within_still_gets_its_value(store: Store) -> None:
    """A value that is known only after the user's transaction is added to the finished run."""
    journal = store.journal()
    run = opened(journal)
    with shutting(store.connect()) as user:
        assert journal.close_within(_by(user), closing(run))
        user.commit()
    assert found(journal).result is None
    assert journal.close(closing(run, result=receipt("value").answer)).now()
    result = found(journal).result
    assert result is not None
    assert result.body == b'"value"'


def test_closing_within_is_fenced(store: Store) -> None:
    """An attempt that lost its lease can't end the run by the back door."""
    journal = store.journal()
    first = opened(journal)
    store.clock.move(31)
    second = opened(journal, owner="two")
    with shutting(store.connect()) as user:
        assert not journal.close_within(_by(user), closing(first, result=receipt("late").answer))
        user.commit()
    assert found(journal) == second
