"""Reading: recorded answers as text."""

from __future__ import annotations

from payonce.journal.payload import grow
from payonce.model import Payload

MOST = 4_000


def as_text(payload: Payload, most: int = MOST) -> str:
    """A payload's text, HTTP answers by their decoded body; cut at so many characters."""
    whole = _whole(grow(payload))
    left = len(whole) - most
    return whole if left <= 0 else f"{whole[:most]}\n… {left} more characters"


def _whole(payload: Payload) -> str:
    from payonce.capture import answers

    if payload.codec != answers.CODEC:
        return payload.body.decode("utf-8", "replace")
    try:
        stored = answers.unpack(payload)
    except ValueError as exc:
        return f"(an answer that can't be read: {exc})"
    body = answers.decoded(stored.headers, stored.body)
    if said := _said(answers.header(stored.headers, "content-type"), body):
        return f"{said}\n(put together from a stream of {len(body)} bytes)"
    return body.decode("utf-8", "replace")


def _said(content_type: str, body: bytes) -> str:
    """The text that a stream of events carries, in whichever provider's format."""
    from payonce.capture.framing import splitter_for
    from payonce.capture.recognise import WIRES
    from payonce.capture.wire import Seen, read_events

    for wire in WIRES:
        seen, splitter = Seen(), splitter_for(content_type)
        if wire.event is not None and splitter is not None:
            read_events(wire.event, splitter, body, seen)
        if seen.texts:
            return "".join(seen.texts)
    return ""
