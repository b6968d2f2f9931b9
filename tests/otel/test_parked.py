"""The runs that are parked now, as a gauge."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.otel.asking import word
from tests.otel.conftest import Telemetry

import payonce
from payonce.otel import parked
from payonce.waking import wake

GAUGE = "payonce.parked.runs"


@pytest.fixture
def school(tmp_path: Path) -> Path:
    """A user's database, whose table lacks a column."""
    path = tmp_path / "school.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE courses (id)")
    return path


@pytest.fixture
def deliver(make_app: Callable[..., payonce.Payonce], school: Path) -> Callable[[int], str]:
    """Delivers runs that write to it."""
    app = make_app(look_every=None)

    @app.job(key="{n}", name="course", breaker=None)
    def course(n: int) -> None:
        with closing(sqlite3.connect(school)) as db, db:
            db.execute("INSERT INTO courses (id, outline) VALUES (?, '')", (n,))

    @app.step
    def charge(n: int) -> None:
        raise ConnectionResetError("cut")

    @app.job(key="{n}", name="order", breaker=None, backoff=0, wait=1)
    def order(n: int) -> None:
        charge(n)

    def deliver(n: int) -> str:
        return word(course if n < 10 else order, n)

    deliver.app = app  # type: ignore[attr-defined]
    return deliver


def test_a_gauge_tells_what_is_parked_now(
    deliver: Callable[[int], str],
    school: Path,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By job, kind and what would let it go on; what has gone on is told as nothing."""
    monkeypatch.setattr(parked, "_FRESH", 0.0)
    app: payonce.Payonce = deliver.app  # type: ignore[attr-defined]
    app.observe(telemetry.observer(journal=app.journal))
    assert telemetry.points(GAUGE) == []
    assert [deliver(n) for n in (1, 2, 3, 10, 10)] == [*["Parked"] * 3, "RetryLater", "Parked"]
    told = {by["payonce.job"]: (by["payonce.wakes_on"], n) for by, n in telemetry.points(GAUGE)}
    assert told == {"course": ("schema,code", 3), "order": ("person", 1)}
    with closing(sqlite3.connect(school)) as db, db:
        db.execute("ALTER TABLE courses ADD COLUMN outline")
    assert {each.outcome for each in wake(app, job="course", force=True)} == {"done"}
    assert telemetry.total(GAUGE, {"payonce.job": "course"}) == 0
    assert telemetry.total(GAUGE) == 1


def test_it_is_read_now_and_then(deliver: Callable[[int], str], telemetry: Telemetry) -> None:
    """However often metrics are exported: what was found is told for a while."""
    app: payonce.Payonce = deliver.app  # type: ignore[attr-defined]
    app.observe(telemetry.observer(journal=app.journal))
    assert deliver(1) == "Parked"
    assert telemetry.total(GAUGE) == 1
    assert deliver(2) == "Parked"
    assert telemetry.total(GAUGE) == 1


def test_more_than_a_read_lists_is_told_as_that(
    deliver: Callable[[int], str], telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read has a bound, however many are parked."""
    monkeypatch.setattr(parked, "MOST", 2)
    app: payonce.Payonce = deliver.app  # type: ignore[attr-defined]
    app.observe(telemetry.observer(journal=app.journal))
    for n in range(4):
        assert deliver(n) == "Parked"
    assert telemetry.total(GAUGE) == 2


def test_a_journal_that_cannot_be_read_harms_no_metric(
    deliver: Callable[[int], str],
    telemetry: Telemetry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says so once, and the others are exported."""
    monkeypatch.setattr(parked, "_FRESH", 0.0)
    app: payonce.Payonce = deliver.app  # type: ignore[attr-defined]
    app.observe(telemetry.observer(journal=app.journal))
    assert deliver(1) == "Parked"
    app.close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db, db:
        db.execute("ALTER TABLE payonce_runs RENAME TO elsewhere")
    with caplog.at_level(logging.WARNING, "payonce"):
        assert telemetry.points(GAUGE) == []
        assert telemetry.total("payonce.deliveries") == 1
    assert caplog.text.count("parked runs could not be counted") == 1
