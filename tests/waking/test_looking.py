"""A look at what a parked run waits for says what is still missing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import StringIO

from rich.console import Console
from tests.waking.conftest import School
from tests.waking.telling import runs, word

from payonce import Payonce
from payonce.journal.protocol import RunFilter
from payonce.model import RunState
from payonce.report.listing import look_row, parked_tables
from payonce.waking import look_at


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
        Console(width=200, file=out).print(*parked_tables(found, partial(look_at, app)))
        return out.getvalue()

    assert "looked just now: still: column courses.outline is missing" in told()
    assert "5 runs · 2 held at the door" in told()
    row = look_row(look_at(app, runs(app)["a"]))
    assert row["world_moved"] is False
    assert "outline" in row["lacks"][0]
    school.migrate()
    assert "looked just now: the world has changed" in told()
    assert [word(job, course) for course in "abcde"] == ["done"] * 5


def test_a_job_that_is_not_there_is_said(make_app: Callable[..., Payonce], school: School) -> None:
    """A journal may hold runs of other apps: of their world nothing is known here."""
    app, other = make_app(), make_app()

    @app.job(key="k", name="course")
    def job() -> None:
        school.save("k")

    word(job)
    assert look_at(other, runs(app)["k"]) is None
    assert look_row(None) == {"world_moved": None, "lacks": None, "unread": None}
