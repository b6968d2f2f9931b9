"""Edge, inside `capture`: server-sent events, split at any chunk border.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CONTENT_TYPE = "text/event-stream"

_BLANK_LINE = re.compile(rb"(?:\r\n|\r(?!\n)|\n)(?:\r\n|\r|\n)")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_OVERLAP = 3


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its bytes as they came, blank line included, its name and its data.

    `code` is the provider's word for what failed, where the framing itself has a place for it.
    """

    raw: bytes
    name: str
    data: bytes
    code: str = ""


class Splitter:
    """Cuts a byte stream into events; what is not yet a whole event is kept back."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._seen = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        self._rest += chunk
        events, start = [], 0
        while end := _BLANK_LINE.search(self._rest, max(start, self._seen - _OVERLAP)):
            events.append(_event(bytes(self._rest[start : end.end()])))
            start = self._seen = end.end()
        del self._rest[:start]
        self._seen = len(self._rest)
        return events


def _event(raw: bytes) -> Event:
    name, data = "message", []
    for line in _LINE_END.split(raw.removeprefix(b"\xef\xbb\xbf")):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
    return Event(raw, name, b"\n".join(data))
