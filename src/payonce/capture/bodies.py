"""Edge, inside `capture`: bodies of answers that block their readers, for more than one hook."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from payonce.capture.stream import Done, Stream
from payonce.effects import drive


class Pulled:
    """A body that goes through a `Stream`, by blocking.

    It keeps its client: one that nobody else has would be closed, and the rest be lost.
    """

    def __init__(self, source: Any, stream: Stream, client: Any) -> None:
        self._source, self._stream, self.client = source, stream, client
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._locked(self._stream.pull):
            yield chunk

    def close(self) -> None:
        """Read what the caller left, unless the process is on its way out.

        A generator may be closed by the garbage collector, which runs on any thread, the
        journal's too: nothing can be waited for there. The run reads the rest at its end.
        """
        why = sys.exception()
        if isinstance(why, GeneratorExit) and not self._stream.settled:
            return
        if isinstance(why, KeyboardInterrupt | SystemExit):
            self._stream.abandon()
        self.drain()

    def drain(self) -> None:
        """Read to the end, and close."""
        try:
            self._locked(self._stream.drain)
        finally:
            self._source.close()

    def __call__(self) -> Done:
        """The same for the run's end, where an asynchronous run awaits it."""
        self.drain()
        return Done()

    def _locked(self, way: Callable[[], Any]) -> Any:
        with self._lock:
            return drive(way())


class PulledFile(io.RawIOBase):
    """The same as a file, for those who read from one; closed once all of it was read."""

    def __init__(self, body: Pulled) -> None:
        self._body, self._pieces = body, iter(body)
        self._rest = b""

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what is there; 0 is the end."""
        self._rest = self._rest or next(self._pieces, b"")
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        if not piece:
            self.close()
        return len(piece)

    def close(self) -> None:
        """Read what the caller left."""
        if not self.closed:
            super().close()
            self._body.close()
