"""Reading, for `audit`: each file, piece by piece, into the store's tables."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZipFile

from payonce.audit.decoding import (
    PARQUET,
    Unreadable,
    lines_of,
    opened,
    opened_in,
    starts_with,
    texts,
)
from payonce.audit.formats import FORMATS, app_log, mapped
from payonce.audit.log_lines import IDS
from payonce.audit.log_story import Story
from payonce.audit.loose import is_loose, tightened
from payonce.audit.sample import Format, Sample, sample_of
from payonce.audit.source import Source
from payonce.audit.store import Store
from payonce.audit.unfolding import LISTS, unfolded
from payonce.audit.unpacking import ERRORS

_HEAD = 256 * 1024
_BATCH = 8 * 1024 * 1024
_FLUSH = 5000
_COLUMN = re.compile(r'^"?[A-Za-z_@][\w .%/()@:-]*"?$')
_UNKNOWN = "not of a format that is known"


class Reader:
    """Reads files into a store.

    Args:
        store: where to.
        mapping: fields by name, as `--map` gives them.
    """

    def __init__(self, store: Store, mapping: Mapping[str, str]) -> None:
        self._store, self._mapping = store, mapping
        self._known: dict[tuple[int, int], str] = {}
        self._story: Story | None = None
        self._archive: ZipFile | None = None

    def read(self, source: Source, sees: Callable[[int], None]) -> None:
        """Read a file; what goes wrong is said in the source, and nothing is raised.

        Args:
            source: the file.
            sees: told how many of its bytes have been read.
        """
        import duckdb

        if source.trouble is not None:
            return
        try:
            self._read(source, sees)
        except Unreadable as exc:
            source.trouble = str(exc)
        except duckdb.OutOfMemoryException:
            source.trouble = "needs more memory than --memory allows"
        except duckdb.Error as exc:
            source.trouble = f"DuckDB can't read it: {str(exc).splitlines()[0][:200]}"
        if source.trouble is None and not source.used:
            source.trouble = self._unknown(source) if source.rows else "nothing is in it"

    def _unknown(self, source: Source) -> str:
        if source.proposed is None or self._mapping:
            return _UNKNOWN
        return f"{_UNKNOWN}; its fields might be --map {source.proposed}"

    def _read(self, source: Source, sees: Callable[[int], None]) -> None:
        with self._opened(source) as file:
            if starts_with(file, PARQUET):
                self._parquet(source, file)
                return
            given = texts(file, source.note, sees)
            head = ""
            for text in given:
                head += text
                if len(head) >= _HEAD:
                    break
            self._story = Story(source.number)
            try:
                self._pieces(source, head, chain([head], given))
            finally:
                self._tell(source, last=True)

    def _opened(self, source: Source) -> BinaryIO:
        """A source, if it is none that was read before by another name."""
        if source.member is not None:
            return opened_in(self._archive_at(source.path), source.member, source.note)
        file = opened(Path(source.path))
        found = os.fstat(file.fileno())
        key = (found.st_dev, found.st_ino)
        if key in self._known:
            file.close()
            raise Unreadable(f"the same file as {self._known[key]}")
        self._known[key] = source.path
        return file

    def _archive_at(self, path: str) -> ZipFile:
        """The archive at a path, kept open for its next file."""
        if self._archive is None or self._archive.filename != path:
            self.close()
            try:
                self._archive = ZipFile(path)
            except (OSError, *ERRORS) as exc:
                raise Unreadable("a zip archive that changed while it was read") from exc
        return self._archive

    def close(self) -> None:
        """Close what is kept open."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None

    def _parquet(self, source: Source, file: BinaryIO) -> None:
        """DuckDB reads it: under a name that has no pattern, and that no pipe stands behind."""
        import duckdb

        with tempfile.TemporaryDirectory(dir=self._store.folder) as folder:
            place = Path(folder) / "given.parquet"
            if source.member is None and Path(source.path).is_file():
                place.symlink_to(Path(source.path).absolute())
            else:
                with place.open("wb") as copy:
                    shutil.copyfileobj(file, copy)
            try:
                self._read_in(source, self._store.lines("parquet", str(place)))
            except duckdb.Error as exc:
                if str(place) not in str(exc):
                    raise
                why = str(exc).splitlines()[0].replace(str(place), "it")
                raise Unreadable(f"a Parquet file that can't be read: {why[:200]}") from exc

    def _read_in(self, source: Source, lines: Iterator[str], first: int = 1) -> None:
        """Rows of a table, each as a line of JSON, piece by piece."""
        self._story = Story(source.number)
        try:
            for piece in _batches(lines):
                self._store.run("store", "fill", text=piece, first=first, json=True)
                self._load(source, sample_of(piece), is_json=True)
                first += piece.count("\n")
        finally:
            self._tell(source, last=True)

    def _pieces(self, source: Source, head: str, given: Iterable[str]) -> None:
        if is_table(head):
            self._table(source, given)
            return
        is_json = head.lstrip()[:1] in ("{", "[") and not _is_bracketed_log(head)
        kind = shape(head) if is_json else "lines"
        if kind == "loose":
            pieces = _batches(tightened(given))
        elif kind == "document":
            pieces = _batches(unfolded(given, source.skip))
        else:
            pieces = lines_of(given, source.note)
        first = 1
        for piece in pieces:
            sample = sample_of(piece)
            self._store.run("store", "fill", text=piece, first=first, json=True)
            self._load(source, sample, is_json=is_json)
            first += piece.count("\n")

    def _table(self, source: Source, given: Iterable[str]) -> None:
        """A table is read by DuckDB itself, out of a clean copy."""
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", suffix=".csv", dir=self._store.folder, delete=False, newline=""
        ) as copy:
            for text in given:
                copy.write(text)

        def rejected(rows: list[tuple[Any, ...]]) -> None:
            for why, count, first in rows:
                source.rows += count
                said = why.lower().replace("_", " ")
                source.skip(f"its columns don't fit ({said})", count, first)

        try:
            self._read_in(source, self._store.lines("csv", copy.name, "rejected", rejected), 2)
        finally:
            Path(copy.name).unlink()

    def _load(self, source: Source, sample: Sample, *, is_json: bool) -> None:
        """Take from a piece what the formats of this file find in it."""
        for format_ in self._formats(sample):
            source.is_of(format_)
        if not source.formats and sample.records and source.proposed is None:
            source.proposed = mapped.proposed(sample.records[0])
        self._store.run("store", "begin")
        for format_ in source.formats:
            if format_ is app_log.FORMAT:
                self._log(source)
            else:
                self._records(source, format_)
            self._store.run("store", "mark")
        read, *skipped = self._store.rows("store", "told", json=is_json)
        source.rows += read[0]
        for count, why, first in skipped:
            source.skip(why, count, first)

    def _formats(self, sample: Sample) -> Iterator[Format]:
        found = [each for each in FORMATS if each.recognise(sample)]
        yield from found
        if self._mapping and not found and mapped.FORMAT.recognise(sample):
            yield mapped.FORMAT
        elif mapped.AZURE_FORMAT.recognise(sample):
            yield mapped.AZURE_FORMAT
        if app_log.recognise(sample):
            yield app_log.FORMAT

    def _records(self, source: Source, format_: Format) -> None:
        mapping = mapped.AZURE if format_ is mapped.AZURE_FORMAT else self._mapping
        self._store.run_all(format_.file, source=source.number, paths=mapped.paths(mapping))

    def _log(self, source: Source) -> None:
        assert self._story is not None
        given = {**app_log.GIVEN, "ids": IDS}
        self._store.run("app_log", "staged", **given)
        for _, at, trace, scope, text in self._store.rows("app_log", "lines", **given):
            if self._story.read(at, trace, scope, text) >= _FLUSH:
                self._tell(source)

    def _tell(self, source: Source, *, last: bool = False) -> None:
        assert self._story is not None
        if last:
            self._story.end()
        for table, rows in self._story.taken().items():
            self._store.add("app_log", table, rows)


def is_table(head: str) -> bool:
    """Whether a text starts with the names of columns, and goes on with as many fields."""
    first, _, rest = head.partition("\n")
    mark = max(",;\t", key=first.count)
    names = first.strip().split(mark)
    second = rest.partition("\n")[0]
    return (
        len(names) > 1
        and all(map(_COLUMN.match, map(str.strip, names)))
        and second.count(mark) >= len(names) - 1
    )


def shape(head: str) -> str:
    """How a JSON text is made: "loose", "document" or "lines"."""
    if is_loose(head):
        return "loose"
    if head.lstrip().startswith("["):
        return "document"
    whole = [line for line in head.split("\n")[:20] if line.strip()]
    records = [found for line in whole if (found := _record(line)) is not None]
    if not records or any(LISTS & found.keys() - _OF_SPANS for found in records):
        return "document"
    return "lines"


_OF_SPANS = {"resourceSpans", "resource_spans", "batches"}


def _record(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_bracketed_log(head: str) -> bool:
    """Whether lines begin with a time or a level in brackets, as Celery's do."""
    return re.match(r"\s*\[\s*(?:\d{4}-|\d\d/|[A-Za-z]+\s*\])", head) is not None


def _batches(lines: Iterable[str]) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _BATCH:
            yield "\n".join(held) + "\n"
            held, size = [], 0
    if held:
        yield "\n".join(held) + "\n"
