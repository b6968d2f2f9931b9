"""Decision: what is kept of a request, so that a later one can be held against it.

A sketch has a line for each JSON path: a hash, the beginning of the value, and where the value is
long the times, numbers and ids in it, for these are what differs between two runs of the same
code. Secrets are masked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from payonce.fingerprint import canonical
from payonce.redact import MASK, names_secret, redact

SHORT = 80
"""Characters of a text that are kept."""
MOST_LINES = 200
MOST_WORDS = 32
LONGEST_LIST = 32
"""A longer list of plain values is one line."""
LARGEST = 256 * 1024
"""Bytes of a body up to which it is looked through for times."""
LONGEST = 16 * 1024
"""Characters of a text that are looked through for words with digits."""
BODY = "(body)"
"""The path of a body that is no JSON."""

# Each begins with a plain sign, which is what makes a search through a long prompt fast.
_MINUTES = re.compile(rb":[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?(?!\d)")
_SECONDS = re.compile(rb"1[4-9]\d{8}(?:\d{3}|\d{6}|\d{9}|\.\d+)?(?!\d)")
_HOUR = re.compile(rb"(?:\d{4}-\d\d-\d\d[T ])?(?<!\d)\d\d?$")
_LONGEST_HOUR = 13
_WORD = re.compile(r"[0-9][\w.:+-]*")


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One JSON path; `words` are the words with digits of a value that is longer than `value`."""

    path: str
    print: bytes
    value: Any
    words: tuple[str, ...] = ()


class Sketch(msgspec.Struct, frozen=True, array_like=True):
    """A request; `timeless` is equal for requests that differ in nothing but times."""

    timeless: bytes
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What differs at one path; None where one of the two has nothing there."""

    path: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return f"{self.path}: {self.old or 'nothing'} → {self.new or 'nothing'}"


def sketch(content_type: str, body: bytes, ignore: Sequence[str] = ()) -> Sketch:
    """Draw a request; its parameters are those of `fingerprint.of_request`."""
    plain = canonical(content_type, body, ignore)
    timeless = _print(_timeless(plain)) if len(plain) <= LARGEST else b""
    try:
        parsed = msgspec.json.decode(plain)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Sketch(timeless, (Line(BODY, _print(plain), f"{len(plain)} bytes"),))
    return Sketch(timeless, tuple(_line(*each) for each in _leaves(parsed)))


def changes(old: Sketch, new: Sketch) -> list[Change]:
    """The paths at which two sketches differ, with what was there and what is."""
    before = {line.path: line for line in old.lines}
    after = {line.path: line for line in new.lines}
    return [
        _change(path, before.get(path), after.get(path))
        for path in before | after
        if _print_of(before.get(path)) != _print_of(after.get(path))
    ]


def likeness(old: Sketch, new: Sketch) -> float:
    """How much of two requests is the same, from 0 to 1; 0 where they ask different models."""
    before = {line.path: line.print for line in old.lines}
    after = {line.path: line.print for line in new.lines}
    if before.get("model") != after.get("model"):
        return 0.0
    same = sum(after.get(path) == print_ for path, print_ in before.items())
    return same / max(1, len(before | after))


def without(one: Sketch, ignore: Sequence[str]) -> list[tuple[str, bytes]]:
    """A sketch's paths and hashes, but for the paths that are ignored."""
    patterns = [path.split(".") for path in ignore]
    return [
        (line.path, line.print)
        for line in one.lines
        if not any(_matches(line.path.split("."), pattern) for pattern in patterns)
    ]


def _timeless(plain: bytes) -> bytes:
    """A body without times of day and their dates, nor seconds since 1970 (from 2014 on).

    A date alone is no time: code that works on one day after the other is common.
    """
    parts, done = [], 0
    for minutes in _MINUTES.finditer(plain):
        start = minutes.start()
        hour = _HOUR.search(plain[max(done, start - _LONGEST_HOUR) : start])
        if hour is not None:
            parts += [plain[done : start - len(hour[0])], b"<time>"]
            done = minutes.end()
    return _SECONDS.sub(b"<time>", b"".join((*parts, plain[done:])))


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    if len(path) < len(pattern):
        return False
    return all(want in ("*", got) for want, got in zip(pattern, path, strict=False))


def _leaves(parsed: Any) -> Iterator[tuple[str, Any]]:
    """The plain values of a JSON value by path, in their order; too many become one line each."""
    waiting, found = [("", parsed)], 0
    while waiting:
        path, value = waiting.pop()
        full = found + len(waiting) >= MOST_LINES
        if isinstance(value, dict) and value and not full:
            waiting += [(f"{path}.{key}", each) for key, each in reversed(value.items())]
        elif isinstance(value, list) and value and not full and not _is_plain(value):
            waiting += [(f"{path}.{n}", value[n]) for n in range(len(value) - 1, -1, -1)]
        else:
            found += 1
            yield path[1:] or BODY, value


def _is_plain(values: list[Any]) -> bool:
    return len(values) > LONGEST_LIST and not isinstance(values[0], dict | list)


def _line(path: str, value: Any) -> Line:
    if isinstance(value, str):
        return _text_line(path, value)
    if isinstance(value, dict | list):
        raw = msgspec.json.encode(value, order="sorted")
        return Line(
            path, _print(raw), f"{type(value).__name__} of {len(value)}" if value else value
        )
    return Line(path, _print(repr(value).encode()), _masked(path, value))


def _text_line(path: str, text: str) -> Line:
    raw = b'"' + text.encode("utf-8", "backslashreplace")
    if names_secret(path.rpartition(".")[2]):
        return Line(path, _print(raw), MASK)
    if len(text) <= SHORT:
        return Line(path, _print(raw), redact(text))
    plain = redact(text[:LONGEST])
    words = tuple(islice((match[0] for match in _WORD.finditer(plain)), MOST_WORDS + 1))
    return Line(path, _print(raw), plain[:SHORT], words if len(words) <= MOST_WORDS else ())


def _masked(path: str, value: Any) -> Any:
    return MASK if value is not None and names_secret(path.rpartition(".")[2]) else value


def _print(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()[:8]


def _print_of(line: Line | None) -> bytes | None:
    return None if line is None else line.print


def _change(path: str, old: Line | None, new: Line | None) -> Change:
    if old is not None and new is not None and len(old.words) == len(new.words):
        both = zip(old.words, new.words, strict=True)
        pairs = list(dict.fromkeys((a, b) for a, b in both if a != b))
        if pairs:
            return Change(path, *(" ".join(words) for words in zip(*pairs, strict=True)))
    return Change(path, _shown(old), _shown(new))


def _shown(line: Line | None) -> str | None:
    if line is None:
        return None
    shown = msgspec.json.encode(line.value).decode()
    return f'{shown[:-1]}…"' if line.words or len(str(line.value)) >= SHORT else shown
