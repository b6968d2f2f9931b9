"""How long `payonce audit` takes on large files, and the memory at its peak.

    python bench/audit.py [--mb 1024] [--memory 512] [--kind spendlogs …] [--json]

Each file is written into a temporary folder, audited by a process of its own and removed: LiteLLM
rows on lines, the same as one JSON array, as CSV and as Parquet, OTLP exports, and what the
writers of the tests make. In each is a storm of 21 deliveries, which has to be found.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.audit import queue_writers as queues
from tests.audit import spend_writers as spend
from tests.audit.work import Delivery, accident, delivery

SENT = 'HTTP Request: POST https://api.openai.com/v1/responses "HTTP/1.1 200 OK"'
START = 1_790_000_000.0
PROMPT = "Write a chapter about beekeeping, in plain words, for people who have never seen a hive. "


def spend_row(n: int, at: float, random: Random) -> dict[str, Any]:
    """A row of LiteLLM's SpendLogs, messages included."""
    storm = n < 63
    told = {"spend_logs_metadata": {"task": "course-42" if storm else f"course-{n + 1000}"}}
    began = datetime.fromtimestamp(at, UTC).isoformat(sep=" ").removesuffix("+00:00")
    prompt = f"{n % 3}" if storm else f"{n}:{random.random()}"
    return {
        "request_id": f"chatcmpl-{uuid.UUID(int=random.getrandbits(128))}",
        "call_type": "acompletion",
        "startTime": began,
        "endTime": began,
        "model": "gpt-5-mini",
        "spend": random.randrange(1, 90_000) / 1e7,
        "total_tokens": 470,
        "prompt_tokens": 417,
        "completion_tokens": 53,
        "cache_key": "Cache OFF",
        "cache_hit": "None",
        "status": "success",
        "end_user": "acme" if storm else f"tenant-{n % 50}",
        "custom_llm_provider": "openai",
        "metadata": json.dumps(told),
        "messages": [{"role": "user", "content": PROMPT * 6 + prompt}],
    }


def rows() -> Iterator[dict[str, Any]]:
    """Rows without an end; the first 63 are the storm."""
    random, at = Random(42), START
    n = 0
    while True:
        at += 600 if n < 63 and n % 3 == 0 else 0.4
        yield spend_row(n, at, random)
        n += 1


def spendlogs() -> Iterator[str]:
    """JSON lines."""
    return (json.dumps(row) + "\n" for row in rows())


def document() -> Iterator[str]:
    """One JSON array, which is closed by the writer."""
    yield "["
    for n, row in enumerate(rows()):
        yield (",\n" if n else "") + json.dumps(row, indent=1)


def table() -> Iterator[str]:
    """CSV."""
    for n, row in enumerate(rows()):
        row["messages"] = json.dumps(row["messages"])
        line = io.StringIO()
        writer = csv.writer(line)
        if n == 0:
            writer.writerow(row)
        writer.writerow(row.values())
        yield line.getvalue()


def worker_log() -> Iterator[str]:
    """A Celery worker's log with HTTP lines: each task received, three calls, succeeded or not."""
    random, at, n = Random(42), START, 0
    while True:
        storm = n < 21
        task = str(uuid.UUID(int=42 if storm else random.getrandbits(128)))
        at += 180 if storm else 1
        stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        main, child = f"[{stamp}: INFO/MainProcess] ", f"[{stamp}: INFO/ForkPoolWorker-1] "
        yield f"{main}Task shop.generate_course[{task}] received\n"
        for _ in range(3):
            yield f"{child}{SENT}\n"
            yield f"{child}the chapter has 812 words and the outline 14 points, going on\n"
        if storm:
            wrong = 'UndefinedColumn(\'column "outline" of relation "courses" does not exist\')'
            yield f"{child}Task shop.generate_course[{task}] retry: Retry in 180s: {wrong}\n"
        else:
            yield f"{child}Task shop.generate_course[{task}] succeeded in 1.2s: None\n"
        n += 1


def attribute(key: str, value: str) -> dict[str, Any]:
    """One attribute as OTLP writes it."""
    return {"key": key, "value": {"stringValue": value}}


def spans() -> Iterator[str]:
    """OTLP exports: a delivery's span and three calls in each."""
    random, at, n = Random(42), START, 0
    while True:
        storm = n < 21
        at += 600 if storm else 1
        yield json.dumps({"resourceSpans": [export(n, at, random, storm=storm)]}) + "\n"
        n += 1


def export(n: int, at: float, random: Random, *, storm: bool) -> dict[str, Any]:
    """One delivery's spans."""
    trace, parent = f"{random.getrandbits(128):032x}", f"{random.getrandbits(64):016x}"
    nanos = int(at * 1e9)
    server = {
        "traceId": trace,
        "spanId": parent,
        "name": "POST /tasks/batch",
        "startTimeUnixNano": str(nanos),
        "endTimeUnixNano": str(nanos + 500_000_000),
        "attributes": [
            attribute("http.request.header.x-cloudtasks-taskname", "t-42" if storm else f"c-{n}"),
            attribute("http.response.status_code", "500" if storm else "200"),
        ],
        "status": {"code": 2, "message": 'column "outline" does not exist'} if storm else {},
    }
    calls = [
        {
            "traceId": trace,
            "spanId": f"{random.getrandbits(64):016x}",
            "parentSpanId": parent,
            "name": "chat gpt-5-mini",
            "startTimeUnixNano": str(nanos + 1_000_000 * (step + 1)),
            "endTimeUnixNano": str(nanos + 1_000_000 * (step + 2)),
            "attributes": [
                attribute("gen_ai.operation.name", "chat"),
                attribute("gen_ai.system", "openai"),
                attribute("gen_ai.request.model", "gpt-5-mini"),
                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "417"}},
                {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "53"}},
            ],
        }
        for step in range(3)
    ]
    return {"resource": {"attributes": []}, "scopeSpans": [{"spans": [*calls, server]}]}


def work() -> Iterator[Delivery]:
    """The accident, and then tasks that go well, without an end."""
    yield from accident()
    at = accident()[-1].at
    for n in count():
        at += 10
        yield delivery(f"course-{1000 + n}", 1, at, failed=False)


def of_work(writer: Callable[[list[Delivery]], Iterable[Any]]) -> Callable[[], Iterator[str]]:
    """What a writer of the tests makes of each delivery, on lines."""

    def pieces() -> Iterator[str]:
        for each in work():
            for record in writer([each]):
                yield (record if isinstance(record, str) else json.dumps(record)) + "\n"

    return pieces


def chatty() -> Iterator[str]:
    """An app's log in which a line in twelve tells of a delivery or a call."""
    for line in of_work(queues.app_log)():
        yield line
        stamp = line[:23] if line[:2] == "20" else "2026-09-21 14:13:20,000"
        for n in range(11):
            yield f"{stamp} DEBUG courses: chapter {n} of the outline has 812 words, going on\n"


def copied() -> Iterator[str]:
    """Cloud Tasks' entries as the page with the logs copies them."""
    return (queues.copied(queues.cloud_tasks([each])) for each in work())


MAP = "time=ts,task=job.id,attempt=job.try,cost=usd,model=llm,prompt=text,error=failure"
KINDS: dict[str, tuple[Callable[[], Iterator[str]], str, list[tuple[int, int | None]]]] = {
    "spendlogs": (spendlogs, "", [(21, 60)]),
    "document": (document, "]", [(21, 60)]),
    "table": (table, "", [(21, 60)]),
    "parquet": (spendlogs, "", [(21, 60)]),
    "worker_log": (worker_log, "", [(21, 60)]),
    "spans": (spans, "", [(21, 60)]),
    "app_log": (of_work(queues.app_log), "", [(21, 60)]),
    "chatty_log": (chatty, "", [(21, 60)]),
    "sqs": (of_work(queues.sqs), "", [(21, 60)]),
    "lambda": (of_work(queues.aws_lambda), "", [(21, 60)]),
    "cloud_run_output": (of_work(queues.cloud_run_output), "", [(21, 60)]),
    "cloud_run": (of_work(queues.cloud_run), "", []),
    "cloud_tasks": (of_work(queues.cloud_tasks), "", [(21, None)]),
    "copied": (copied, "", [(21, None)]),
    "langfuse": (of_work(spend.langfuse), "", [(21, 60)]),
    "langfuse_blob": (of_work(spend.langfuse_blob), "", [(21, 60)]),
    "mapped": (of_work(spend.mapped), "", [(21, 60)]),
    "metered": (of_work(spend.metered), "", [(21, 60)]),
}


def as_parquet(path: Path) -> None:
    """Rows on lines, as Parquet in their place."""
    import duckdb

    lines = path.with_name("lines")
    path.rename(lines)
    with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_json('{lines}')) TO '{path}' (FORMAT parquet)"
        )
    lines.unlink()


def write(path: Path, pieces: Iterator[str], end: str, size: int) -> None:
    """Write a file of about so many bytes."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for piece in pieces:
            written += file.write(piece)
            if written >= size:
                break
        file.write(end)


def measured(kind: str, path: Path, memory: int) -> dict[str, Any]:
    """Audit a file in a process of its own; seconds are of the processor, and on the clock."""
    command = [sys.executable, "-m", "payonce", "audit", path, "--json", "--memory", str(memory)]
    command += ["--map", MAP] if kind == "mapped" else []
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    told = json.loads(process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    size, worked = path.stat().st_size / 2**20, used.ru_utime + used.ru_stime
    storms = [(s["deliveries"], s["wasted_calls"]) for s in told["storms"]]
    return {
        "mb": round(size),
        "rows": told["totals"]["rows"],
        "cpu_seconds": round(worked, 1),
        "seconds": round(seconds, 1),
        "mb_per_cpu_second": round(size / worked, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
        "found": storms == KINDS[kind][2],
    }


def main() -> None:
    """Measure each kind and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=int, default=1024)
    parser.add_argument("--memory", type=int, default=512)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", action="store_true")
    words = parser.parse_args()
    figures = {}
    for kind in words.kind:
        pieces, end, _ = KINDS[kind]
        with tempfile.TemporaryDirectory(prefix="payonce-bench-") as folder:
            path = Path(folder) / kind
            write(path, pieces(), end, words.mb * 2**20)
            if kind == "parquet":
                as_parquet(path)
            figures[kind] = measured(kind, path, words.memory)
        if not words.json:
            print(kind, figures[kind], flush=True)
    if words.json:
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
