"""Edge, inside `capture`: a streamed answer on its way to the caller.

    before the finish event   each event goes on at once
    from it on                held back until the receipt is durable, then handed over
    left early                what is left is read, within limits, and kept: it is paid for
    cut, or an error event    the call is in doubt; the caller sees what it would have seen

Providers' streams of an unknown format never come here: they are read whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from payonce import policy
from payonce.capture.answers import Headers, Read, read_stream
from payonce.capture.priced import receipt
from payonce.capture.sse import Event
from payonce.capture.wire import ReadEvent, Seen, Sign, Splitter
from payonce.effects import Invoke, Way
from payonce.journal.writer import Write
from payonce.model import CallState
from payonce.scope import RunScope
from payonce.step import Ticket, complete, fail

DRAIN_SECONDS = 30.0
"""How long the rest of a stream that the caller left is read, at most."""
DRAIN_BYTES = 4 * 1024 * 1024
"""How much of it is read, at most."""

BY_CALLER = "cut by the caller"
_NO_FINISH = "cut: the stream ended without its finish event"


class Done:
    """What is done already, for those who await it."""

    def __await__(self) -> Iterator[None]:
        return iter(())


class Stream:
    """One streamed answer; a hook pulls it in its own colour, one pull at a time.

    `chunk` reads the next bytes of the answer, or awaits them; None is its end.
    """

    def __init__(
        self,
        scope: RunScope,
        ticket: Ticket,
        head: tuple[int, Headers],
        event: ReadEvent,
        splitter: Splitter,
        chunk: Callable[[], Any],
    ) -> None:
        self.settled = False
        self._scope, self._ticket, self._head = scope, ticket, head
        self._event, self._chunk = event, chunk
        self._splitter, self._seen = splitter, Seen()
        self._raw = bytearray()
        self._handed = self._free = 0
        self._sign = Sign.GOES_ON

    def left_open(self, drain: Callable[[], Any]) -> None:
        """Tell the run how to read this stream to its end, should the caller never close it."""
        self._scope.unfinished[self._ticket.call.id] = drain

    def pull(self) -> Way[bytes]:
        """The next bytes that the caller may have; empty at the end."""
        while True:
            chunk = yield from self._next()
            if self.settled and self._handed == len(self._raw):
                return chunk or b""
            yield from self._take(chunk)
            if free := self._released():
                return free
            if chunk is None:
                return b""

    def drain(self) -> Way[None]:
        """Read what the caller left; never raises what a cut stream raises."""
        until, most = time.monotonic() + DRAIN_SECONDS, len(self._raw) + DRAIN_BYTES
        while not self.settled:
            if time.monotonic() > until or len(self._raw) > most:
                self.abandon(f"{BY_CALLER}; its rest was too long to read")
                return
            try:
                chunk = yield from self._next()
            except Exception:  # it was settled as cut, and there is no caller any more
                return
            yield from self._take(chunk)

    def abandon(self, reason: str = BY_CALLER) -> None:
        """Stop without waiting for anything.

        The receipt is still written where the finish event was there, but is not waited for:
        a later attempt replays it.
        """
        if self.settled or self._scope.left:
            return
        if self._sign in (Sign.FINISH, Sign.LAST):
            call = self._ticket.call
            self._close()
            paid = receipt(self._scope, self._ticket, self._read())
            write = next(complete(self._scope, self._ticket, paid))
            assert isinstance(write, Write)
            write.later()
            self._scope.free(call.step_key, call.occurrence)
        else:
            self._fail(reason)

    def _next(self) -> Way[bytes | None]:
        try:
            chunk: bytes | None = yield Invoke(self._chunk)
        except BaseException as exc:
            by_provider = isinstance(exc, Exception)
            if by_provider and self._sign in (Sign.FINISH, Sign.LAST):
                return None
            self.abandon(f"cut: {type(exc).__name__}" if by_provider else BY_CALLER)
            raise
        return chunk

    def _take(self, chunk: bytes | None) -> Way[None]:
        if chunk is not None:
            self._raw += chunk
            for event in self._splitter.feed(chunk):
                self._look_at(event)
        if self.settled:
            return
        if self._sign is Sign.ERROR:
            self._fail(f"{policy.ANSWERED} {self._head[0]} with an error event: {self._seen.error}")
        elif self._sign is Sign.LAST or (chunk is None and self._sign is Sign.FINISH):
            yield from self._keep()
        elif chunk is None:
            self._fail(_NO_FINISH)

    def _look_at(self, event: Event) -> None:
        sign = self._event(event, self._seen)
        if self._sign is Sign.GOES_ON:
            if sign is Sign.GOES_ON:
                self._free += len(event.raw)
            else:
                self._sign = sign
        elif self._sign is Sign.FINISH and sign in (Sign.LAST, Sign.ERROR):
            self._sign = Sign.LAST

    def _keep(self) -> Way[None]:
        read = self._read()
        try:
            paid = receipt(self._scope, self._ticket, read)
            call = yield from complete(self._scope, self._ticket, paid)
        except BaseException:
            self._scope.free(self._ticket.call.step_key, self._ticket.call.occurrence)
            raise
        finally:
            self._close()
        self._scope.answered(read.plain, call)

    def _fail(self, reason: str) -> None:
        fail(self._scope, self._ticket, CallState.IN_DOUBT, reason)
        self._close()

    def _close(self) -> None:
        self.settled = True
        self._scope.unfinished.pop(self._ticket.call.id, None)

    def _released(self) -> bytes:
        until = len(self._raw) if self.settled else self._free
        handed, self._handed = self._handed, until
        return bytes(self._raw[handed:until])

    def _read(self) -> Read:
        return read_stream(*self._head, bytes(self._raw), self._seen)
