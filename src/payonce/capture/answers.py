"""Edge, inside `capture`: HTTP answers as receipts, and what their status says of the bill; pure.

What is kept of an answer is its status, its body as it came (still encoded), and those of its
headers that are named here; so no cookie and no key of anybody gets into the journal.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from payonce.capture.framing import splitter_for
from payonce.capture.wire import Seen, Splitter, Wire, object_of, objects, read_events, read_object
from payonce.failure.providers import CODES, MESSAGES
from payonce.journal.payload import grow
from payonce.model import CallState, Kind, Payload, Receipt
from payonce.money import Money

CODEC = "http"
Headers = Sequence[tuple[str, str]]

_KEPT = frozenset(
    {
        *("content-type", "content-encoding", "content-length", "date"),
        *("request-id", "retry-after"),
    }
)
_KEPT_TOO = (
    *("openai-", "anthropic-", "x-amzn-", "x-gemini-", "mistral-", "x-groq-"),
    *("x-request-id", "x-ratelimit-"),
)
_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
_MAYBE_BILLED = frozenset({408, 424, 499})
_SURELY_NOT_BILLED = frozenset({503, 529})
_ERROR_TYPE = "x-amzn-errortype"
_COUNTED = {
    "inputTokenCount": "x-amzn-bedrock-input-token-count",
    "outputTokenCount": "x-amzn-bedrock-output-token-count",
    "cacheReadInputTokenCount": "x-amzn-bedrock-cache-read-input-token-count",
    "cacheWriteInputTokenCount": "x-amzn-bedrock-cache-write-input-token-count",
}
_PER_DAY = "PerDay"  # in the names of Google's quotas that are given anew each day
_LARGEST = 64 * 1024 * 1024


class Stored(msgspec.Struct, frozen=True):
    """An answer as a receipt has it; the body is encoded as its content-encoding says.

    `request` is the sketch of what was asked, in msgpack.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    request: bytes = b""


@dataclass(frozen=True, slots=True)
class Read:
    """An answer and what was read out of it; `plain` is its decoded body, to look texts up in."""

    stored: Stored
    seen: Seen
    plain: bytes

    def receipt(self, request: bytes = b"", cost: Money | None = None) -> Receipt:
        """The receipt that keeps it, the sketch of its request, and what it cost if known."""
        stored = msgspec.structs.replace(self.stored, request=request)
        payload = Payload(CODEC, msgspec.msgpack.encode(stored))
        seen = self.seen
        paid = Receipt(payload, model=seen.model, usage=seen.used, said=seen.said)
        if cost is None:
            return paid
        return msgspec.structs.replace(paid, cost_nanos=cost.nanos, currency=cost.currency)


def read_answer(wire: Wire, status: int, headers: Headers, body: bytes) -> Read:
    """Read an answer that came in one piece; nothing is read where no format is known.

    A stream that ended without its finish event has the error "cut".
    """
    stored, seen = _stored(status, headers, body), Seen()
    plain = decoded(headers, body)
    if wire.event is None:
        return Read(stored, seen, plain)
    splitter = splitter_for(header(headers, "content-type"))
    if splitter is None:
        wire.whole(plain, seen)
        if seen.usage is None:
            seen.take(None, _counted(headers))
        return Read(stored, seen, _readable(plain))
    read_events(wire.event, splitter, plain, seen)
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


def live_splitter(headers: Headers) -> Splitter | None:
    """What cuts an answer into events as it comes; None where it has to be read whole."""
    if header(headers, "content-encoding") not in ("", "identity"):
        return None
    return splitter_for(header(headers, "content-type"))


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
    refusal = read_object(decoded(headers, body))
    types = [value.partition(":")[0] for name, value in headers if name.lower() == _ERROR_TYPE]
    if any(_is_final(word) for word in (*types, *_words_of(refusal))):
        return True
    said = (object_of(refusal.get("error")) or refusal).get("message")
    return isinstance(said, str) and any(pattern.search(said) for pattern, *_ in MESSAGES)


def _is_final(word: Any) -> bool:
    if not isinstance(word, str):
        return False
    return _PER_DAY in word or (word in CODES and CODES[word][0] is Kind.DETERMINISTIC)


def _words_of(refusal: dict[str, Any]) -> Iterator[Any]:
    """The codes of a refusal, wherever the providers put them."""
    error = object_of(refusal.get("error")) or refusal
    yield from (error.get(name) for name in ("code", "type", "__type"))
    yield object_of(error.get("details")).get("error_code")
    for detail in objects(error.get("details")):
        yield detail.get("reason")
        yield from (each.get("quotaId") for each in objects(detail.get("violations")))


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


def _counted(headers: Headers) -> dict[str, int] | None:
    """What Bedrock counted, where the model's own answer has no place for it."""
    counts = {
        name: int(value)
        for name, of in _COUNTED.items()
        if (value := header(headers, of)).isdecimal()
    }
    return counts or None


def _stored(status: int, headers: Headers, body: bytes) -> Stored:
    kept = tuple((key.lower(), value) for key, value in headers if _is_kept(key.lower()))
    return Stored(status, kept, body)


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
