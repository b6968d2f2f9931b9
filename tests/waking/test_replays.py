"""Alarms over days of spending: none for production traces and daily work, soon for a runaway."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from tests.audit.asking import samples
from tests.journal.stores import SqliteStore
from tests.waking.spending import Paid, replay

HOUR, DAY = 3_600.0, 86_400.0
BEGIN = 20_000 * DAY
READ, WRITTEN = 2.5e-6, 10e-6
"""Dollars for a token: the prices of gpt-4o in 2024, for traces that don't tell their model."""


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SqliteStore]:
    """An empty ledger."""
    store = SqliteStore(tmp_path)
    yield store
    store.stop()


def _trace(name: str) -> list[tuple[float, float]]:
    """Azure's requests of an hour of 2023: seconds since the first, and what each has cost."""
    path = samples() / "azure_llm" / f"AzureLLMInferenceTrace_{name}.csv"
    with path.open(encoding="utf-8") as lines:
        rows = [
            (
                datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp(),
                int(row["ContextTokens"]) * READ + int(row["GeneratedTokens"]) * WRITTEN,
            )
            for row in csv.DictReader(lines)
        ]
    return [(at - rows[0][0], cost) for at, cost in rows]


@pytest.mark.slow
def test_an_hour_of_production_rings_no_alarm(book: SqliteStore) -> None:
    """28,185 requests of two services, 144 dollars within an hour, on a ledger that was empty."""
    paid = [
        Paid(BEGIN + at, cost, job=name, key=f"{name} {n}", tenant=name)
        for name in ("code", "conv")
        for n, (at, cost) in enumerate(_trace(name))
    ]
    assert len(paid) == 28_185
    assert replay(book, paid, BEGIN, BEGIN + 2 * HOUR, 600.0) == {}


@pytest.mark.slow
def test_days_of_production_ring_no_alarm(book: SqliteStore) -> None:
    """The same hour stretched to a day, as bursty as it is, on six days that differ by a third."""
    chance = random.Random(1)
    paid = []
    for day in range(6):
        for name in ("code", "conv"):
            busy = chance.lognormvariate(0, 0.3)
            for n, (at, cost) in enumerate(_trace(name)[::12]):
                when = BEGIN + day * DAY + at * 24
                key = f"{name} {day} {n}"
                paid.append(Paid(when, 12 * cost * busy, job=name, key=key, tenant=name))
    assert replay(book, paid, BEGIN, BEGIN + 6 * DAY, HOUR / 2) == {}


def _weeks(days: int) -> list[Paid]:
    """Work by day and less at weekends, a dear batch each night, a dearer one each Sunday."""
    chance, paid = random.Random(2), []
    for hour in range(days * 24):
        at, day = BEGIN + hour * HOUR, hour // 24
        busy = 1 + math.sin((hour % 24 - 9) / 24 * 2 * math.pi)
        busy *= 0.3 if day % 7 in (5, 6) else 1.0
        for n in range(round(busy * 6 * chance.lognormvariate(0, 0.3))):
            tenant = f"tenant {n % 3}"
            when = at + chance.random() * HOUR
            paid.append(Paid(when, 0.5, key=f"{hour} {n}", tenant=tenant))
        if hour % 24 == 2:
            dear = 60.0 if day % 7 == 6 else 25.0
            job = "weekly" if day % 7 == 6 else "nightly"
            paid.append(Paid(at, dear, job=job, key=f"{job} {day}", tenant="own"))
    return paid


@pytest.mark.slow
def test_daily_and_weekly_work_ring_no_alarm(book: SqliteStore) -> None:
    """In the third and fourth week; the first weekly batch, which nobody has seen yet, does."""
    told = replay(book, _weeks(23), BEGIN, BEGIN + 23 * DAY, HOUR)
    assert {cause for cause, (at, _) in told.items() if at > BEGIN + 7 * DAY} == set()
    assert all("weekly" in cause or "own" in cause for cause in told), told


def test_a_runaway_loop_is_told_of_within_minutes(book: SqliteStore) -> None:
    """After two weeks of such work a run pays a dollar each ten seconds: it is named in minutes."""
    runs_away = BEGIN + 15 * DAY + 11 * HOUR
    loop = [Paid(runs_away + 10 * n, 1.0, key="loop", tenant="tenant 1") for n in range(360)]
    told = replay(book, [*_weeks(15), *loop], runs_away, runs_away + HOUR, 60.0)
    after = {cause.partition(":")[0]: (at - runs_away) / 60 for cause, (at, _) in told.items()}
    assert set(after) == {"most", "spending"}
    assert after["most"] <= 10
    assert after["spending"] <= 10
