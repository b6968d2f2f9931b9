"""A database that is away for longer than all attempts: its runs wake by themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from tests.databases.postgres import NoPostgres, PostgresServer
from tests.journal.stores import Clock
from tests.path.looking import only_run
from tests.promises.asking import word

from payonce import Payonce
from payonce.model import Kind, RunState

ATTEMPTS = 3


class Base(DeclarativeBase):
    """The tables of this page."""


class Course(Base):
    """What the job writes."""

    __tablename__ = "courses"
    id: Mapped[str] = mapped_column(primary_key=True)
    outline: Mapped[str]


@pytest.fixture
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A server of its own, to be stopped; skipped where the others are."""
    try:
        server = PostgresServer.start()
    except NoPostgres as exc:
        pytest.skip(str(exc))
    yield server
    server.stop()


class School:
    """A job that needs a table, pays, and writes to it; each attempt that begins is counted."""

    def __init__(self, app: Payonce, server: PostgresServer) -> None:
        self.app, self.server, self.paid = app, server, 0
        self.engine = sqlalchemy.create_engine(
            server.url.replace("://", "+psycopg://"), pool_pre_ping=True
        )
        Base.metadata.create_all(self.engine)
        self.before_the_write: Callable[[], Any] = lambda: None

        @app.step
        def outline() -> str:
            self.paid += 1
            return "an outline"

        @app.job(
            key="{course}",
            attempts=ATTEMPTS,
            backoff=0.0,
            wait=0.0,
            needs=[app.schema(self.engine, Course)],
        )
        def job(course: str) -> str:
            text = outline()
            self.before_the_write()
            with Session(self.engine) as db:
                db.merge(Course(id=course, outline=text))
                db.commit()
            return course

        self.job = job

    def deliver_until_parked(self, clock: Clock) -> list[str]:
        """What each delivery of the message is told, at its time."""
        told = []
        while not told or told[-1] == "RetryLater":
            if told:
                clock.now = max(clock.now, only_run(self.app).retry_at or 0.0)
            told.append(word(self.job, "a"))
        return told

    def look(self) -> None:
        """One look, as the app takes it every 30 seconds."""
        self.app.lookout.look(self.app, threading.Event())


@pytest.fixture
def clock() -> Clock:
    """Time that a test moves."""
    return Clock()


@pytest.fixture
def school(tmp_path: Path, server: PostgresServer, clock: Clock) -> Iterator[School]:
    """It, with a journal of its own."""
    app = Payonce(f"sqlite:///{tmp_path}/journal.db", version="1", clock=clock, look_every=None)
    school = School(app, server)
    yield school
    app.close()
    school.engine.dispose()


def test_attempts_that_could_not_tell_are_used_up_but_not_for_good(
    school: School, server: PostgresServer, clock: Clock
) -> None:
    """Given a database that is stopped before the first delivery, then the run parks after its
    attempts, unpaid; while the server is away looks change nothing; when it answers again, then
    the next look does the work, without a message and without a person."""
    server.halt()
    assert school.deliver_until_parked(clock) == ["RetryLater"] * (ATTEMPTS - 1) + ["Parked"]
    run = only_run(school.app)
    assert (run.kind, school.paid) == (Kind.TRANSIENT, 0)
    assert "can't be told" in str(run.reason)
    school.look()
    assert (only_run(school.app).attempt, school.paid) == (ATTEMPTS, 0)
    server.restart()
    school.look()
    assert only_run(school.app).state is RunState.DONE
    assert school.paid == 1


def test_a_database_that_comes_back_without_its_table_is_not_ready(
    school: School, server: PostgresServer, clock: Clock
) -> None:
    """The look that finds it parks the run for what it lacks; the migration wakes it."""
    server.halt()
    school.deliver_until_parked(clock)
    server.restart()
    server.execute("DROP TABLE courses")
    school.look()
    run = only_run(school.app)
    assert (run.state, run.kind, school.paid) == (RunState.PARKED, Kind.DETERMINISTIC, 0)
    server.execute("CREATE TABLE courses (id text PRIMARY KEY, outline text NOT NULL)")
    school.look()
    assert only_run(school.app).state is RunState.DONE


def test_an_outage_in_the_middle_of_the_work_is_sat_out(
    school: School, server: PostgresServer, clock: Clock
) -> None:
    """Given a server that stops after the preflight of each attempt, then the run parks with what
    it paid, and goes on by a probe; nothing is paid again."""

    def stop() -> None:
        server.halt()

    school.before_the_write = stop
    assert word(school.job, "a") == "RetryLater"
    for _ in range(ATTEMPTS - 1):
        server.restart()
        clock.now += 300
        word(school.job, "a")
    run = only_run(school.app)
    assert (run.state, run.kind, school.paid) == (RunState.PARKED, Kind.TRANSIENT, 1)
    school.before_the_write = lambda: None
    server.restart()
    clock.now += 900
    school.look()
    assert (only_run(school.app).state, school.paid) == (RunState.DONE, 1)
