"""Reading, for `audit`: the whole of an audit, from files to findings."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from payonce.audit.concentration import concentrations
from payonce.audit.findings import Findings, Resent
from payonce.audit.reading import Reader
from payonce.audit.rounds import prompts, repeated, storms_of_prompts
from payonce.audit.source import Source
from payonce.audit.store import Store, store
from payonce.audit.storms import storms_of_tasks, storms_of_urls
from payonce.errors import ConfigError

MEMORY_MB = 512
_MOST = 200


def audit(
    paths: Sequence[str],
    *,
    mapping: Mapping[str, str] | None = None,
    least: int = 3,
    memory_mb: int = MEMORY_MB,
    sees: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Findings:
    """Read files and say what of the money in them was spent for nothing.

    Args:
        paths: files; what can't be read is told in the findings, and never raised.
        mapping: names in records by the field that they stand for; see `formats.mapped.FIELDS`.
        least: failed deliveries, or payments of one prompt, from which on they are a finding.
        memory_mb: MiB that DuckDB may use; beyond, it goes to disk.
        sees: told what is being done, and how much of all bytes is.

    Raises:
        ConfigError: DuckDB is not installed, or has not the memory or the disk that it needs.
    """
    sources = [Source(number, path) for number, path in enumerate(paths)]
    sizes = [_size(path) for path in paths]
    done, total = 0, sum(sizes)
    with store(memory_mb) as opened:
        reader = Reader(opened, mapping or {})
        for source, size in zip(sources, sizes, strict=True):
            begun = done

            def read(at: int, path: str = source.path, begun: int = begun) -> None:
                sees(path, begun + at, total)

            reader.read(source, read)
            done += size
            sees(source.path, done, total)
        sees("Putting it together", total, total)
        return _put_together(opened, sources, least)


def _put_together(opened: Store, sources: list[Source], least: int) -> Findings:
    import duckdb

    try:
        opened.run_all("otlp_close")
        opened.run_all("join")
        return _findings(opened, sources, least)
    except duckdb.Error as exc:
        raise ConfigError(
            f"DuckDB can't put it together: {str(exc).splitlines()[0][:200]}",
            "Allow it more with --memory, and see to room in the temporary folder ($TMPDIR).",
        ) from exc


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _findings(opened: Store, sources: list[Source], least: int) -> Findings:
    paths = {source.number: source.path for source in sources}
    kinds = {source.number: source.kinds for source in sources}
    storms, left_out = storms_of_tasks(opened, least, _MOST)
    storms += storms_of_urls(opened, least, _MOST, storms)
    paid = prompts(opened, least, _MOST)
    storms += storms_of_prompts(paid, storms)
    rows = [*opened.rows("ask", "buckets"), *opened.rows("ask", "periods")]
    totals = opened.rows("ask", "totals")
    return Findings(
        sources,
        sorted(storms, key=lambda storm: (-(storm.wasted or 0), -storm.failed, storm.name)),
        list(concentrations(rows, kinds)),
        repeated(paid, paths),
        [_resent(row, paths) for row in opened.rows("ask", "resends")],
        left_out=left_out,
        **_totals(totals),
    )


def _resent(row: tuple[Any, ...], paths: dict[int, str]) -> Resent:
    source, calls, sends, paid = row
    return Resent(
        paths[source], calls, sends, f"{sends:,} sends more than the {paid:,} answers that it has"
    )


def _totals(rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Of calls and deliveries, those of the source that has the most; money by currency."""
    calls = [row for row in rows if row[1] == "calls"]
    cost: dict[str, int] = {}
    for row in calls:
        if row[3] is not None:
            cost[row[4]] = cost.get(row[4], 0) + row[3]
    return {
        "calls": sum(row[2] or 0 for row in calls),
        "cost": cost,
        "unknown_cost": sum(row[5] or 0 for row in calls),
        "deliveries": sum(row[2] or 0 for row in rows if row[1] == "deliveries"),
    }
