"""Edge, inside `capture`: streams of JSON values, one a line, split at any chunk border.

Format: https://github.com/ndjson/ndjson-spec
"""

from __future__ import annotations

from payonce.capture.sse import Event

CONTENT_TYPES = ("application/x-ndjson", "application/stream+json", "application/jsonl")


class Splitter:
    """Cuts a byte stream into lines; what is not yet a whole line is kept back."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Event]:
        """The lines that this chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [Event(line + b"\n", "", line.strip()) for line in lines]
