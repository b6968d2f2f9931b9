"""A run that is completed inside the user's own transaction has its effect exactly once."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from tests.journal.programs import ended, started
from tests.path.looking import only_run

from payonce import ConfigError, OutsideRun, Parked, Payonce

DIES = """
import os, signal, sqlite3, sys
from payonce import Payonce
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
app = Payonce(f"sqlite:///{sys.argv[1]}", version="1")

@app.job(key="k", name="job")
def job() -> None:
    if sys.argv[2] == "session":
        with Session(create_engine(f"sqlite:///{sys.argv[1]}")) as user:
            user.execute(text("INSERT INTO courses VALUES (1)"))
            app.complete(user, "value")
            if sys.argv[3] == "after":
                user.commit()
            os.kill(os.getpid(), signal.SIGKILL)
    user = sqlite3.connect(sys.argv[1])
    user.execute("INSERT INTO courses VALUES (1)")
    app.complete(user, "value")
    if sys.argv[3] == "after":
        user.commit()
    os.kill(os.getpid(), signal.SIGKILL)

job()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The database that journal and user share."""
    file = tmp_path / "journal.db"
    with closing(sqlite3.connect(file)) as user:
        user.execute("CREATE TABLE courses (id)")
    return file


def _rows(file: Path) -> int:
    with closing(sqlite3.connect(file)) as user:
        return int(user.execute("SELECT count(*) FROM courses").fetchone()[0])


@pytest.mark.parametrize("way", ["session", "sqlite3"])
@pytest.mark.parametrize(("moment", "rows"), [("before", 0), ("after", 1)])
def test_the_effect_is_there_exactly_if_the_run_is_done(
    file: Path, way: str, moment: str, rows: int
) -> None:
    """Killed right before or right after its commit, the run is repeated or is done: never both."""
    assert ended(started(DIES, str(file), way, moment)) == -signal.SIGKILL
    assert _rows(file) == rows
    app = Payonce(f"sqlite:///{file}", version="1")

    @app.job(key="k", name="job")
    def job() -> Any:
        with closing(sqlite3.connect(file)) as user:
            user.execute("INSERT INTO courses VALUES (1)")
            app.complete(user, "value")
            user.commit()
        return "value"

    assert job() == "value"
    assert (_rows(file), only_run(app).state) == (1, "done")
    app.close()


@pytest.mark.parametrize("form", ["session", "connection", "dbapi"])
def test_each_form_of_a_connection_will_do(app: Payonce, file: Path, form: str) -> None:
    """A session, an SQLAlchemy connection, or the driver's own."""
    engine = create_engine(f"sqlite:///{file}")

    @app.job(key="k")
    def job() -> str:
        if form == "session":
            with Session(engine) as session:
                session.execute(text("INSERT INTO courses VALUES (1)"))
                app.complete(session, "value")
                session.commit()
        elif form == "connection":
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO courses VALUES (1)"))
                app.complete(connection, "value")
        else:
            with closing(sqlite3.connect(file)) as user, user:
                user.execute("INSERT INTO courses VALUES (1)")
                app.complete(user, "value")
        return "value"

    assert (job(), job()) == ("value", "value")
    assert (_rows(file), only_run(app).attempt) == (1, 1)
    engine.dispose()


def test_what_fails_after_the_commit_is_ignored(
    app: Payonce, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run is done; a later failure changes nothing, and is logged."""

    @app.job(key="k")
    def job() -> str:
        with closing(sqlite3.connect(file)) as user, user:
            app.complete(user, "value")
        raise KeyError("too late")

    assert (job(), job()) == ("value", "value")
    assert "was completed" in caplog.text


def test_a_transaction_rolled_back_completes_nothing(app: Payonce, file: Path) -> None:
    """The run then ends as if `complete` had not been called."""

    @app.job(key="k")
    def job() -> str:
        with closing(sqlite3.connect(file)) as user:
            user.execute("INSERT INTO courses VALUES (1)")
            app.complete(user, "lost")
            user.rollback()
        return "value"

    assert job() == "value"
    assert (_rows(file), only_run(app).state) == (0, "done")


def test_another_database_is_refused(app: Payonce, tmp_path: Path) -> None:
    """Where the journal's tables aren't, nothing can be completed, and it says so."""

    @app.job(key="k")
    def job() -> None:
        with closing(sqlite3.connect(tmp_path / "other.db")) as user:
            app.complete(user)

    with pytest.raises(Parked, match="journal's tables") as parked:
        job()
    assert isinstance(parked.value.__cause__, ConfigError)


def test_outside_of_a_run_there_is_nothing_to_complete(app: Payonce, live: Payonce) -> None:
    """Nor inside a run of another app."""
    with pytest.raises(OutsideRun):
        app.complete(None)

    @app.job(key="k")
    def job() -> None:
        live.complete(None)

    with pytest.raises(Parked) as parked:
        job()
    assert isinstance(parked.value.__cause__, OutsideRun)
