"""How often a run is tried: every retry is capped, and what can't get better is not repeated."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pytest
from tests.journal.programs import ended, started
from tests.journal.stores import Clock
from tests.path.looking import calls, only_run

from payonce import Parked, Payonce, RetryLater
from payonce.journal.protocol import RunFilter
from payonce.model import Kind, WakesOn

DIES = """
import os, signal, sys
from payonce import NOT_PAID, Payonce
app = Payonce(sys.argv[1], version="1")

@app.step(name="outline")
def outline() -> str:
    return "outline"

@app.step(name="render", verify=lambda: NOT_PAID)
def render() -> str:
    os.kill(os.getpid(), signal.SIGKILL)

@app.job(key="k", name="job")
def job() -> str:
    return outline() + render()

job()
"""


class Odd(Exception):
    """Nobody knows what this means."""


def test_attempts_are_capped(app: Payonce, clock: Clock) -> None:
    """A failure that time could mend is tried `attempts` times; then the run parks."""
    sent = []

    @app.job(key="k", attempts=3)
    def job() -> None:
        sent.append(1)
        raise ConnectionResetError("reset")

    for _ in range(2):
        with pytest.raises(RetryLater):
            job()
        clock.move(3600)
    with pytest.raises(Parked):
        job()
    with pytest.raises(Parked):
        job()
    assert (len(sent), only_run(app).state) == (3, "parked")


def test_the_back_off_doubles_up_to_its_cap(app: Payonce, clock: Clock) -> None:
    """Each pause is at most twice as long as the one before could be."""

    @app.job(key="k", attempts=12, backoff=100)
    def job() -> None:
        raise ConnectionResetError("reset")

    for number in range(1, 6):
        with pytest.raises(RetryLater) as retry:
            job()
        assert 0 <= retry.value.after <= min(300, 100 * 2 ** (number - 1))
        assert only_run(app).retry_at == pytest.approx(clock.now + retry.value.after)
        clock.move(3600)


def test_an_unknown_failure_gets_one_more_chance(app: Payonce, clock: Clock) -> None:
    """The same unknown failure twice in the same world is deterministic, and parks the run."""

    @app.job(key="k")
    def job() -> None:
        raise Odd("what is this")

    with pytest.raises(RetryLater):
        job()
    clock.move(3600)
    with pytest.raises(Parked) as parked:
        job()
    assert parked.value.kind == "deterministic"
    assert parked.value.reason == "the same failure came back: what is this"
    (summary,) = app.journal.runs(RunFilter())
    assert summary.run.kind is Kind.DETERMINISTIC
    assert {WakesOn.CODE, WakesOn.SCHEMA} <= set(summary.run.wakes_on)


def test_a_deterministic_failure_gets_none(app: Payonce, tmp_path: Path) -> None:
    """A missing column parks the run at once, until the schema that is watched changes."""
    db = sqlite3.connect(tmp_path / "user.db", isolation_level=None)
    db.execute("CREATE TABLE courses (id)")
    app.watch(f"sqlite:///{tmp_path}/user.db")
    sent = []

    @app.step
    def pay() -> str:
        sent.append(1)
        return "outline"

    @app.job(key="k")
    def job() -> str:
        outline = pay()
        db.execute("INSERT INTO courses (id, outline) VALUES (1, ?)", (outline,))
        return outline

    for _ in range(3):
        with pytest.raises(Parked):
            job()
    db.execute("ALTER TABLE courses ADD COLUMN outline")
    assert job() == "outline"
    assert (len(sent), only_run(app).attempt, only_run(app).tries) == (1, 2, 1)
    db.close()


@pytest.mark.slow
def test_a_run_whose_process_is_killed_three_times_parks(tmp_path: Path) -> None:
    """Killed at the same step three times without a word, a run is not tried a fourth time."""
    store = f"sqlite:///{tmp_path}/journal.db"
    for _ in range(3):
        assert ended(started(DIES, store)) == -signal.SIGKILL
    app = Payonce(store, version="1")

    @app.step(name="outline")
    def outline() -> str:
        raise AssertionError("it has its receipt")

    @app.job(key="k", name="job")
    def job() -> str:
        return outline()

    with pytest.raises(Parked, match="render") as parked:
        job()
    assert (parked.value.kind, parked.value.paid) == ("deterministic", "unknown")
    told = [(c.name, c.state.value) for c in calls(app)]
    assert told[0] == ("outline", "paid")
    assert told[1:] == [("render", "released")] * 2 + [("render", "in_doubt")]
    assert [a.outcome for a in app.journal.history(1).attempts] == [
        "lost",
        "lost",
        "lost",
        "parked",
    ]
    app.close()
