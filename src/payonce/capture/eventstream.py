"""Edge, inside `capture`: Amazon's binary event streams, split at any chunk border.

Format: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html
"""

from __future__ import annotations

import struct
from zlib import crc32

from payonce.capture.sse import Event

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_PRELUDE = struct.Struct(">III")
_CHECKSUM = 4
_LARGEST = 25 * 1024 * 1024
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_STRING = 7


class Splitter:
    """Cuts a byte stream into events; what is not yet a whole event is kept back.

    An event's name is its type; one that tells a failure is called "exception" or "error". Bytes
    that are no event stream stay where they are, so such a stream has no finish event.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._broken = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        self._rest += chunk
        events = []
        while raw := self._message():
            events.append(_event(raw))
        return events

    def _message(self) -> bytes:
        if self._broken or len(self._rest) < _PRELUDE.size:
            return b""
        length, _, checksum = _PRELUDE.unpack_from(self._rest)
        if crc32(self._rest[: _PRELUDE.size - _CHECKSUM]) != checksum or length > _LARGEST:
            self._broken = True
            return b""
        if len(self._rest) < length:
            return b""
        raw = bytes(self._rest[:length])
        del self._rest[:length]
        return raw


def _event(raw: bytes) -> Event:
    _, size, _ = _PRELUDE.unpack_from(raw)
    headers = _headers(raw[_PRELUDE.size : _PRELUDE.size + size])
    payload = raw[_PRELUDE.size + size : -_CHECKSUM]
    kind = headers.get(":message-type", "event")
    if kind == "event":
        return Event(raw, headers.get(":event-type", ""), payload)
    code = headers.get(":exception-type") or headers.get(":error-code", "")
    return Event(raw, kind, payload, code)


def _headers(block: bytes) -> dict[str, str]:
    """The headers that are texts; the others are passed over."""
    headers, at = {}, 0
    while at < len(block):
        named = at + 1 + block[at]
        name, kind = block[at + 1 : named].decode("utf-8", "replace"), block[named]
        at = named + 1
        if kind in _FIXED:
            at += _FIXED[kind]
            continue
        end = at + 2 + int.from_bytes(block[at : at + 2], "big")
        if kind == _STRING:
            headers[name] = block[at + 2 : end].decode("utf-8", "replace")
        at = end
    return headers
