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
    return answers.decoded(stored.headers, stored.body).decode("utf-8", "replace")
