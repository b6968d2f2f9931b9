"""Edge, inside `capture`: HTTP answers as receipts, and what their status says of the bill; pure.

What is kept of an answer is its status, its body as it came (still encoded), and those of its
headers that are named here; so no cookie and no key of anybody gets into the journal.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from payonce.capture.wire import ReadEvent, Seen, read_events, read_whole
from payonce.failure.providers import CODES
from payonce.journal.payload import grow
from payonce.model import CallState, Kind, Payload, Receipt

CODEC = "http"
Headers = Sequence[tuple[str, str]]

_KEPT = frozenset(
    {
        *("content-type", "content-encoding", "content-length", "date"),
        *("request-id", "retry-after"),
    }
)
_KEPT_TOO = ("openai-", "anthropic-", "x-request-id", "x-ratelimit-")
_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
_MAYBE_BILLED = frozenset({408, 424, 499})
_SURELY_NOT_BILLED = frozenset({503, 529})
_LARGEST = 64 * 1024 * 1024


class Stored(msgspec.Struct, frozen=True):
    """An answer as a receipt has it; the body is encoded as its content-encoding says."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Read:
    """An answer and what was read out of it; `plain` is its decoded body, to look texts up in."""

    stored: Stored
    seen: Seen
    plain: bytes

    def receipt(self) -> Receipt:
        """The receipt that keeps it."""
        payload = Payload(CODEC, msgspec.msgpack.encode(self.stored))
        return Receipt(payload, model=self.seen.model, usage=self.seen.usage)


def read_answer(event: ReadEvent | None, status: int, headers: Headers, body: bytes) -> Read:
    """Read an answer that came in one piece; nothing is read where no format is known.

    A stream that ended without its finish event has the error "cut".
    """
    stored, seen = _stored(status, headers, body), Seen()
    plain = decoded(headers, body)
    if event is None:
        return Read(stored, seen, plain)
    if not _is_stream(headers):
        read_whole(plain, seen)
        return Read(stored, seen, _readable(plain))
    read_events(event, plain, seen)
    if seen.error is None and not seen.finished:
        seen.error = "cut"
    return Read(stored, seen, _with_text(plain, seen))


def read_stream(status: int, headers: Headers, body: bytes, seen: Seen) -> Read:
    """Put together what was read out of a stream, event by event."""
    return Read(_stored(status, headers, body), seen, _with_text(body, seen))


def unpack(payload: Payload) -> Stored:
    """The answer that a receipt keeps.

    Raises:
        ValueError: the receipt keeps something else.
    """
    payload = grow(payload)
    if payload.codec != CODEC:
        raise ValueError(payload.body[:200].decode("utf-8", "replace"))
    try:
        return msgspec.msgpack.decode(payload.body, type=Stored)
    except msgspec.MsgspecError as exc:
        raise ValueError(str(exc)) from exc


def header(headers: Headers, name: str) -> str:
    """A header's value in lower case; empty where it is missing."""
    return next((value.lower() for key, value in headers if key.lower() == name), "")


def end_to_end(headers: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Headers without those that belong to the connection; names may be bytes."""
    return [(key, value) for key, value in headers if _name(key) not in _HOP_BY_HOP]


def is_events(headers: Headers) -> bool:
    """Whether an answer is a stream of events that can be read as it comes."""
    return _is_stream(headers) and header(headers, "content-encoding") in ("", "identity")


def bill_of(status: int) -> CallState:
    """What a status that is no success says of the bill: released, or in doubt.

    Sources: the providers' error references; a gateway's 500, 502 and 504 may come after the
    provider has answered, and 408, 424 and 499 after it has worked.
    """
    if status in _SURELY_NOT_BILLED or (status < 500 and status not in _MAYBE_BILLED):
        return CallState.RELEASED
    return CallState.IN_DOUBT


def is_hopeless(headers: Headers, body: bytes) -> bool:
    """Whether a refusal's own code says that repetition can't help, such as a quota used up."""
    try:
        refusal = msgspec.json.decode(decoded(headers, body), type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    words = (refusal.error.code, refusal.error.type, refusal.error.details.error_code)
    return any(
        isinstance(word, str) and word in CODES and CODES[word][0] is Kind.DETERMINISTIC
        for word in words
    )


class _Details(msgspec.Struct):
    error_code: Any = None


class _Error(msgspec.Struct):
    code: Any = None
    type: Any = None
    details: _Details = msgspec.field(default_factory=_Details)


class _Refusal(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


def decoded(headers: Headers, body: bytes) -> bytes:
    """The body without its content-encoding; as it is where that can't be undone."""
    for coding in reversed(header(headers, "content-encoding").split(",")):
        try:
            body = _undone(coding.strip(), body)
        except Exception:  # each codec fails in its own way, and to read is only a courtesy
            return body
    return body


def _undone(coding: str, body: bytes) -> bytes:
    match coding:
        case "gzip" | "x-gzip":
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, _LARGEST)
        case "deflate":
            raw = zlib.MAX_WBITS if body[:1] == b"\x78" else -zlib.MAX_WBITS
            return zlib.decompressobj(raw).decompress(body, _LARGEST)
        case "zstd":
            import zstandard

            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
        case "br":
            import brotli  # type: ignore[import-not-found,import-untyped,unused-ignore]

            return bytes(brotli.decompress(body))
        case _:
            return body


def _stored(status: int, headers: Headers, body: bytes) -> Stored:
    kept = tuple((key.lower(), value) for key, value in headers if _is_kept(key.lower()))
    return Stored(status, kept, body)


def _is_stream(headers: Headers) -> bool:
    return header(headers, "content-type").startswith("text/event-stream")


def _with_text(plain: bytes, seen: Seen) -> bytes:
    """A stream with its text in one piece behind it, so that it is found."""
    return b"%b\n%b" % (plain, msgspec.json.encode("".join(seen.texts)))


def _is_kept(name: str) -> bool:
    return name in _KEPT or name.startswith(_KEPT_TOO)


def _name(key: str | bytes) -> str:
    return (key.decode("latin-1") if isinstance(key, bytes) else key).lower()


def _readable(plain: bytes) -> bytes:
    """JSON with its letters as they are, so that a text is found in it."""
    if b"\\u" not in plain:
        return plain
    try:
        return msgspec.json.encode(msgspec.json.decode(plain))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return plain
