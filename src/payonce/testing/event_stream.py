"""Testing: AWS's binary framing of events (`application/vnd.amazon.eventstream`); pure.

A message is its length, the length of its headers and their CRC, the headers, the payload, and the
CRC of all of that. Source: "Event stream encoding" in the developer guide of Amazon Transcribe.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping

from payonce.testing.asking import Body

KIND = "application/vnd.amazon.eventstream"
_STRING = 7
_PRELUDE = 12
_CRC = 4


def framed(name: str, payload: Body) -> bytes:
    """One event."""
    return _message({":event-type": name, ":message-type": "event"}, payload)


def framed_exception(name: str, payload: Body) -> bytes:
    """One modelled exception, such as `modelStreamErrorException`."""
    return _message({":exception-type": name, ":message-type": "exception"}, payload)


def _message(headers: Mapping[str, str], payload: Body) -> bytes:
    content = json.dumps(payload, ensure_ascii=False).encode()
    named = {**headers, ":content-type": "application/json"}
    head = b"".join(_header(name, value) for name, value in named.items())
    size = _PRELUDE + len(head) + len(content) + _CRC
    prelude = struct.pack("!II", size, len(head))
    message = prelude + _crc(prelude) + head + content
    return message + _crc(message)


def _header(name: str, value: str) -> bytes:
    key, said = name.encode(), value.encode()
    return struct.pack("!B", len(key)) + key + struct.pack("!BH", _STRING, len(said)) + said


def _crc(data: bytes) -> bytes:
    return struct.pack("!I", zlib.crc32(data))
