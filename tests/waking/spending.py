"""A ledger that was written over days, and what looks at it, every so often, would have told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from tests.journal.stores import Clock, SqliteStore

from payonce.alarm import Alarms
from payonce.alarming import Alarming
from payonce.notices import Notice

DOLLAR = 1_000_000_000
_ADD = (
    "INSERT INTO payonce_entries (at, kind, run_id, attempt, call_id, job, key, tenant, step,"
    " source, nanos, currency, began) VALUES (?, 'settle', ?, 1, ?, ?, ?, ?, 'ask', 'step', ?,"
    " 'USD', ?)"
)


@dataclass(frozen=True, slots=True)
class Paid:
    """One receipt."""

    at: float
    dollars: float
    job: str = "job"
    key: str = "k"
    tenant: str | None = None


def add(store: SqliteStore, receipts: Iterable[Paid]) -> None:
    """Write receipts into the ledger, those of one job and key as one run's."""
    runs: dict[tuple[str, str], int] = {}
    store.journal().ledger.budgets()
    with closing(sqlite3.connect(store.path)) as db, db:
        db.executemany(
            _ADD,
            (
                (
                    *(p.at, runs.setdefault((p.job, p.key), len(runs) + 1), number),
                    *(p.job, p.key, p.tenant, int(p.dollars * DOLLAR), p.at),
                )
                for number, p in enumerate(receipts)
            ),
        )


def replay(
    store: SqliteStore, receipts: Iterable[Paid], since: float, until: float, every: float
) -> dict[str, tuple[float, Notice]]:
    """What was told of first, and when, by looks every so many seconds; by its cause."""
    waiting = sorted(receipts, key=lambda paid: paid.at)
    clock, journal = Clock(), None
    rules, looking = Alarms(), Alarming(None)
    told: dict[str, tuple[float, Notice]] = {}
    add(store, waiting)
    journal = store.journal(clock=clock)
    clock.now = since
    while clock.now <= until:
        for notice in looking.found(journal, rules):
            told.setdefault(notice.cause, (clock.now, notice))
        clock.move(every)
    return told
