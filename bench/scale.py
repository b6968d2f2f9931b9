"""How the cost of a step, of a replay, of lists and of pruning grows with what a journal holds.

    python bench/scale.py [--calls 10000,100000,1000000] [--only sqlite|postgres] [--json]

The journal is filled in bulk: runs of a hundred receipts, each with an answer of 600 bytes that
doesn't compress; of a hundred runs one is parked, one waits, the others are done. At each size the
journal's own verbs are timed, one after the other (medians, in milliseconds), and what it takes
on the disk is told. PostgreSQL is a private server that waits for its disk.
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
from tests.databases.postgres import NoPostgres, postgres
from tests.journal.making import closing as closing_of
from tests.journal.making import found, intended, opened, receipt
from tests.journal.making import intent as intent_of

from payonce.journal import journal_at
from payonce.journal.protocol import Journal, RunFilter
from payonce.model import RunState

PER_RUN = 100
BYTES = 600
LONG_AGO = 1_000_000.0
SQLITE = """
WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
{insert} FROM n
"""
POSTGRES = "{insert} FROM generate_series({first}, {last}) AS n(i)"
NOISE = {
    "sqlite": f"randomblob({BYTES})",
    "postgres": "decode((SELECT string_agg(md5(i::text || k::text), '') FROM"
    f" generate_series(1, {BYTES // 16}) AS k), 'hex')",
}
STATE = "CASE i % 100 WHEN 7 THEN 'parked' WHEN 8 THEN 'waiting' ELSE 'done' END"
ROWS = (
    (
        1,
        "INSERT INTO payonce_runs (id, job, key, tenant, state, attempt, tries, arguments,"
        " arguments_fingerprint, reason, created_at, updated_at) SELECT i, 'generate',"
        " 'course:' || i, 'tenant ' || (i % 500), {state}, 1, 1, {arguments}, 'args',"
        " CASE WHEN i % 100 = 7 THEN 'no such column' END, {then} + i, {then} + i",
    ),
    (
        1,
        "INSERT INTO payonce_attempts (run_id, number, owner, world_code, world_schema,"
        " started_at, ended_at, outcome) SELECT i, 1, 'one', '1', 'app=abc', {then} + i,"
        " {then} + i, 'done'",
    ),
    (
        1,
        "INSERT INTO payonce_deliveries (run_id, attempt, at, queue, answer)"
        " SELECT i, 1, {then} + i, 'cloud-tasks', 'done'",
    ),
    (PER_RUN, "INSERT INTO payonce_payloads (id, codec, body) SELECT i, 'json', {noise}"),
    (
        PER_RUN,
        "INSERT INTO payonce_calls (id, run_id, attempt, step_key, occurrence, send, name, source,"
        " state, model, usage, cost_nanos, idempotency_key, started_at, ended_at, answer_id)"
        " SELECT i, (i - 1) / {per_run} + 1, 1, 'step:' || (i % {per_run}), 0, 1,"
        " 'OpenAI POST /v1/responses', 'capture', 'paid', 'gpt-5-mini',"
        " '{{\"input_tokens\": 812, \"output_tokens\": 240}}', 700000, 'payonce-' || i,"
        " {then} + i, {then} + i, i",
    ),
)


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", default="10000,100000,1000000", help="sizes, with commas")
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure (SQLite)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sizes = sorted(int(size) for size in given.calls.split(","))
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="payonce-scale-") as folder:
        result["machine"] = machine(Path(folder))
        if given.only != "postgres":
            result["sqlite"] = list(_sqlite(Path(folder) / "journal.db", sizes))
        if given.only != "sqlite":
            result["postgres"] = list(_postgres(sizes))
    print(json.dumps(result, indent=2) if given.json else _page(result))


def _sqlite(file: Path, sizes: list[int]) -> Iterator[dict[str, Any]]:
    journal = journal_at(f"sqlite:///{file}")

    def do(sql: str) -> None:
        with closing(sqlite3.connect(file)) as db, db:
            db.execute(sql)

    def bytes_() -> dict[str, int]:
        return {"all": journal.about().bytes}

    yield from _grown(journal, "sqlite", sizes, do, bytes_)
    journal.stop()


def _postgres(sizes: list[int]) -> Iterator[dict[str, Any]]:
    try:
        server = postgres(fsync="on", full_page_writes="on", shared_buffers="256MB")
        with server as running:
            url = running.database()
            journal = journal_at(url)

            def do(sql: str) -> None:
                with psycopg.connect(url, autocommit=True) as db:
                    db.execute(sql.encode())

            def bytes_() -> dict[str, int]:
                parts = running.execute(_SIZES, url)
                return {"all": journal.about().bytes} | dict(parts)

            yield from _grown(journal, "postgres", sizes, do, bytes_)
            journal.stop()
    except NoPostgres:
        return


_SIZES = """
SELECT replace(c.relname, 'payonce_', '') || part.name, part.size
FROM pg_class AS c, LATERAL (VALUES
    ('', pg_table_size(c.oid)), (' indexes', pg_indexes_size(c.oid))) AS part (name, size)
WHERE c.relkind = 'r' AND c.relname IN ('payonce_calls', 'payonce_payloads', 'payonce_runs')
"""


def _grown(
    journal: Journal,
    dialect: str,
    sizes: list[int],
    do: Callable[[str], None],
    bytes_: Callable[[], dict[str, int]],
) -> Iterator[dict[str, Any]]:
    journal.find("generate", "none")  # makes the tables
    filled = 0
    for size in sizes:
        print(f"filling: {dialect}, {size:,} calls …", file=sys.stderr, flush=True)
        _fill(do, dialect, filled, size // PER_RUN)
        filled = size // PER_RUN
        if dialect == "postgres":
            do("VACUUM ANALYZE")
            do("SELECT setval('payonce_calls_id_seq', (SELECT max(id) FROM payonce_calls))")
            do("SELECT setval('payonce_payloads_id_seq', (SELECT max(id) FROM payonce_payloads))")
            do("SELECT setval('payonce_runs_id_seq', (SELECT max(id) FROM payonce_runs))")
        print(f"measuring: {dialect}, {size:,} calls …", file=sys.stderr, flush=True)
        kept = bytes_()
        yield {"calls": size, "runs": filled, "bytes": kept} | _measured(journal, filled)


def _fill(do: Callable[[str], None], dialect: str, before: int, runs: int) -> None:
    frame = SQLITE if dialect == "sqlite" else POSTGRES
    # What an earlier size has added beside the bulk makes way.
    for table in ("deliveries", "attempts", "calls"):
        do(f"DELETE FROM payonce_{table} WHERE run_id > {before}")
    do(f"DELETE FROM payonce_runs WHERE id > {before}")
    do(f"DELETE FROM payonce_payloads WHERE id > {before * PER_RUN}")
    for times, insert in ROWS:
        told = insert.format(
            state=STATE,
            arguments="'{}'" if dialect == "postgres" else "x'7b7d'",
            then=LONG_AGO,
            noise=NOISE[dialect],
            per_run=PER_RUN,
        )
        do(frame.format(insert=told, first=before * times + 1, last=runs * times))


def _measured(journal: Journal, runs: int) -> dict[str, Any]:
    some = [runs * n // 97 + 1 for n in range(97)]
    run = opened(journal, "bench")
    steps = [_timed(lambda n=n: _step(journal, run, n)) for n in range(200)]
    journal.close(closing_of(run)).now()
    waiting = [n for n in range(8, runs, max(100, runs // 50 // 100 * 100)) if n % 100 == 8][:20]
    return {
        "step_ms": _median(steps),
        "open_and_replay_100_ms": _median(
            [_timed(lambda n=n: _replay(journal, n)) for n in waiting]
        ),
        "find_ms": _median(
            [_timed(lambda n=n: journal.find("generate", f"course:{n}")) for n in some]
        ),
        "runs_ms": _median([_timed(lambda: journal.runs(RunFilter(limit=20))) for _ in range(5)]),
        "parked_ms": _median(
            [
                _timed(lambda: journal.runs(RunFilter(state=RunState.PARKED, limit=20)))
                for _ in range(5)
            ]
        ),
        "show_key_ms": _median(
            [_timed(lambda n=n: journal.runs(RunFilter(key=f"course:{n}"))) for n in some[:5]]
        ),
        "prune_20_runs_ms": _median(
            [_timed(lambda: journal.prune(2 * LONG_AGO, most=20)) for _ in range(3)]
        ),
    }


def _step(journal: Journal, run: Any, n: int) -> None:
    call_id = intended(journal, run, f"s:{n}")
    journal.complete(call_id, intent_of(run, f"s:{n}"), receipt("x" * BYTES)).now()


def _replay(journal: Journal, number: int) -> None:
    run = opened(journal, f"course:{number}")
    assert len(journal.calls(run.id)) == PER_RUN
    journal.close(closing_of(run, RunState.WAITING)).now()
    assert found(journal, f"course:{number}").attempt > 1


def _timed(call: Callable[[], Any]) -> float:
    since = time.perf_counter()
    call()
    return (time.perf_counter() - since) * 1e3


def _median(found: list[float]) -> float | None:
    return round(statistics.median(found), 3) if found else None


def _page(result: dict[str, Any]) -> str:
    lines = []
    for dialect in ("sqlite", "postgres"):
        for row in result.get(dialect, ()):
            named = {k: v for k, v in row.items() if k not in ("bytes", "calls", "runs")}
            lines.append(f"{dialect}, {row['calls']:,} calls in {row['runs']:,} runs")
            lines += [f"    {name:26} {value!s:>10}" for name, value in named.items()]
            lines += [f"    {n + ' MB':26} {b / 1e6:10.1f}" for n, b in row["bytes"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
