"""Before the door: run keys, arguments as they are kept, and jobs that are set up wrongly."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from tests.path.shapes import Model, Opaque, Point

from payonce import ConfigError, KeyTemplateError, NotKept, Payonce
from payonce.job import Template

_HERE = Point(1)


def _course(course_id: int, tenant: str, where: Point = _HERE, **more: int) -> None: ...


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("course:{course_id}", "course:7"),
        ("{tenant}/{course_id:04d}", "acme/0007"),
        ("{where.x}", "1"),
        ("{tenant!r}", "'acme'"),
        ("constant", "constant"),
        ("{{{course_id}}}", "{7}"),
    ],
)
def test_a_template_is_filled(text: str, filled: str) -> None:
    """Fields, attributes and formats of a call's arguments make the text."""
    arguments = {"course_id": 7, "tenant": "acme", "where": Point(1)}
    assert Template(text, _course).fill(arguments) == filled


@pytest.mark.parametrize("letter", ["x", "\N{GRINNING FACE}"])
def test_a_text_that_no_index_can_hold_is_refused(letter: str) -> None:
    """A whole document is no key: where it can't be found again it would be tried for ever."""
    template, most = Template("{tenant}", _course), 2_000 // len(letter.encode())
    assert template.fill({"tenant": most * letter}) == most * letter
    with pytest.raises(KeyTemplateError, match=r"2,00\d bytes"):
        template.fill({"tenant": (most + 1) * letter})


@pytest.mark.parametrize("text", ["{nope}", "{}", "{0}", "{nope.x}", "{open", "close}"])
def test_a_template_that_cannot_work_is_refused_at_once(text: str) -> None:
    """A field that is no argument, or a malformed text, fails before any delivery."""
    with pytest.raises(KeyTemplateError):
        Template(text, _course)


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_field_mixes_no_runs_up(value: object) -> None:
    """A key without its value would be another run's key."""
    with pytest.raises(KeyTemplateError, match="course_id"):
        Template("course:{course_id}", _course).fill({"course_id": value})


def test_nought_is_a_value() -> None:
    """An id may be 0."""
    assert Template("{course_id}", _course).fill({"course_id": 0}) == "0"


def test_a_job_without_a_key_is_refused(app: Payonce) -> None:
    """At decoration, in each way of forgetting it."""
    with pytest.raises(KeyTemplateError):
        app.job(key="")(_course)
    with pytest.raises(KeyTemplateError):
        app.job(_course)  # type: ignore[arg-type]


def test_a_job_that_ignores_what_it_does_not_take_is_refused(app: Payonce) -> None:
    """A name in `ignore_args` that is no argument is a mistake."""
    with pytest.raises(ConfigError, match="nope"):
        app.job(key="k", ignore_args=["nope"])(_course)


def test_two_jobs_of_one_name_are_refused(app: Payonce) -> None:
    """Two files can't share one name in the journal."""
    app.job(key="k", name="same")(_course)
    with pytest.raises(ConfigError, match="same"):
        app.job(key="k", name="same")(inspect.cleandoc)


@pytest.mark.parametrize("resamples", [-1])
def test_a_step_that_is_never_asked_is_refused(app: Payonce, resamples: int) -> None:
    """Negative numbers of resamples make no sense."""
    with pytest.raises(ConfigError):
        app.step(resamples=resamples)(_course)


def test_a_job_keeps_its_name_and_docstring(app: Payonce) -> None:
    """A decorated function still is what it was to its readers."""

    @app.job(key="{n}")
    def job(n: int) -> None:
        """Do it."""

    assert (job.__name__, job.__doc__, list(inspect.signature(job).parameters)) == (
        "job",
        "Do it.",
        ["n"],
    )


def test_the_same_call_has_the_same_fingerprint(app: Payonce) -> None:
    """By position, by name or by default: it is the same work."""
    app.job(key="k", name="job")(_course)
    bind = app.jobs["job"].bind
    one = bind((1, "acme"), {})
    assert one.fingerprint == bind((), {"tenant": "acme", "course_id": 1}).fingerprint
    assert one.fingerprint == bind((1,), {"tenant": "acme", "where": Point(1)}).fingerprint
    assert one.fingerprint != bind((2, "acme"), {}).fingerprint


def test_arguments_that_do_not_fit_are_a_type_error(app: Payonce, tmp_path: Path) -> None:
    """As with any function; nothing is journaled."""

    @app.job(key="{n}")
    def job(n: int) -> None: ...

    with pytest.raises(TypeError):
        job()  # type: ignore[call-arg]
    assert not (tmp_path / "journal.db").exists()


def test_kept_arguments_call_the_job_again(app: Payonce) -> None:
    """What the journal has kept is what the function got, types included."""
    got: list[tuple[Any, ...]] = []

    @app.job(key="{n}", name="job", ignore_args=["trace"])
    def job(n: int, model: Model, *, points: list[Point], trace: object = "none") -> None:
        got.append((n, model, points, trace))

    job(1, Model(name="m"), points=[Point(1)], trace=Opaque())
    registered = app.jobs["job"]
    run = app.journal.find("job", "1")
    assert run is not None
    registered.call(registered.again(run.arguments))
    assert got[1] == (1, Model(name="m"), [Point(1)], "none")


def test_the_app_calls_a_job_again(app: Payonce) -> None:
    """A run goes on with its kept arguments when the queue's message is gone."""
    sent = []

    @app.job(key="{n}", name="job")
    def job(n: int) -> int:
        sent.append(n)
        return n * 2

    assert job(4) == 8
    run = app.journal.find("job", "4")
    assert run is not None
    assert app.again(app.jobs["job"], run.arguments) == 8
    assert sent == [4]


def test_an_argument_that_cannot_be_kept_is_refused(app: Payonce) -> None:
    """Before any work, naming the argument and its type."""

    @app.job(key="{n}")
    def job(n: int, thing: object) -> None: ...

    with pytest.raises(NotKept, match=r"thing of .* Opaque"):
        job(1, Opaque())


def test_what_the_journal_has_not_kept_cannot_be_called_again(app: Payonce) -> None:
    """An ignored argument without a default has to come with a message."""

    @app.job(key="{n}", name="job", ignore_args=["thing"])
    def job(n: int, thing: object) -> None: ...

    kept = app.jobs["job"].bind((1, Opaque()), {}).kept
    with pytest.raises(NotKept, match="thing"):
        app.jobs["job"].again(kept)


def test_what_differs_is_named(app: Payonce) -> None:
    """Values that differ, and those that only one side has, but for those that may differ."""

    @app.job(key="k", name="job", ignore_args=["d"])
    def job(a: int, b: int, c: int, d: int) -> None: ...

    one, other = b'{"a":1,"b":2,"d":1}', b'{"a":1,"b":3,"c":4,"d":2}'
    assert app.jobs["job"].differing(one, other) == ("b", "c")
