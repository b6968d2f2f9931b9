"""How long a look at the alarms takes over a ledger of 1,000,000 entries.

    python bench/alarms.py [--calls N] [--only sqlite|postgres] [--json]

The ledger is that of `bench/why.py`: 30 days, 5 jobs, 20 tenants. It is looked at by the default
rules, and by a floor so low that each job and tenant passes it: then the first look of an hour
learns what was ordinary for all of them, the looks after it don't. Told are medians of three, in
seconds on the clock; the journal's clock stands at the 20th day.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psycopg
from bench.children import machine
from bench.why import SINCE, STORM_DAY, statements
from tests.databases.postgres import NoPostgres, postgres

from payonce.alarm import Alarms
from payonce.alarming import Alarming
from payonce.journal import journal_at
from payonce.ledger import DAY

NOW = SINCE + (STORM_DAY + 8) * DAY
ROUNDS, PER_RUN = 3, 20
RULES = {"by default": Alarms(), "all pass the floor": Alarms(floor="0.001 USD")}


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="payonce-alarms-") as folder:
        result["machine"] = machine(Path(folder))
        if given.only != "postgres":
            result["sqlite"] = _sqlite(Path(folder) / "journal.db", given.calls)
        if given.only != "sqlite":
            result["postgres"] = _postgres(given.calls)
    print(json.dumps(result, indent=2))


def _sqlite(file: Path, calls: int) -> dict[str, Any]:
    def do(filling: Iterator[str]) -> None:
        with closing(sqlite3.connect(file)) as db, db:
            for sql in filling:
                db.execute(sql)

    return _filled(f"sqlite:///{file}", do, "sqlite", calls)


def _postgres(calls: int) -> dict[str, Any] | None:
    try:
        with postgres(fsync="on", full_page_writes="on", shared_buffers="256MB") as server:
            url = server.database()

            def do(filling: Iterator[str]) -> None:
                with psycopg.connect(url, autocommit=True) as db:
                    db.execute("SET session_replication_role = replica")
                    for sql in filling:
                        db.execute(sql.encode())
                    db.execute("VACUUM ANALYZE")

            return _filled(url, do, "postgres", calls)
    except NoPostgres:
        return None


def _filled(
    url: str, do: Callable[[Iterator[str]], None], dialect: str, calls: int
) -> dict[str, Any]:
    print(f"filling: {dialect} …", file=sys.stderr, flush=True)
    journal = journal_at(url)
    journal.find("", "")  # makes the tables
    journal.stop()
    do(statements(dialect, calls // PER_RUN, PER_RUN))
    print(f"measuring: {dialect} …", file=sys.stderr, flush=True)
    journal = journal_at(url, clock=lambda: NOW)
    journal.find("", "")
    try:
        return {name: _seconds(journal, rules) for name, rules in RULES.items()}
    finally:
        journal.stop()


def _seconds(journal: Any, rules: Alarms) -> dict[str, float]:
    first, later = [], []
    told = 0
    for _ in range(ROUNDS):
        looking = Alarming(None)
        for seconds in (first, later):
            began = time.perf_counter()
            told = len(list(looking.found(journal, rules)))
            seconds.append(time.perf_counter() - began)
    return {
        "first look of an hour": round(statistics.median(first), 3),
        "looks after it": round(statistics.median(later), 3),
        "told": told,
    }


if __name__ == "__main__":
    main()
