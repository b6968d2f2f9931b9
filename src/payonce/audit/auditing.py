"""Reading, for `audit`: the whole of an audit, from files to findings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from payonce.audit.concentration import concentrations
from payonce.audit.findings import Findings, Resent
from payonce.audit.reading import Reader
from payonce.audit.rounds import prompts, repeated, storms_of_prompts
from payonce.audit.source import Source
from payonce.audit.store import Store, store
from payonce.audit.storms import storms_of_tasks, storms_of_urls
from payonce.audit.unpacking import MOST_MEMBERS, members_of
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
        paths: files, folders with files, or `-` for what is piped in; what can't be read is told
            in the findings, and never raised.
        mapping: names in records by the field that they stand for; see `formats.mapped.FIELDS`.
        least: failed deliveries, or payments of one prompt, from which on they are a finding.
        memory_mb: MiB that DuckDB may use; beyond, it goes to disk.
        sees: told what is being done, and how much of all bytes is.

    Raises:
        ConfigError: DuckDB is not installed, or has not the memory or the disk that it needs.
    """
    sources = list(_sources(paths))
    sizes = [_size(source) for source in sources]
    done, total = 0, sum(sizes)
    with store(memory_mb) as opened:
        reader = Reader(opened, mapping or {})
        for source, size in zip(sources, sizes, strict=True):
            begun = done

            def read(at: int, path: str = source.name, begun: int = begun) -> None:
                sees(path, begun + at, total)

            reader.read(source, read)
            done += size
            sees(source.name, done, total)
        reader.close()
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


def _files(path: str) -> list[str]:
    """The files in a folder and below, without hidden ones; a file is itself."""
    if not os.path.isdir(path):
        return [path]
    found = []
    for folder, inner, names in os.walk(path):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [os.path.join(folder, name) for name in names if not name.startswith(".")]
    return sorted(found) or [path]


def _sources(paths: Sequence[str]) -> Iterator[Source]:
    """What is to be read: files, and those inside of zip archives."""
    number = count()
    for path in (file for given in paths for file in _files(given)):
        members = members_of(path)
        if members is None:
            yield Source(next(number), path)
            continue
        for member in members[:MOST_MEMBERS]:
            yield Source(next(number), path, member)
        if not members:
            yield Source(next(number), path, trouble="a zip archive without files")
        if more := len(members[MOST_MEMBERS:]):
            why = f"{more:,} more files in this archive; unpack it, and give its folder"
            yield Source(next(number), path, trouble=why)


def _size(source: Source) -> int:
    try:
        member = source.member
        return os.stat(source.path).st_size if member is None else member.compress_size
    except OSError:
        return 0


def _findings(opened: Store, sources: list[Source], least: int) -> Findings:
    paths = {source.number: source.name for source in sources}
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
