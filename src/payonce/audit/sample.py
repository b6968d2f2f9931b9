"""Reading, for `audit`: what a piece of a file looks like, to recognise its format by content."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_LINES = 40
_LONGEST = 200_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Some records and some other lines of a piece: from its start, its middle and its end."""

    records: list[dict[str, Any]]
    texts: list[str]

    def any_has(self, *names: str) -> bool:
        """Whether some record has all of these names."""
        return any(all(name in record for name in names) for record in self.records)


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file: how it is called, recognised and read, and what it can't know.

    Args:
        name: what people call it.
        file: its statements, in `sql/`.
        cannot_know: a sentence about what such a file doesn't have, whatever is in it.
        recognise: whether a piece of a file has rows of it.
    """

    name: str
    file: str
    cannot_know: str
    recognise: Callable[[Sample], bool]


def sample_of(piece: str) -> Sample:
    """Look at lines of three places of a piece."""
    records: list[dict[str, Any]] = []
    texts: list[str] = []
    for line in _some_lines(piece):
        if line[:1] == "{":
            try:
                found = json.loads(line, parse_int=str, parse_float=str)
            except (ValueError, RecursionError):
                texts.append(line)
                continue
            records.append(found)
        elif line:
            texts.append(line)
    return Sample(records, texts)


def _some_lines(piece: str) -> Iterator[str]:
    for part in (0, len(piece) // 2, len(piece) * 9 // 10):
        start = part and piece.find("\n", part) + 1
        if part and not start:
            return
        for _ in range(_LINES):
            end = piece.find("\n", start)
            end = len(piece) if end < 0 else end
            if end - start < _LONGEST:
                yield piece[start:end].strip()
            start = end + 1
            if start >= len(piece):
                break
