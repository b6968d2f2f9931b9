"""A look at what a parked run waits for says what is still missing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from tests.journal.stores import Clock
from tests.waking.conftest import School
from tests.waking.telling import runs, word

from payonce import Payonce, lookout
from payonce.journal.protocol import RunFilter
from payonce.looks import Look, last_look, look_at
from payonce.model import RunState
from payonce.report.listing import look_row, parked_tables


def test_what_is_still_missing_is_named(make_app: Callable[..., Payonce], school: School) -> None:
    """Table and column, looked at just now; after the migration, that the runs may go on."""
    app = make_app()
    url = f"sqlite:///{school.path}"
    needs = [app.schema(url, "INSERT INTO courses (id, outline) VALUES (:id, :outline)")]

    @app.job(key="{course}", name="course", needs=needs)
    def job(course: str) -> str:
        school.save(course)
        return course

    for course in "abcde":
        assert word(job, course) == "Parked"

    def told() -> str:
        found = app.journal.runs(RunFilter(state=RunState.PARKED))
        out = StringIO()
        look = partial(look_at, app)
        Console(width=200, file=out).print(*parked_tables(found, look, app.journal.now()), sep="\n")
        return out.getvalue()

    assert "column courses.outline is still missing, checked just now" in told()
    assert "5 runs · 2 held at the door" in told()
    row = look_row(look_at(app, runs(app)["a"]))
    assert row["world_moved"] is False
    assert "outline" in row["lacks"][0]
    school.migrate()
    assert "the world has changed, checked just now" in told()
    assert [word(job, course) for course in "abcde"] == ["done"] * 5


def test_a_job_that_is_not_there_is_said(make_app: Callable[..., Payonce], school: School) -> None:
    """A journal may hold runs of other apps: of their world nothing is known here."""
    app, other = make_app(), make_app()

    @app.job(key="k", name="course")
    def job() -> None:
        school.save("k")

    word(job)
    assert look_at(other, runs(app)["k"]) is None
    nothing = {"checked": None, "world_moved": None, "lacks": None, "unread": None}
    assert look_row(None) == nothing


class Kept:
    """What the journal tells of the last look, without the app."""

    def __init__(self, app: Payonce, clock: Clock) -> None:
        self.app, self.clock = app, clock

    def of(self, key: str) -> Look | None:
        """As `payonce parked --json` has it."""
        return last_look(self.app.journal.about().rights, runs(self.app)[key])

    def told(self) -> str:
        """As `payonce parked` prints it."""
        found, out = self.app.journal.runs(RunFilter(state=RunState.PARKED)), StringIO()
        look = partial(last_look, self.app.journal.about().rights)
        Console(width=200, file=out).print(*parked_tables(found, look, self.clock.now), sep="\n")
        return out.getvalue()

    def look(self) -> None:
        """One look, as a process takes it every 30 seconds, and what it keeps."""
        self.app.lookout.look(self.app, threading.Event())
        self.app.journal.claim("written", "in order", 0.0).now()


@pytest.fixture
def kept(app: Payonce, clock: Clock) -> Kept:
    """Of one app."""
    return Kept(app, clock)


def test_the_last_look_is_told_without_the_app(app: Payonce, kept: Kept, school: School) -> None:
    """Given a run that lacks a column which its job needs, then the journal says so, with the time
    of the last look; before the first one it says that nobody has looked."""
    url = f"sqlite:///{school.path}"
    needs = [app.schema(url, "INSERT INTO courses (id, outline) VALUES (:id, :outline)")]

    @app.job(key="k", name="course", needs=needs)
    def job() -> str:
        school.save("k")
        return "done"

    assert word(job) == "Parked"
    assert "not checked since: no process with this job has looked" in kept.told()
    kept.look()
    kept.clock.move(12)
    assert "column courses.outline is still missing, checked 12 s ago" in kept.told()
    seen = kept.of("k")
    assert seen is not None
    assert (seen.moved, seen.at, len(seen.lacks)) == (False, kept.clock.now - 12, 1)
    kept.clock.move(3 * 3600)
    assert "checked 3 h ago" in kept.told()
    kept.look()
    assert "is still missing, checked just now" in kept.told()


@pytest.mark.parametrize(
    ("watches", "told"),
    [
        (True, 'column "outline" of table "courses" still does not exist (what is watched has'),
        (False, "nothing that is watched has changed, checked 5 s ago"),
    ],
)
def test_without_needs_the_watched_schema_is_the_witness(
    app: Payonce, kept: Kept, school: School, watches: bool, told: str
) -> None:
    """It has not changed since the run failed by it; where nobody watches that is said."""
    if watches:
        app.watch(f"sqlite:///{school.path}")

    @app.job(key="k")
    def job() -> None:
        school.save("k")

    assert word(job) == "Parked"
    kept.look()
    kept.clock.move(5)
    assert told in kept.told()


def test_a_look_from_before_says_nothing_of_a_run(app: Payonce, kept: Kept, school: School) -> None:
    """Only what was seen since a run parked is told of it."""
    app.watch(f"sqlite:///{school.path}")

    @app.job(key="{name}", breaker=None)
    def job(name: str) -> None:
        school.save(name)

    word(job, "a")
    kept.look()
    kept.clock.move(5)
    word(job, "b")
    assert kept.of("a") is not None
    assert kept.of("b") is None
    kept.look()
    assert kept.of("b") is not None


def test_a_look_writes_nothing_while_no_run_is_parked(app: Payonce, kept: Kept) -> None:
    """A healthy app keeps nothing of what it sees; its alarms take one right for all processes."""
    app.job(key="k")(lambda: "done")()
    kept.look()
    assert [right.name for right in app.journal.about().rights] == ["alarms", "written"]


def test_one_process_of_many_keeps_what_is_seen(
    make_app: Callable[..., Payonce], school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those with the same code: the others would only write the same."""
    apps = [make_app(), make_app()]
    for app in apps:
        app.watch(f"sqlite:///{school.path}")
        app.job(key="k", name="course")(lambda: school.save("k"))
    word(apps[0].again, apps[0].jobs["course"], b"{}")
    claimed: list[str] = []
    monkeypatch.setattr(lookout, "owner", iter(["one", "another"]).__next__)
    for app in apps:
        claim = app.journal.claim

        def counted(name: str, owner: str, lease: float, *, claim: Any = claim) -> Any:
            claimed.append(name)
            return claim(name, owner, lease)

        app.journal.claim = counted  # type: ignore[method-assign]
        app.lookout.look(app, threading.Event())
    assert claimed.count("look:course") == 1
