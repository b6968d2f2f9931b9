"""Parked runs go on by themselves: after a migration, with a new version, after a probe."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.journal.stores import Clock, Store
from tests.waking.conftest import School
from tests.waking.telling import outcome, runs, until, word

from payonce import Payonce, lookout
from payonce.model import RunState
from payonce.waking import wake

SOON = 0.05


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "_FIRST", 0.01)


class Course:
    """A job that pays once, then saves."""

    def __init__(self, app: Payonce, school: School, **options: Any) -> None:
        self.app, self.paid = app, list[str]()
        app.watch(f"sqlite:///{school.path}")

        @app.step(name="pay")
        def pay(course: str) -> str:
            self.paid.append(course)
            return "paid"

        @app.job(key="{course}", name="course", **options)
        def job(course: str) -> str:
            pay(course)
            school.save(course)
            return course

        self.job = job


def _done(app: Payonce, *keys: str) -> bool:
    known = runs(app)
    return all(known[key].state is RunState.DONE for key in keys)


def _lookouts() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "payonce-lookout"]


def test_a_migration_wakes_all_without_a_delivery(
    make_app: Callable[..., Payonce], school: School
) -> None:
    """Runs that failed and runs that were held are done once the column is there, paid once."""
    app = make_app(look_every=SOON)
    course = Course(app, school)
    for name in "abcdef":
        assert word(course.job, name) == "Parked"
    assert course.paid == ["a", "b", "c"]
    school.migrate()
    until(lambda: _done(app, *"abcdef"))
    assert sorted(course.paid) == list("abcdef")
    saved = [row[0] for row in school.execute("SELECT id FROM courses ORDER BY id")]
    assert saved == list("abcdef")


def test_a_new_version_wakes_at_its_start(make_app: Callable[..., Payonce], school: School) -> None:
    """`app.start()` is enough: nobody delivers anything, and nothing is paid again."""
    old = Course(make_app(), school)
    for name in "abcde":
        word(old.job, name)
    new = make_app(version="2", look_every=SOON)

    @new.step(name="pay")
    def pay(course: str) -> str:
        old.paid.append(f"{course} again")
        return "paid"

    @new.job(key="{course}", name="course")
    def job(course: str) -> str:
        return pay(course)

    new.start()
    until(lambda: _done(new, *"abcde"))
    assert sorted(old.paid) == ["a", "b", "c", "d again", "e again"]


def test_the_first_delivery_of_a_new_version_wakes_the_others(
    make_app: Callable[..., Payonce], school: School
) -> None:
    """The delivery is handled first; what is parked follows by itself."""
    old = Course(make_app(), school)
    word(old.job, "a")
    new = make_app(version="2", look_every=SOON)
    new.job(key="{course}", name="course")(_identity)
    other = new.job(key="{course}", name="other")(_identity)
    assert other("x") == "x"
    until(lambda: _done(new, "a"))


def _identity(course: str) -> str:
    return course


def test_many_processes_call_each_run_once(
    make_app: Callable[..., Payonce], school: School
) -> None:
    """Five apps that look at the same time call each parked run again once."""
    courses = [Course(make_app(look_every=SOON), school, breaker=None) for _ in range(5)]
    for name in "abcdefgh":
        word(courses[0].job, name)
    for course in courses:
        course.app.start()
    school.migrate()
    until(lambda: _done(courses[0].app, *"abcdefgh"))
    assert {run.attempt for run in runs(courses[0].app).values()} == {2}
    assert sum(len(course.paid) for course in courses) == 8


def test_what_was_held_goes_on_after_a_probe(
    make_app: Callable[..., Payonce], clock: Clock
) -> None:
    """Once one run was let in and is done in the same world, the look brings the others."""
    app = make_app(look_every=SOON)
    broken = [True]

    @app.job(key="{name}")
    def job(name: str) -> str:
        if broken[0]:
            raise AttributeError("no such thing")
        return name

    for name in "abcdef":
        assert word(job, name) == "Parked"
    broken[0] = False
    clock.move(901)
    until(lambda: _done(app, *"def"))
    assert {runs(app)[name].state for name in "abc"} == {RunState.PARKED}


def test_a_run_that_fails_in_the_new_world_is_left_alone(
    make_app: Callable[..., Payonce], school: School
) -> None:
    """A migration that doesn't help costs one attempt, however often is looked after that."""
    app = make_app(look_every=SOON)
    course = Course(app, school)
    word(course.job, "a")
    school.execute("ALTER TABLE courses ADD COLUMN title TEXT")
    until(lambda: runs(app)["a"].attempt == 2)
    until(lambda: runs(app)["a"].state is RunState.PARKED)
    looks = []
    seen = app.lookout.look
    app.lookout.look = lambda *given: looks.append(1) or seen(*given)  # type: ignore[method-assign]
    until(lambda: len(looks) > 3)
    assert (runs(app)["a"].attempt, course.paid) == (2, ["a"])


def test_an_async_job_is_called_in_its_own_event_loop(
    make_app: Callable[..., Payonce], school: School
) -> None:
    """What belongs to the server's event loop, such as a pool of connections, can be used."""
    app = make_app(look_every=SOON)
    app.watch(f"sqlite:///{school.path}")
    loops = []

    async def work() -> None:
        @app.job(key="k")
        async def job() -> str:
            loops.append(asyncio.get_running_loop())
            school.save("k")
            return "done"

        with pytest.raises(Exception, match="parked"):
            await job()
        school.migrate()
        while not _done(app, "k"):
            await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(work(), 60))
    assert len(loops) == 2
    assert loops[0] is loops[1]


def test_an_async_job_without_its_loop_waits(
    make_app: Callable[..., Payonce], school: School
) -> None:
    """Where the loop of its deliveries has ended, it is left to the next delivery."""
    app = make_app(look_every=SOON)
    app.watch(f"sqlite:///{school.path}")

    @app.job(key="k")
    async def job() -> str:
        school.save("k")
        return "done"

    with pytest.raises(Exception, match="parked"):
        asyncio.run(job())
    school.migrate()
    assert not app.lookout.look(app, threading.Event())
    assert runs(app)["k"].attempt == 1
    assert asyncio.run(job()) == "done"


def test_nothing_looks_before_the_first_delivery(
    make_app: Callable[..., Payonce], school: School
) -> None:
    """Making an app and its jobs starts no thread, a wake by a person neither; closing ends it."""
    before = len(_lookouts())
    app = make_app(look_every=SOON)
    course = Course(app, school)
    list(wake(app))
    assert len(_lookouts()) == before
    word(course.job, "a")
    assert len(_lookouts()) == before + 1
    app.close()
    assert len(_lookouts()) == before
    word(course.job, "a")
    assert len(_lookouts()) == before + 1


def test_the_look_can_be_left_out(make_app: Callable[..., Payonce], school: School) -> None:
    """look_every=None leaves parked runs to deliveries and to payonce wake."""
    before = len(_lookouts())
    app = make_app(look_every=None)
    word(Course(app, school).job, "a")
    app.start()
    assert len(_lookouts()) == before


def test_a_journal_that_is_away_is_looked_at_later(
    make_app: Callable[..., Payonce], school: School, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread says so in the log, and goes on looking."""
    app = make_app(look_every=SOON)
    course = Course(app, school)
    word(course.job, "a")
    known, failed = app.world, []

    def away(job: Any) -> Any:
        failed.append(1)
        raise OSError("away")

    app.world = away  # type: ignore[method-assign]
    school.migrate()
    until(lambda: len(failed) > 2)
    app.world = known  # type: ignore[method-assign]
    until(lambda: _done(app, "a"))
    assert "could not be looked after: OSError: away" in caplog.text


FORKING = """
import os, sqlite3, sys, time
from payonce import Parked, Payonce, lookout
lookout._FIRST = 0.01
app = Payonce(sys.argv[1], version="1", look_every=0.05)
app.watch("sqlite:///" + sys.argv[2])

@app.job(key="k")
def job() -> str:
    with sqlite3.connect(sys.argv[2], timeout=30) as db:
        db.execute("INSERT INTO courses (id, outline) VALUES ('k', 'x')")
    return "done"

try:
    job()
except Parked:
    pass
if os.fork() == 0:
    try:
        job()
    except Parked:
        print("parked", flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if app.journal.find(next(iter(app.jobs)), "k").state == "done":
            print("done", flush=True)
            os._exit(0)
        time.sleep(0.02)
    os._exit(1)
app.lookout.stop()
os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_forked_child_looks_by_itself(store: Store, school: School) -> None:
    """The parent's thread doesn't live in a child; the child's first delivery starts its own."""
    command = [sys.executable, "-c", FORKING, store.url, str(school.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "parked\n"
        school.migrate()
        output, _ = process.communicate(timeout=90)
    assert (output, process.returncode) == ("done\n", 0)


def test_outcomes_are_told(make_app: Callable[..., Payonce], school: School) -> None:
    """A run that another one works on, or that was started otherwise, is no failure of the look."""
    app = make_app()
    course = Course(app, school)
    word(course.job, "a")

    @app.job(key="{course}", name="course")
    def changed(course: str, more: int) -> str:
        return course

    school.migrate()
    assert not app.lookout.look(app, threading.Event())
    assert runs(app)["a"].state is RunState.PARKED
    assert outcome(course.job, "a") == "a"
