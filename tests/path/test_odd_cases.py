"""Odd cases of the way of a delivery, each of which once went wrong."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.journal.programs import ended, started
from tests.journal.stores import Clock
from tests.path.looking import calls, only_run, states
from tests.path.shapes import Opaque

from payonce import ConfigError, KeyReused, Payonce, PayonceError, RetryLater
from payonce.model import World
from payonce.policy import Limits, backoff, moved
from payonce.values import decode, encode

DIES_LATER = """
import os, signal, sys
from payonce import Payonce
app = Payonce(sys.argv[1], version="1")

@app.step(name="outline")
def outline() -> str:
    return "outline"

@app.job(key="k", name="job")
def job() -> str:
    outline()
    os.kill(os.getpid(), signal.SIGKILL)

job()
"""


def test_a_run_completed_without_a_result_gets_the_jobs_value(app: Payonce) -> None:
    """What the job returns after `app.complete(session)` is the run's value."""
    file = app.store.removeprefix("sqlite:///")

    @app.job(key="k")
    def job() -> str:
        with closing(sqlite3.connect(file)) as user, user:
            app.complete(user)
        return "value"

    assert (job(), job()) == ("value", "value")


def test_a_result_that_cannot_be_kept_is_told_as_such(app: Payonce) -> None:
    """A duplicate of a finished run whose value can't be rebuilt hears so, or gets None."""

    @app.job(key="k")
    def job() -> object:
        return Opaque()

    assert isinstance(job(), Opaque)
    with suppress(PayonceError):
        assert job() is None


@pytest.mark.parametrize(
    ("hint", "value"), [(str, None), (str, 5), (int, "x"), (Opaque, {"a": 1}), (Any, float("inf"))]
)
def test_a_wrong_annotation_loses_no_answer(hint: Any, value: Any) -> None:
    """A plain value comes back as it was, whatever its function had promised."""
    assert decode(encode(value, hint), hint) == value


def test_a_class_that_cannot_be_found_again_is_a_value_error() -> None:
    """A local class, or one that a deploy moved, is refused in the way that steps understand."""

    @dataclass
    class Local:
        n: int

    payload = encode(Local(1))
    with pytest.raises(ValueError, match="Local"):
        decode(payload)


def test_two_databases_of_one_name_are_both_watched(app: Payonce, tmp_path: Path) -> None:
    """A change of either wakes the run."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        with closing(sqlite3.connect(tmp_path / folder / "data.db")) as user:
            user.execute("CREATE TABLE courses (id)")
        app.watch(f"sqlite:///{tmp_path}/{folder}/data.db")

    @app.job(key="k")
    def job() -> str:
        with closing(sqlite3.connect(tmp_path / "a" / "data.db")) as user:
            user.execute("SELECT outline FROM courses")
        return "done"

    with pytest.raises(PayonceError):
        job()
    with closing(sqlite3.connect(tmp_path / "a" / "data.db")) as user:
        user.execute("ALTER TABLE courses ADD COLUMN outline")
    assert job() == "done"


def test_a_sync_step_with_an_async_look_up_is_refused(app: Payonce) -> None:
    """Nobody would await it: its coroutine would be taken for the answer."""

    async def look() -> str:
        return "billed"

    with pytest.raises(ConfigError):

        @app.step(verify=look)
        def pay() -> None: ...


def test_an_async_check_is_refused(app: Payonce) -> None:
    """Nobody would await it: each answer would pass."""

    async def check(_: object) -> bool:
        return False

    with pytest.raises(ConfigError):

        @app.step(check=check)
        async def pay() -> None: ...


def _deployed(app: Payonce, version: int, sent: list[int], *, fail: bool) -> Any:
    if version == 1:

        @app.step(name="pay")
        def pay(n: int) -> int:
            sent.append(n)
            return n

        @app.job(key="{n}", name="job", backoff=1)
        def job(n: int) -> int:
            pay(n)
            raise ConnectionResetError("reset")

        return job

    @app.step(name="pay")
    def pay_more(n: int, language: str = "en") -> int:
        sent.append(n)
        return n

    @app.job(key="{n}", name="job", backoff=1)
    def more(n: int, level: str = "easy") -> int:
        return pay_more(n)

    return more


def test_a_new_argument_with_a_default_changes_no_run(app: Payonce, clock: Clock) -> None:
    """A deploy that adds one goes on with the runs that are under way, and pays nothing again."""
    sent: list[int] = []
    with pytest.raises(RetryLater):
        _deployed(app, 1, sent, fail=True)(1)
    clock.move(3600)
    assert _deployed(app, 2, sent, fail=False)(1) == 1
    assert sent == [1]


def test_a_step_cancelled_while_it_was_intended_can_be_asked_again(live: Payonce) -> None:
    """A call that was never made is released; the same attempt may make it."""
    file = live.store.removeprefix("sqlite:///")
    sent = []

    @live.step
    async def ask() -> str:
        sent.append(1)
        return "answer"

    @live.job(key="k")
    async def job() -> str:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            task = asyncio.ensure_future(ask())
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            other.execute("ROLLBACK")
        return await ask()

    assert asyncio.run(job()) == "answer"  # type: ignore[arg-type]
    assert (len(sent), states(live)) == (1, ["released", "paid"])


@pytest.mark.slow
def test_three_kills_after_a_replayed_step_are_three_kills(tmp_path: Path) -> None:
    """The place where a process died is the last step it reached, replayed or not."""
    store = f"sqlite:///{tmp_path}/journal.db"
    for _ in range(3):
        assert ended(started(DIES_LATER, store)) == -signal.SIGKILL
    app = Payonce(store, version="1")

    @app.job(key="k", name="job")
    def job() -> None:
        raise AssertionError("it was killed three times already")

    with pytest.raises(PayonceError, match="outline"):
        job()
    assert only_run(app).state == "parked"
    app.close()


def test_a_pause_has_its_cap_after_any_number_of_tries() -> None:
    """Thousands of attempts overflow nothing."""
    assert backoff(5000, Limits(backoff_most=300.0), 0.5) == 150.0


def test_arguments_that_are_ignored_are_not_named(app: Payonce) -> None:
    """A refusal names what made it one."""

    @app.job(key="k", ignore_args=["trace"])
    def job(level: int, trace: str) -> None: ...

    job(1, "a")
    with pytest.raises(KeyReused) as reused:
        job(2, "b")
    assert reused.value.names == ("level",)


def test_a_step_that_does_not_take_its_arguments_was_not_called(app: Payonce) -> None:
    """Arguments that don't fit leave no call in doubt."""

    @app.step
    def pay(n: int) -> None: ...

    @app.job(key="k")
    def job() -> None:
        pay(1, 2, m=3)  # type: ignore[call-arg]

    def short() -> None:
        pay()  # type: ignore[call-arg]

    app.job(key="short", name="short")(short)
    with pytest.raises(PayonceError):
        app.again(app.jobs["short"], b"{}")
    run = app.journal.find("short", "short")
    assert run is not None
    assert app.journal.calls(run.id) == []


def test_a_database_of_an_odd_name_is_watched(app: Payonce, tmp_path: Path) -> None:
    """A file's name may hold the signs that part one database from the next."""
    file = tmp_path / "a+b=c.db"
    app.watch(f"sqlite:///{file}")
    job = app.job(key="k", name="job")(lambda: None)
    assert job() is None
    before = app.world(app.jobs["job"])
    assert not moved(before, World(before.code, before.schema.replace("=absent", "=?")))
    with closing(sqlite3.connect(file)) as user:
        user.execute("CREATE TABLE courses (id)")
    assert moved(before, app.world(app.jobs["job"]))


def test_variable_arguments_are_kept(app: Payonce) -> None:
    """A job with `*ids` and `**options` can be called again."""
    got: list[Any] = []

    @app.job(key="k", name="job")
    def job(*ids: int, **options: str) -> None:
        got.append((ids, options))

    job(1, 2, level="easy")
    run = only_run(app)
    registered = app.jobs["job"]
    registered.call(registered.again(run.arguments))
    assert got[0] == got[1] == ((1, 2), {"level": "easy"})
    assert calls(app) == []


def test_two_versions_side_by_side_do_not_wake_in_turn(tmp_path: Path) -> None:
    """A run that failed under both is woken by neither again, only by a third world."""
    tried: list[str] = []

    def deliver(version: str) -> str:
        app = Payonce(f"sqlite:///{tmp_path}/journal.db", version=version)

        @app.job(key="k", name="job", on_park="hold")
        def job() -> str:
            tried.append(version)
            if version != "3":
                raise KeyError("outline")
            return "done"

        with closing(app):
            try:
                return job()
            except PayonceError as told:
                return type(told).__name__

    assert [deliver(version) for version in "121212"] == ["Parked"] * 6
    assert tried == ["1", "2"]
    assert deliver("3") == "done"


@pytest.mark.parametrize("cap", [{"attempts": 0}, {"sends": 0}, {"wait": -1}, {"backoff": -0.1}])
def test_a_cap_below_its_least_is_refused(app: Payonce, cap: dict[str, Any]) -> None:
    """A job that could never be attempted is refused when it is defined."""
    with pytest.raises(ConfigError, match=next(iter(cap))):
        app.job(key="k", **cap)(lambda: None)
