"""Edge, inside `capture`: the request of a captured call, drawn only where that is asked for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from payonce.capture.answers import unpack
from payonce.capture.wire import read_object
from payonce.drift import Rule
from payonce.model import Payload
from payonce.money import Money
from payonce.pricing import Prices
from payonce.sketch import Sketch, sketch
from payonce.step import Ticket

_log = logging.getLogger("payonce")


def kept(ticket: Ticket) -> bytes:
    """What goes into the receipt of a call beside its answer: the sketch of its request."""
    request = ticket.asked.request
    return request.encoded() if isinstance(request, Drawn) else b""


@dataclass(frozen=True)
class Drawn:
    """A request; `keep` says whether its sketch goes into its receipt.

    `provider` is the name of the format that it is in, `host` where it is sent.
    """

    content_type: str
    body: bytes = field(repr=False)
    rule: Rule
    ignore: Sequence[str]
    keep: bool
    provider: str = ""
    host: str | None = None

    @cached_property
    def _sketch(self) -> Sketch:
        try:
            return sketch(self.content_type, self.body, self.ignore)
        except Exception:  # an odd request is sent, paid for and kept like any other
            _log.debug("a request could not be drawn", exc_info=True)
            return Sketch(b"", ())

    def ceiling(self, prices: Prices, model: str | None, at: float) -> Money | None:
        """The most that it can cost; None where that is not known."""
        asked = read_object(self.body)
        return prices.ceiling(
            self.provider, model, asked or None, len(self.body), at=at, host=self.host
        )

    def sketch(self) -> Sketch:
        """What is kept of it."""
        return self._sketch

    def encoded(self) -> bytes:
        """The sketch as a receipt has it; nothing where none is to be kept."""
        try:
            return msgspec.msgpack.encode(self._sketch) if self.keep else b""
        except Exception:  # JSON has texts and numbers that msgpack has not
            return b""

    def sketch_of(self, answer: Payload) -> Sketch | None:
        """What a receipt's answer has kept of its own request, if anything."""
        try:
            kept = unpack(answer).request
            return msgspec.msgpack.decode(kept, type=Sketch) if kept else None
        except (ValueError, msgspec.MsgspecError):
            return None
