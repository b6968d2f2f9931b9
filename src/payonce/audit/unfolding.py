"""Reading, for `audit`: a JSON document of any size, record by record.

An array gives its elements; a document that holds its records in a list (`data`, `observations`,
`resourceSpans`, …) gives these, and then what else it has. What is no JSON is passed over, up to
where the next record begins; a document that breaks off gives the records before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

from payonce.audit.decoding import LONGEST

LISTS = frozenset(
    ("data", "observations", "resourceSpans", "resource_spans", "batches", "entries", "items",
     "records", "logs", "traces")
)  # fmt: skip
"""Names of lists that hold records, at the top of a document."""

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SPACE = re.compile(r"[\s,]*")
_NEXT = re.compile(r"\}\s*,?\s*(?=\{)")
_KEPT = 1_000_000
_TELLING = '"trace"'
"""What is worth a record of its own beside a document's list; the rest tells of its pages."""


class _Text:
    """A text that is read on when it is needed; `at` is where the reading stands."""

    def __init__(self, given: Iterable[str]) -> None:
        self._given = iter(given)
        self.text, self.at = "", 0

    def more(self) -> bool:
        """Read on; False at the end."""
        piece = next(self._given, None)
        if piece is None:
            return False
        self.text, self.at = self.text[self.at :] + piece, 0
        return True

    def peek(self) -> str:
        """The next character that is no space and no comma; "" at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def value(self) -> str | None:
        """The next value as it is written; None where it is no JSON, or breaks off."""
        while True:
            try:
                _, end = _DECODER.raw_decode(self.text, self.at)
            except (ValueError, RecursionError) as exc:
                whole = isinstance(exc, json.JSONDecodeError) and not _is_cut(exc, self.text)
                too_long = len(self.text) - self.at > LONGEST
                if whole or too_long or isinstance(exc, RecursionError) or not self.more():
                    return None
            else:
                if end == len(self.text) and self.more():
                    continue
                found, self.at = self.text[self.at : end], end
                return found

    def pass_over(self) -> bool:
        """Go to where the next record seems to begin; False if there is none."""
        while True:
            match = _NEXT.search(self.text, self.at)
            if match is not None:
                self.at = match.end()
                return True
            self.at = max(self.at, len(self.text) - 64)
            before = len(self.text) - self.at
            if not self.more() or len(self.text) == before:
                self.at = len(self.text)
                return False


def _is_cut(exc: json.JSONDecodeError, text: str) -> bool:
    """Whether a value goes on behind the end of what has been read, as far as one can tell."""
    return exc.msg.startswith("Unterminated string") or exc.pos >= len(text) - 16


def unfolded(given: Iterable[str], skip: Callable[[str], None]) -> Iterator[str]:
    """The records of one document, or of several behind one another, each on a line.

    Args:
        given: the text, in pieces.
        skip: told why, once for each stretch that was passed over.
    """
    text = _Text(given)
    while start := text.peek():
        if start == "[":
            text.at += 1
            yield from _elements(text, skip)
        elif start == "{":
            yield from _members(text, skip)
        elif start in "]}":
            text.at += 1
        elif text.value() is None:
            skip("no JSON")
            if not text.pass_over():
                return


def _elements(text: _Text, skip: Callable[[str], None]) -> Iterator[str]:
    """Each element of a list, up to its closing bracket."""
    while start := text.peek():
        if start == "]":
            text.at += 1
            return
        found = text.value()
        if found is not None:
            yield _line(found)
        elif not _went_on(text, skip):
            return
    skip("the document breaks off")


def _went_on(text: _Text, skip: Callable[[str], None]) -> bool:
    went_on = text.pass_over()
    skip("no JSON" if went_on else "no JSON up to the end: the document is cut or damaged")
    return went_on


def _members(text: _Text, skip: Callable[[str], None]) -> Iterator[str]:
    """The records in a document's lists; where it has none, it is a record itself."""
    text.at += 1
    rest: dict[str, str] = {}
    listed = False
    while (start := text.peek()) != "}":
        name = text.value() if start == '"' else None
        if name is None or text.peek() != ":":
            if start:
                _went_on(text, skip)
            else:
                skip("the document breaks off")
            break
        text.at += 1
        if json.loads(name) in LISTS and text.peek() == "[":
            text.at, listed = text.at + 1, True
            yield from _elements(text, skip)
            continue
        found = text.value() if text.peek() else None
        if found is None:
            _went_on(text, skip)
            break
        if len(found) <= _KEPT:
            rest[name] = _line(found)
    else:
        text.at += 1
    if rest and (not listed or _TELLING in rest):
        yield "{" + ",".join(f"{name}:{found}" for name, found in rest.items()) + "}"


def _line(found: str) -> str:
    return found.replace("\n", " ").replace("\r", " ")
