"""Promise 5: the run parks at the first one, costs a read, and goes on when the world changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.promises.asking import ask, outcome, word

import payonce
from payonce.model import Run
from payonce.testing import MeteredProvider, insufficient_quota, status


def missing_column(_: openai.OpenAI) -> None:
    """The accident."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE courses (id)")
        db.execute("INSERT INTO courses (outline) VALUES ('x')")


def missing_table(_: openai.OpenAI) -> None:
    """A migration that is missing altogether."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("SELECT * FROM courses")


def bug(_: openai.OpenAI) -> None:
    """A programming error."""
    raise AttributeError("'NoneType' object has no attribute 'outline'")


def not_json(_: openai.OpenAI) -> None:
    """The user's own file is broken."""
    raise ValueError("course 42 has no title")


def refused(gpt: openai.OpenAI) -> None:
    """A request that the provider won't take."""
    ask(gpt, "refused")


FAILURES = [missing_column, missing_table, bug, not_json, refused]


@pytest.mark.parametrize("fails", FAILURES)
@pytest.mark.parametrize("fault", [status(400), status(401), insufficient_quota()])
def test_it_parks_at_the_first(
    app: payonce.Payonce,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    fails: Callable[[openai.OpenAI], None],
    fault: Any,
    run: Callable[[], Run],
) -> None:
    """Given a paid call and then a failure that can't get better, when 21 deliveries come, then
    the user's code has run once and the provider has billed once."""
    provider.fail("refused", fault, times=None)
    times: list[str] = []

    @app.job(key="course")
    def work() -> None:
        times.append(ask(gpt, "one"))
        fails(gpt)

    told = [outcome(work) for _ in range(21)]
    assert all(isinstance(answer, payonce.Parked) for answer in told)
    assert {answer.kind for answer in told} == {"deterministic"}
    assert len({answer.fingerprint for answer in told}) == 1
    assert (len(times), provider.billed()) == (1, 1)
    assert provider.received("refused") <= 1
    assert (run().attempt, run().state) == (1, "parked")
    if fails is not refused:
        return
    assert str(run().reason)


class Watching:
    """The journal, with a note of each verb that it is asked for."""

    def __init__(self, journal: Any) -> None:
        self.asked: list[str] = []
        self._journal = journal

    def __getattr__(self, verb: str) -> Any:
        self.asked.append(verb)
        return getattr(self._journal, verb)


def test_a_delivery_of_a_parked_run_costs_one_read(app: payonce.Payonce) -> None:
    """Given a parked run, when it is delivered, then the journal is read once, the delivery is
    noted, and nothing is opened."""

    @app.job(key="course")
    def work() -> None:
        raise KeyError("outline")

    assert word(work) == "Parked"
    watching = Watching(app.journal)
    app.journal = watching
    assert word(work) == "Parked"
    assert [verb for verb in watching.asked if verb != "now"] == ["find", "note"]


def test_a_changed_schema_lets_it_go_on(
    app: payonce.Payonce,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    tmp_path: Path,
    run: Callable[[], Run],
) -> None:
    """Given a run that parked for a missing column of a watched database, when the column is
    added, then the next delivery finishes under the same key, and pays nothing."""
    school = tmp_path / "school.db"
    times: list[str] = []

    def do(sql: str, *values: object) -> None:
        with closing(sqlite3.connect(school)) as db, db:
            db.execute(sql, values)

    do("CREATE TABLE courses (id)")
    app.watch(f"sqlite:///{school}")

    @app.job(key="course:{n}")
    def work(n: int) -> str:
        times.append(ask(gpt, "one"))
        do("INSERT INTO courses (id, outline) VALUES (?, ?)", n, times[-1])
        return times[-1]

    assert [word(work, 42) for _ in range(3)] == ["Parked"] * 3
    do("ALTER TABLE courses ADD COLUMN outline")
    assert work(42) == times[0] == times[1]
    assert (len(times), provider.billed("one")) == (2, 1)
    assert (run().key, run().state, run().attempt) == ("course:42", "done", 2)


def test_an_unrelated_row_does_not(app: payonce.Payonce, tmp_path: Path) -> None:
    """Given the same, when only data changes in that database, then the run stays parked."""
    school = tmp_path / "school.db"
    with closing(sqlite3.connect(school)) as db, db:
        db.execute("CREATE TABLE courses (id)")
    app.watch(f"sqlite:///{school}")
    times: list[int] = []

    @app.job(key="course")
    def work() -> None:
        times.append(1)
        raise KeyError("outline")

    assert word(work) == "Parked"
    with closing(sqlite3.connect(school)) as db, db:
        db.execute("INSERT INTO courses VALUES (1)")
    assert word(work) == "Parked"
    assert len(times) == 1


def test_new_code_lets_it_go_on_and_parks_anew(
    make_app: Callable[..., payonce.Payonce], provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """Given a run that parked, when a version is deployed that still has the bug, then it is
    tried once and parks again; the version without the bug finishes it; all for one bill."""
    times: list[str] = []

    def deploy(version: str, *, bug: bool) -> Callable[[], str]:
        app = make_app(version=version)

        @app.step
        def text() -> str:
            return ask(gpt, "one")

        @app.job(key="course", name="course")
        def work() -> str:
            times.append(version)
            return text().outline if bug else text()  # type: ignore[attr-defined]

        return work

    first, still, fixed = deploy("1", bug=True), deploy("2", bug=True), deploy("3", bug=False)
    words = [word(job) for job in (first, first, first, still, still, fixed, fixed)]
    assert words[-2:] == ["done", "done"]
    assert provider.billed("one") == 1
    assert times[-1] == "3"
    assert times.count("2") <= 2


def test_a_person_can_wake_it(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider, run: Callable[[], Run]
) -> None:
    """Given a run that parked for what no database shows, when a person wakes it, then it goes
    on under the same key, for nothing."""
    prompts: list[str] = []

    @app.job(key="course")
    def work() -> str:
        prompts.append(ask(gpt, "one"))
        if len(prompts) == 1:
            raise PermissionError(13, "Permission denied", "courses.csv")
        return prompts[-1]

    assert [word(work) for _ in range(2)] == ["Parked", "Parked"]
    assert app.journal.wake(run()).now()
    assert work() == prompts[0]
    assert provider.billed("one") == 1
