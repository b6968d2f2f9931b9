"""How long `payonce why` takes over a journal of 1,000,000 calls.

    python bench/why.py [--calls N] [--only sqlite|postgres] [--json]

Two shapes are filled in bulk, each 30 days long, with 20 tenants and 5 jobs: runs of twenty calls,
and runs of one. On one day there is a storm: a run of 20,000 calls that parked and was delivered
2,000 times more. One call of a thousand is wasted, one of five thousand is in doubt. The command is
a process of its own each time, as a person starts it, of modules that were compiled before, as pip
does it. Told are medians of three, in seconds: on the clock, and of the processor (with the
server's on PostgreSQL), which changes less where the machine has other work. The last of each line
is the least on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import statistics
import subprocess
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
from tests.databases.postgres import NoPostgres, postgres

from payonce.journal import journal_at
from payonce.ledger import DAY

DAYS = 30
SINCE = 1_778_976_000.0  # 17 May 2026
STORM_DAY, STORM_CALLS, STORM_DELIVERIES = 12, 20_000, 2_000
ROUNDS = 3
SERIES = {
    "sqlite": """
        (WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
        SELECT i FROM n) AS n""",
    "postgres": "generate_series({first}, {last}) AS n(i)",
}
RUNS = """
    INSERT INTO payonce_runs (id, job, key, tenant, state, attempt, tries, arguments,
        arguments_fingerprint, reason, created_at, updated_at)
    SELECT i, 'generate_' || (i % 5), 'course:' || i, 'tenant ' || (i % 20),
        CASE WHEN i % 500 = 7 THEN 'parked' ELSE 'done' END, 1, 1, {arguments}, 'args',
        CASE WHEN i % 500 = 7 THEN 'no such column' END, {run_at}, {run_at}
    FROM {n}
"""
ATTEMPTS = """
    INSERT INTO payonce_attempts (run_id, number, owner, world_code, world_schema, started_at,
        ended_at, outcome)
    SELECT i, 1, 'one', '1', 'app=abc', {run_at}, {run_at}, 'done' FROM {n}
"""
DELIVERIES = """
    INSERT INTO payonce_deliveries (run_id, attempt, at, queue, answer)
    SELECT i, 1, {run_at}, 'cloud-tasks', 'done' FROM {n}
"""
CALLS = """
    INSERT INTO payonce_calls (id, run_id, attempt, step_key, occurrence, send, name, source,
        state, model, cost_nanos, started_at, ended_at, reason, answer_id)
    SELECT i, {run}, 1, 'step:' || i, 0, 1, 'openai POST /v1/responses', 'capture',
        CASE WHEN i % 5000 = 3 THEN 'in_doubt' ELSE 'paid' END, 'gpt-5-mini', 700000 + i % 1000,
        {call_at}, {call_at}, CASE WHEN i % 5000 = 3 THEN 'read timeout' END,
        CASE WHEN i % 5000 = 3 THEN NULL ELSE 1 END
    FROM {n}
"""
ENTRIES = """
    INSERT INTO payonce_entries (at, kind, run_id, attempt, call_id, job, key, tenant, step,
        source, model, nanos, currency, began)
    SELECT {call_at}, {kind}, {run}, 1, i, 'generate_' || ({run} % 5), 'course:' || {run},
        'tenant ' || ({run} % 20), 'openai POST /v1/responses', 'capture', 'gpt-5-mini',
        700000 + i % 1000, 'USD', {call_at}
    FROM {n} {where}
"""
SETTLED = {"kind": "CASE WHEN i % 5000 = 3 THEN 'doubt' ELSE 'settle' END", "where": ""}
WASTED = {"kind": "'waste'", "where": "WHERE i % 1000 = 1"}


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="payonce-why-") as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{folder}/compiled"
        result["machine"] = machine(Path(folder))
        for per_run in (20, 1):
            runs = given.calls // per_run
            file = Path(folder) / "journal.db"
            if given.only != "postgres":
                result[f"sqlite, {runs:,} runs"] = _sqlite(file, runs, per_run)
            if given.only != "sqlite":
                result[f"postgres, {runs:,} runs"] = _postgres(runs, per_run)
    print(json.dumps(result, indent=2) if given.json else _page(result))


def _sqlite(file: Path, runs: int, per_run: int) -> dict[str, Any]:
    url = f"sqlite:///{file}"

    def do(statements: Iterator[str]) -> None:
        with closing(sqlite3.connect(file)) as db, db:
            for sql in statements:
                db.execute(sql)

    try:
        return _filled(url, do, runs, per_run)
    finally:
        for part in file.parent.glob("journal.db*"):
            part.unlink() if part.is_file() else None


def _postgres(runs: int, per_run: int) -> dict[str, Any] | None:
    try:
        with postgres(fsync="on", full_page_writes="on", shared_buffers="256MB") as server:
            url = server.database()
            pid = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])

            def do(statements: Iterator[str]) -> None:
                with psycopg.connect(url, autocommit=True) as db:
                    db.execute("SET session_replication_role = replica")
                    for sql in statements:
                        db.execute(sql.encode())
                    db.execute("VACUUM ANALYZE")

            return _filled(url, do, runs, per_run, pid)
    except NoPostgres:
        return None


def _filled(
    url: str,
    do: Callable[[Iterator[str]], None],
    runs: int,
    per_run: int,
    server: int | None = None,
) -> dict[str, Any]:
    dialect = "sqlite" if server is None else "postgres"
    print(f"filling: {dialect}, {runs:,} runs …", file=sys.stderr, flush=True)
    journal = journal_at(url)
    journal.find("", "")  # makes the tables
    journal.stop()
    do(statements(dialect, runs, per_run))
    print(f"measuring: {dialect}, {runs:,} runs …", file=sys.stderr, flush=True)
    day = time.strftime("%Y-%m-%d", time.gmtime(SINCE + 5 * DAY))
    storm = time.strftime("%Y-%m-%d", time.gmtime(SINCE + STORM_DAY * DAY))
    begin = time.strftime("%Y-%m-%d", time.gmtime(SINCE))
    asked = {
        "a day": ("--day", day),
        "the storm's day": ("--day", storm),
        "all 30 days": ("--since", begin, "--until", "2026-07-01"),
        "30 days of a tenant": ("--since", begin, "--until", "2026-07-01", "--tenant", "tenant 3"),
        "a run": ("--run", f"course:{runs // 2}"),
    }
    found: dict[str, Any] = {name: _seconds(url, given, server) for name, given in asked.items()}
    return found | {"sentence": _told(url, asked["the storm's day"])}


def statements(dialect: str, runs: int, per_run: int) -> Iterator[str]:
    """All rows, in the order of time; the storm is the last run."""
    calls, storm, storm_at = runs * per_run, runs + 1, SINCE + STORM_DAY * DAY + 3600
    told = {
        "arguments": "'{}'" if dialect == "postgres" else "x'7b7d'",
        "run_at": f"{SINCE} + i * {DAYS * DAY} / {runs}",
        "call_at": f"{SINCE} + i * {DAYS * DAY} / {calls}",
        "run": f"((i - 1) / {per_run} + 1)",
    }

    def series(first: int, last: int) -> str:
        return SERIES[dialect].format(first=first, last=last)

    body = "decode('22', 'hex')" if dialect == "postgres" else "x'22'"
    yield f"INSERT INTO payonce_payloads (id, codec, body) VALUES (1, 'json', {body})"
    for insert in (RUNS, ATTEMPTS, DELIVERIES):
        yield insert.format(n=series(1, runs), **told)
    yield CALLS.format(n=series(1, calls), **told)
    for kind in (SETTLED, WASTED):
        yield ENTRIES.format(n=series(1, calls), **told, **kind)
    at = {"run_at": f"{storm_at} + i * 0", "call_at": f"{storm_at} + i * 0.01", "run": str(storm)}
    told |= at
    for insert in (RUNS, ATTEMPTS):
        yield insert.format(n=series(storm, storm), **told)
    yield (
        f"UPDATE payonce_runs SET state = 'parked', reason = 'no such column' WHERE id = {storm}"
    )
    yield CALLS.format(n=series(calls + 1, calls + STORM_CALLS), **told)
    yield ENTRIES.format(n=series(calls + 1, calls + STORM_CALLS), **told, **SETTLED)
    again = series(0, STORM_DELIVERIES)
    yield f"""
        INSERT INTO payonce_deliveries (run_id, attempt, at, queue, message, answer)
        SELECT {storm}, CASE WHEN i = 0 THEN 1 END, {storm_at} + i * 10, 'cloud-tasks', 'q/storm',
            'park'
        FROM {again}
    """


def _seconds(url: str, arguments: tuple[str, ...], server: int | None) -> list[float]:
    clock, processor = [], []
    _told(url, arguments)
    for _ in range(ROUNDS):
        before, since = _used(server), time.perf_counter()
        _told(url, arguments)
        clock.append(time.perf_counter() - since)
        processor.append(_used(server) - before)
    found = (statistics.median(clock), statistics.median(processor), min(clock))
    return [round(each, 2) for each in found]


def _used(server: int | None) -> float:
    """Seconds of the processor that processes which have ended took, those of a server too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    if server is not None:
        time.sleep(0.2)  # the postmaster has to see that they ended
        stat = Path(f"/proc/{server}/stat").read_text("ascii").rpartition(")")[2].split()
        ticks = int(stat[13]) + int(stat[14])
    return used.ru_utime + used.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def _told(url: str, arguments: tuple[str, ...]) -> str:
    command = [sys.executable, "-m", "payonce", "why", "--store", url, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]


def _page(result: dict[str, Any]) -> str:
    lines = [json.dumps(result.pop("machine"))]
    for name, found in result.items():
        lines.append(f"\n{name}")
        lines += [f"  {what:24} {value}" for what, value in (found or {"": "no server"}).items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
