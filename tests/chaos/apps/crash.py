"""The named places of a worker's life at which it can be told to kill itself.

A delivery passes them in this order; those of its steps once for each step:

    before-open in-open after-open                        the lease is taken
    before-intent in-intent after-intent                  a step is begun
    half-sent sent billed answered last-byte              its call, on the wire
    before-receipt in-receipt after-receipt               its receipt is written
    before-close in-close after-close before-ack          the run ends, the queue hears of it

`in-…` is inside the transaction: all is written and nothing committed. `billed` is the
provider's deed: it bills, and kills the worker by its process id before it answers.
"""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from payonce import Payonce
from payonce.journal.writer import Write

_VERBS = {"open": "open", "intend": "intent", "complete": "receipt", "close": "close"}
JOURNAL = [f"{when}-{what}" for what in _VERBS.values() for when in ("before", "in", "after")]
WIRE = ["half-sent", "sent", "billed", "answered", "last-byte"]
POINTS = [*JOURNAL[:6], *WIRE, *JOURNAL[6:], "before-ack"]

_lock = threading.Lock()
_armed: str | None = None
_left = 0


def arm(point: str | None, passes: int = 0) -> None:
    """Die at this point, after it was passed so many times."""
    global _armed, _left
    _armed, _left = point, passes


def is_due(point: str) -> bool:
    """Whether this is the place, and the time."""
    global _left
    if point != _armed:
        return False
    with _lock:
        _left -= 1
        return _left == -1


def at(point: str) -> None:
    """Pass a point, or end there."""
    if is_due(point):
        os.kill(os.getpid(), signal.SIGKILL)


def agent() -> str:
    """The name that a worker's client gives itself: the provider kills who asks for it."""
    wish = " kill-me-once-billed" if is_due("billed") else ""
    return f"worker/{os.getpid()}{wish}"


def instrument(app: Payonce) -> None:
    """Put the points around the writes of the app's journal."""
    for verb, name in _VERBS.items():
        setattr(app.journal, verb, _around(getattr(app.journal, verb), name))
    ended = Write.end

    def end(write: Write[Any], value: Any, error: BaseException | None) -> None:
        if error is None and (name := getattr(write.do, "point", None)):
            at(f"after-{name}")
        ended(write, value, error)

    Write.end = end  # type: ignore[method-assign]


def _around(verb: Callable[..., Write[Any]], name: str) -> Callable[..., Write[Any]]:
    def asked(*args: Any, **kwargs: Any) -> Write[Any]:
        write = verb(*args, **kwargs)
        inner = write.do

        def do(connection: Any) -> Any:
            at(f"before-{name}")
            value = inner(connection)
            at(f"in-{name}")
            return value

        do.point = name  # type: ignore[attr-defined]
        write.do = do
        return write

    return asked
