"""Fleets of real workers under harm; the provider's bill is the witness.

`CHAOS_SEEDS` and `CHAOS_RUNS` make more of it: see `make chaos`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.chaos import promises
from tests.chaos.fleet import Attack, attacked
from tests.databases.postgres import PostgresServer
from tests.journal.stores import PostgresStore, Store

from payonce.journal import journal_at
from payonce.model import CallState, RunState

SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "1").split()]
RUNS = int(os.environ.get("CHAOS_RUNS", "40"))
JOBS = ("one_by_one", "in_threads", "in_tasks", "by_sdk", "completed")
AT_EACH_POINT = {
    # point: how often the second text is billed, in doubt, and how many attempts there are
    "before-open": (1, 0, 1),
    "in-open": (1, 0, 1),
    "after-open": (1, 0, 2),
    "before-intent": (1, 0, 2),
    "in-intent": (1, 0, 2),
    "after-intent": (1, 1, 2),
    "half-sent": (1, 1, 2),
    "sent": (2, 1, 2),
    "billed": (2, 1, 2),
    "answered": (2, 1, 2),
    "last-byte": (2, 1, 2),
    "before-receipt": (2, 1, 2),
    "in-receipt": (2, 1, 2),
    "after-receipt": (1, 0, 2),
    "before-close": (1, 0, 2),
    "in-close": (1, 0, 2),
    "after-close": (1, 0, 1),
    "before-ack": (1, 0, 1),
}
ONCE_A_RUN = ("open", "close", "ack")


def _held(
    folder: Path,
    store: Store,
    attack: Attack,
    outage: Callable[[random.Random], None] | None = None,
) -> None:
    store.execute("CREATE TABLE courses (name TEXT)")
    outcome = attacked(folder, store.url, attack, outage)
    journal = journal_at(store.url)
    try:
        counts = promises.hold(outcome, journal, store)
    finally:
        journal.stop()
    print(f"\n{attack}: {counts}, {outcome.deliveries} deliveries")


@pytest.mark.slow
def test_a_worker_killed_at_each_named_point(tmp_path: Path, store: Store) -> None:
    """One worker, killed once at each point of a course's second step, leaves exactly what the
    promises allow: a doubt where the call may have been sent, else nothing at all."""
    store.execute("CREATE TABLE courses (name TEXT)")
    script = tuple((p, 0 if p.endswith(ONCE_A_RUN) else 1) for p in AT_EACH_POINT)
    attack = Attack(0, len(script), ("one_by_one",), script=script, workers=1, lanes=1)
    outcome = attacked(tmp_path, store.url, attack)
    assert outcome.crashes == len(script)
    billed = Counter(call.label for call in outcome.bill)
    journal = journal_at(store.url)
    found = {}
    for number, point in enumerate(AT_EACH_POINT):
        run = journal.find("one_by_one", f"course-{number}")
        assert run is not None
        assert run.state is RunState.DONE
        doubts = sum(call.state is CallState.IN_DOUBT for call in journal.calls(run.id))
        found[point] = (billed[f"{run.key}-two"], doubts, run.attempt)
    promises.hold(outcome, journal, store)
    journal.stop()
    assert found == AT_EACH_POINT


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_workers_killed_at_named_points(tmp_path: Path, store: Store, seed: int) -> None:
    """Workers that die at named points pay nothing in silence, and every run ends."""
    attack = Attack(seed, RUNS, JOBS, points=tuple(AT_EACH_POINT), crashes=RUNS // 2)
    _held(tmp_path, store, attack)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_workers_killed_and_stopped_at_any_moment(tmp_path: Path, store: Store, seed: int) -> None:
    """Neither do workers that are killed, or stopped for longer than their lease, at random."""
    attack = Attack(seed, RUNS, JOBS, crashes=RUNS // 3, stops=RUNS // 8, lease=1)
    _held(tmp_path, store, attack)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_killed_at_any_moment(
    tmp_path: Path, postgres_server: PostgresServer, seed: int
) -> None:
    """Neither do workers whose PostgreSQL is killed and comes back, again and again."""
    store = PostgresStore(postgres_server, tmp_path)

    def outage(chance: random.Random) -> None:
        postgres_server.kill()
        time.sleep(chance.uniform(0, 0.5))
        postgres_server.restart()

    _held(tmp_path, store, Attack(seed, RUNS, JOBS, outages=RUNS // 10, lease=8), outage)
    store.stop()
