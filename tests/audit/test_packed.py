"""Packed files, archives and Parquet: the same storm is found in them, and bombs do no harm."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard
from tests.audit import queue_writers as queues
from tests.audit import spend_writers as spend
from tests.audit.asking import audited, told
from tests.audit.packing import zipped
from tests.audit.queue_writers import lines
from tests.audit.work import accident, month

LOG = lines(spend.litellm(month())).encode()
WASTED = 60
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "bzip2 twice": lambda text: bz2.compress(text[:5000]) + bz2.compress(text[5000:]),
    "xz twice": lambda text: lzma.compress(text[:5000]) + b"\0" * 8 + lzma.compress(text[5000:]),
    "zip": lambda text: zipped(rows=text),
    "zip of gzip": lambda text: zipped(rows=gzip.compress(text)),
}


@pytest.mark.parametrize("name", PACKERS)
def test_what_is_packed_is_read(name: str, tmp_path: Path) -> None:
    """Each packing is known by its first bytes, whatever the file is called."""
    file = tmp_path / "file.txt"
    file.write_bytes(PACKERS[name](LOG))
    (storm,) = audited(file).storms
    assert (storm["calls"], storm["wasted_calls"]) == (63, WASTED)


def test_each_file_of_an_archive_is_told_of(tmp_path: Path) -> None:
    """An archive's files are sources of their own; folders and hidden files are passed over."""
    file = tmp_path / "logs.zip"
    file.write_bytes(
        zipped(
            day__queue=lines(queues.cloud_tasks(month())).encode(),
            day__rows=LOG,
            notes=b"Dear all,\nno news.\n",
            inner=zipped(a=LOG),
            **{".rows": LOG, "a__.b__rows": LOG},
        )
    )
    found = audited(file)
    told_of = {each["path"]: each for each in found.document["sources"]}
    names = ("day/queue", "day/rows", "notes", "inner")
    assert list(told_of) == [f"{file}:{name}" for name in names]
    assert told_of[f"{file}:notes"]["error"] == "not of a format that is known"
    assert "inside of another file" in told_of[f"{file}:inner"]["error"]
    (storm,) = found.storms
    assert (storm["task"], storm["deliveries"], storm["wasted_calls"]) == ("course-42", 21, WASTED)


def test_a_locked_file_is_told_of(tmp_path: Path) -> None:
    """A file with a password, or of a packing nobody knows, is named; the others are read."""
    for flag, place, why in ((1, 6, "locked with a password"), (77, 8, "packed in a rare way")):
        data = bytearray(zipped(a=LOG, b=LOG))
        second = data.index(b"PK\x03\x04", 4)
        entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
        struct.pack_into("<H", data, second + place, flag)
        struct.pack_into("<H", data, entry + place + 2, flag)
        file = tmp_path / "file.zip"
        file.write_bytes(bytes(data))
        found = audited(file)
        assert [each["error"] for each in found.document["sources"]] == [None, why]
        assert [storm["wasted_calls"] for storm in found.storms] == [WASTED]


def test_a_damaged_file_of_an_archive_is_told_of(tmp_path: Path) -> None:
    """Bytes that are changed in one file of an archive cost that file alone."""
    data = bytearray(zipped(a=LOG, b=LOG))
    data[60:90] = bytes(30)
    file = tmp_path / "file.zip"
    file.write_bytes(bytes(data))
    found = audited(file)
    why = [each["error"] for each in found.document["sources"]]
    assert "breaks off" in why[0]
    assert why[1] is None
    assert [storm["wasted_calls"] for storm in found.storms] == [WASTED]


def test_more_files_than_are_bearable_are_counted(tmp_path: Path) -> None:
    """Of an archive with more than 10,000 files the rest is told of, and not read."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for n in range(10_007):
            archive.writestr(str(n), b"")
    file = tmp_path / "file.zip"
    file.write_bytes(held.getvalue())
    code, out, _ = told(file)
    assert code == 2
    assert "not read: 7 more files in this archive" in out
    assert "more files: not read: nothing is in it" in out


@pytest.mark.parametrize("pack", [lzma.compress, zstandard.compress])
def test_a_bomb_is_cut_off(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """What unpacks to more than a thousand times its size is left there, and that is said."""
    file = tmp_path / "file"
    file.write_bytes(pack((b"nothing to see here " * 400 + b"\n") * 8_000))
    (tmp_path / "good").write_bytes(LOG)
    found = audited(file, tmp_path / "good")
    bomb = found.source(file)
    assert bomb["notes"] == ["unpacks to more than 1,000 times its size: the rest was left out"]
    assert 4_000 < bomb["rows"] < 7_000
    assert [storm["wasted_calls"] for storm in found.storms] == [WASTED]


def _parquet(file: Path, rows: Sequence[dict[str, Any]], columns: str = "*") -> Path:
    """Write rows as Parquet, by DuckDB; columns are chosen as SQL does."""
    source = file.with_suffix(".jsonl")
    source.write_text(lines(rows))
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {columns} FROM read_json('{source}')) TO '{file}' (FORMAT parquet)"
        )
    source.unlink()
    return file


def _blob(work: Sequence[Any]) -> list[dict[str, Any]]:
    """Langfuse's export with what it nests as texts, as columns of a table have it."""
    nested = ("usage_details", "cost_details")
    return [
        {k: json.dumps(v) if k in nested else v for k, v in row.items()}
        for row in spend.langfuse_blob(work)
    ]


def test_parquet_of_spend_logs_is_read(tmp_path: Path) -> None:
    """Typed columns, times and nested metadata are read as the rows on lines are."""
    for n, as_text in enumerate((True, False)):
        rows = list(spend.litellm(month(), as_text=as_text))
        columns = '* REPLACE ("startTime"::TIMESTAMP AS "startTime", spend::DECIMAL(18,9) AS spend)'
        file = _parquet(tmp_path / f"{n}.parquet", rows, columns)
        found = audited(file)
        (storm,) = found.storms
        assert (storm["calls"], storm["wasted_usd"]) == (63, "0.0075")
        source = found.source(file)
        assert (source["rows"], source["skipped"], source["error"]) == (len(rows), [], None)


def test_parquet_of_langfuse_is_read(tmp_path: Path) -> None:
    """Traces and observations in files of their own, with usage and cost as texts of JSON."""
    rows = _blob(month())
    traces = [row for row in rows if "type" not in row]
    observations = [row for row in rows if "type" in row]
    files = [
        _parquet(tmp_path / "traces.parquet", traces),
        _parquet(tmp_path / "observations.parquet", observations),
    ]
    (storm,) = audited(*files).storms
    assert (storm["deliveries"], storm["calls"], storm["wasted_calls"]) == (21, 63, WASTED)
    assert (storm["cost_usd"], storm["input_tokens"]) == ("0.007875", 63 * 417)


def test_parquet_of_any_columns_is_mapped(tmp_path: Path) -> None:
    """With --map the columns may have any names, and structs inside."""
    file = _parquet(tmp_path / "rows.parquet", list(spend.mapped(month())))
    fields = "time=ts,task=job.id,attempt=job.try,cost=usd,prompt=text,error=failure"
    (storm,) = audited(file, "--map", fields).storms
    assert (storm["deliveries"], storm["wasted_calls"]) == (21, WASTED)
    assert "its fields might be --map time=ts,task=job.id" in audited(file).source(file)["error"]


def test_parquet_in_an_archive_and_under_a_name_like_a_pattern(tmp_path: Path) -> None:
    """It may be packed in a zip archive, and its name may look like a pattern of names."""
    rows = list(spend.litellm(accident()))
    file = _parquet(tmp_path / "a.parquet", rows)
    content = file.read_bytes()
    (tmp_path / "x.zip").write_bytes(zipped(rows=content))
    file.rename(tmp_path / "[a]*.parquet")
    for path in (tmp_path / "x.zip", tmp_path / "[a]*.parquet"):
        assert [storm["wasted_calls"] for storm in audited(path).storms] == [WASTED]
    (tmp_path / "cut.parquet").write_bytes(content[: len(content) // 2])
    why = audited(tmp_path / "cut.parquet").source(tmp_path / "cut.parquet")["error"]
    assert why.startswith("a Parquet file that can't be read: ")
    assert "payonce-audit-" not in why
