"""A job with `needs=`: nothing is paid while they are missing; it goes on once they are there."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import psycopg
import pytest
import sqlalchemy as sa
from tests.databases.postgres import PostgresServer
from tests.journal.stores import Clock
from tests.path.looking import only_run
from tests.preflight.conftest import ANYWHERE, Place
from tests.promises.asking import ask, word

from payonce import Parked, Payonce, RetryLater
from payonce.model import World
from payonce.ready import Readiness, State, look
from payonce.testing import MeteredProvider

WRITE = "INSERT INTO courses (tenant, outline, later) VALUES (:tenant, :outline, :later)"


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """The witness."""
    with MeteredProvider() as provider:
        yield provider


@pytest.fixture
def gpt(provider: MeteredProvider) -> Iterator[openai.OpenAI]:
    """OpenAI's client, hidden retries included."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="sk-metered") as client:
        yield client


@pytest.fixture
def job(app: Payonce, gpt: openai.OpenAI, place: Place) -> Iterator[Callable[[int], str]]:
    """A paid text for a column that isn't there yet."""

    @app.job(key="course:{n}", backoff=0.01, needs=[app.schema(place.url, WRITE)])
    def work(n: int) -> str:
        return ask(gpt, "one")

    with app.capture():
        yield work


@ANYWHERE
def test_nothing_is_paid_while_a_column_is_missing(
    app: Payonce, provider: MeteredProvider, place: Place, job: Callable[[int], str]
) -> None:
    """Given the accident, when 21 deliveries come, then the run parks for what is missing, for
    nothing; when the column comes, the next delivery does it under the same key, paid once."""
    told = []
    for _ in range(21):
        with pytest.raises(Parked) as caught:
            job(42)
        told.append(caught.value)
    assert "column courses.later is missing" in told[0].reason
    assert {(each.kind, each.paid, each.reason) for each in told} == {
        ("deterministic", "no", told[0].reason)
    }
    assert (provider.billed(), only_run(app).attempt) == (0, 1)
    place.do("ALTER TABLE courses ADD COLUMN later TEXT")
    assert [word(job, 42), word(job, 42)] == ["done", "done"]
    assert (provider.billed("one"), only_run(app).attempt) == (1, 2)
    assert only_run(app).key == "course:42"


@ANYWHERE
def test_other_tables_wake_nobody(
    app: Payonce, provider: MeteredProvider, place: Place, job: Callable[[int], str]
) -> None:
    """Given a parked run, when another table and rows change, then it stays parked; a column
    of its own table that is not the one makes it look again, for nothing."""
    if place.url.startswith("sqlite"):
        place.do("DROP TRIGGER keep")  # with a trigger, any table may matter
    assert word(job, 1) == "Parked"
    place.do("CREATE TABLE theirs (id INT)")
    place.do("INSERT INTO theirs VALUES (1)")
    assert (word(job, 1), only_run(app).attempt) == ("Parked", 1)
    place.do("ALTER TABLE courses ADD COLUMN sooner TEXT")
    assert (word(job, 1), only_run(app).attempt) == ("Parked", 2)
    assert provider.billed() == 0


@ANYWHERE
def test_the_verdict_is_kept_as_long_as_the_world_is(
    app: Payonce, place: Place, job: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand runs in one world need one look, whether it was good or bad."""
    looks: list[int] = []
    need = app.jobs[next(iter(app.jobs))].needs[0]
    check = need.check

    def counted() -> Any:
        looks.append(1)
        return check()

    monkeypatch.setattr(need, "check", counted)
    assert {word(job, n) for n in range(5)} == {"Parked"}
    assert len(looks) == 1
    place.do("ALTER TABLE courses ADD COLUMN later TEXT")
    assert {word(job, n) for n in range(5, 9)} == {"done"}
    assert len(looks) == 2


def test_a_database_that_is_away_is_no_verdict(
    gpt: openai.OpenAI, provider: MeteredProvider, tmp_path: Path
) -> None:
    """Given a database that can't be reached, then the run is told to come back, up to its cap,
    and pays nothing; when the database is back, then it is done, even if it was parked."""
    file, clock = tmp_path / "away.db", Clock()
    app = Payonce(f"sqlite:///{tmp_path}/journal.db", version="1", clock=clock)

    @app.job(key="k", attempts=2, backoff=0.0, needs=[app.schema(f"sqlite:///{file}", WRITE)])
    def work() -> str:
        return ask(gpt, "one")

    with app.capture():
        with pytest.raises(RetryLater) as early:
            work()
        assert early.value.paid == "no"
        assert early.value.after >= 5
        clock.now += early.value.after
        assert word(work) == "Parked"
        assert "can't be told" in str(only_run(app).reason)
        assert only_run(app).kind == "transient"
        assert provider.billed() == 0
        with sa.create_engine(f"sqlite:///{file}").begin() as db:
            db.execute(sa.text("CREATE TABLE courses (tenant, outline, later)"))
        assert word(work) == "done"
    app.close()
    assert provider.billed("one") == 1


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_a_migration_that_runs_is_no_verdict(
    app: Payonce,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    place: Place,
    postgres_server: PostgresServer,
) -> None:
    """Given an open ALTER TABLE, then the catalogue is read behind it, EXPLAIN waits a second, and
    the run is told to come back; when the migration is rolled back, the run goes on."""
    statement = "UPDATE courses SET outline = :outline WHERE tenant = :tenant"

    @app.job(key="k", attempts=1, backoff=0.0, needs=[app.schema(place.url, statement)])
    def work() -> str:
        return ask(gpt, "one")

    admin = postgres_server.url_of(place.url.rpartition("/")[2])
    with app.capture(), psycopg.connect(admin) as migration:
        migration.execute("ALTER TABLE courses ADD COLUMN later TEXT")
        assert word(work) == "Parked"
        assert "lock timeout" in str(only_run(app).reason)
        assert provider.billed() == 0
        migration.rollback()
        assert word(work) == "done"
    assert provider.billed("one") == 1


def test_who_waits_for_another_s_look_takes_what_it_found(app: Payonce) -> None:
    """Given a look that takes its time and then can't tell, when others come meanwhile, then they
    look no more themselves; who comes after that does."""
    arrived, go_on = threading.Semaphore(0), threading.Event()
    looks: list[int] = []

    class Read(World):
        """A world that tells when it is read."""

        @property
        def schema(self) -> str:  # type: ignore[override]
            arrived.release()
            return "slow=same"

    class Slow:
        """A database whose migration holds a lock."""

        name = "slow"

        def fingerprint(self) -> str:
            return "same"

        def check(self) -> Readiness:
            looks.append(1)
            assert go_on.wait(60)
            return Readiness(State.CANT_TELL, "?")

        def close(self) -> None:
            """Nothing is open."""

    need, world = Slow(), Read.__new__(Read)
    object.__setattr__(world, "code", "1")
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(look, need, world) for _ in range(5)]
        assert all(arrived.acquire(timeout=60) for _ in waiting)
        go_on.set()
        assert {each.result(60).state for each in waiting} == {State.CANT_TELL}
    assert len(looks) == 1
    look(need, world)
    assert len(looks) == 2


@ANYWHERE
def test_async_jobs_need_the_same(app: Payonce, place: Place) -> None:
    """The event loop isn't blocked by the look, and the verdict is the same."""
    done: list[int] = []

    @app.job(key="c:{n}", needs=[app.schema(place.url, WRITE)])
    async def work(n: int) -> int:
        done.append(n)
        return n

    with pytest.raises(Parked):
        asyncio.run(work(1))
    place.do("ALTER TABLE courses ADD COLUMN later TEXT")
    assert asyncio.run(work(1)) == 1
    assert done == [1]


@pytest.mark.parametrize("place", ["postgres", "mariadb"], indirect=True)
def test_a_fork_shares_no_connection(app: Payonce, place: Place) -> None:
    """Parent and child look over connections of their own."""
    need = app.schema(place.url, "SELECT outline FROM courses")
    before = need.fingerprint()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if need.fingerprint() == before and need.check().state == "ready" else 1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert need.fingerprint() == before


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_a_cut_connection_is_opened_anew(
    app: Payonce, place: Place, postgres_server: PostgresServer
) -> None:
    """Given a kept connection that the server ended, then the next look doesn't notice."""
    need = app.schema(place.url, "SELECT outline FROM courses")
    before = need.fingerprint()
    place.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
    assert need.fingerprint() == before
