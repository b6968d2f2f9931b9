"""Edge, inside `otel`: spans are ended by a thread aside.

To end a span may be to export it, and to export is to wait for a network: `SimpleSpanProcessor`
does it on the spot. The code that was paid for doesn't wait for that, and neither does an event
loop. The end's time is that at which it was told.
"""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from payonce.journal.forking import survives_fork
from payonce.redact import redact

if TYPE_CHECKING:
    from opentelemetry.trace import Span

MOST = 10_000
"""How many ended spans wait for an exporter, at most; further ones are dropped, and told of."""

_AT_EXIT = 5.0
_log = logging.getLogger("payonce")
_End = tuple["Span", Mapping[str, Any], str | None, int]


class Ending:
    """The thread that ends spans, started by the first of them."""

    def __init__(self) -> None:
        self._complained: set[str] = set()
        self._starting = threading.Lock()
        self._queue: SimpleQueue[_End | threading.Event] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        survives_fork(self)
        _all.add(self)

    def put(self, span: Span, attributes: Mapping[str, Any], error: str | None, at: int) -> None:
        """Let a span end at a moment, in nanoseconds since the epoch; returns at once."""
        if self._queue.qsize() >= MOST:
            self._say("behind", f"spans are dropped: their exporter is {MOST} behind")
            return
        self._queue.put((span, attributes, error, at))
        if not self._threads:
            self._start()

    def flush(self, seconds: float) -> bool:
        """Wait until all that was put is ended; False where it takes longer."""
        if not self._threads:
            return True
        done = threading.Event()
        self._queue.put(done)
        return done.wait(seconds)

    def _start(self) -> None:
        with self._starting:
            if not self._threads:
                thread = threading.Thread(target=self._work, name="payonce-spans", daemon=True)
                thread.start()
                self._threads.append(thread)

    def _work(self) -> None:
        waiting = self._queue
        while True:
            match waiting.get():
                case threading.Event() as done:
                    done.set()
                case span, attributes, error, at:
                    try:
                        _end(span, attributes, error, at)
                    except Exception as exc:
                        self.complain(exc, "a span could not be ended")

    def complain(self, exc: Exception, what: str) -> None:
        """Tell of what the SDK has raised, once per kind."""
        kind = type(exc).__qualname__
        self._say(f"{what}: {kind}", f"{what}: {kind}: {exc}")

    def _say(self, kind: str, words: str) -> None:
        if kind not in self._complained:
            self._complained.add(kind)
            _log.warning("%s", redact(words))

    def before_fork(self) -> None:
        """Nothing has to be waited for."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """A child has no thread yet, and what waits is the parent's to end."""
        self._starting = threading.Lock()
        self._queue = SimpleQueue()
        self._threads = []


def _end(span: Span, attributes: Mapping[str, Any], error: str | None, at: int) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attributes(attributes)
    if error is not None:
        span.set_status(StatusCode.ERROR)
    span.end(at)


_all: weakref.WeakSet[Ending] = weakref.WeakSet()


def _at_exit() -> None:
    for ending in list(_all):
        ending.flush(_AT_EXIT)


atexit.register(_at_exit)
