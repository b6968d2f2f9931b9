"""A database that did what it was asked to, and could not say so, leaves nothing in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.databases.postgres import PostgresServer

from payonce import Payonce, RetryLater
from payonce.journal.postgres import PostgresJournal
from payonce.journal.postgres_batch import Batch
from payonce.journal.protocol import RunFilter


@pytest.fixture
def shared(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Payonce]:
    """An app on PostgreSQL."""
    schema = postgres_server.schema()
    app = Payonce(f"{schema}&spill={tmp_path}", version="1", look_every=None)
    yield app
    app.close()
    postgres_server.drop(schema)


def test_an_intent_whose_commit_was_not_heard_of_is_not_in_doubt(
    shared: Payonce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call was not made, so that the next attempt makes it, though its step must not be
    repeated where that is not certain."""
    sent: list[int] = []
    journal = shared.journal
    assert isinstance(journal, PostgresJournal)
    commit, lost = journal._database.commit, [True]

    def unheard(batch: Batch) -> None:
        commit(batch)
        if lost:
            lost.clear()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    @shared.step(cost="1 USD", in_doubt="park")
    def charge() -> int:
        sent.append(1)
        return 1

    @shared.job(key="k", backoff=0.001)
    def job() -> int:
        if lost:
            journal._writer.flush()
            monkeypatch.setattr(journal._database, "commit", unheard)
        return charge()

    with pytest.raises(RetryLater):
        job()
    assert (job(), sent) == (1, [1])
    [run] = [summary.run for summary in journal.runs(RunFilter())]
    assert [call.state for call in journal.calls(run.id)] == ["released", "paid"]
