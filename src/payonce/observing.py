"""On the path, beside it: an observer sees deliveries, attempts and calls while they last.

Nothing that it does or raises harms a run or changes a bill; where there is none, nothing is done.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from payonce.model import Call, Diagnosis
from payonce.redact import redact
from payonce.sights import Begun, CallSeen, Ended, Word

_log = logging.getLogger("payonce")
NOTHING = nullcontext()
"""What is done inside belongs to nothing."""

_complained: set[str] = set()


class Watch(Protocol):
    """One thing under observation, from its begin to its end."""

    def inside(self) -> AbstractContextManager[object]:
        """What is done inside of this belongs to it."""

    def end(self, how: Ended) -> object:
        """It is over; called once."""


class Observer(Protocol):
    """What sees deliveries, attempts and calls; called by the code that works, so in a hurry.

    Methods may be called from any thread, and for many things at once.
    """

    def begin(self, what: Begun) -> Watch:
        """Something begins."""

    def note(self, what: CallSeen, word: Word) -> object:
        """Something is told of a call that is not made now."""

    def flush(self) -> object:
        """The app is closed: hand on what is still kept back, within seconds."""


class Seen:
    """What an attempt is observed by; this one by nobody."""

    def begun(self, call: Call) -> None:
        """A call was begun; where it is paid already, its receipt is handed out."""

    def inside(self, call: Call) -> AbstractContextManager[object]:
        """What is done inside belongs to this call."""
        return NOTHING

    def ended(self, call: Call) -> None:
        """A call is paid, released or in doubt."""

    def rejected(self, call: Call) -> None:
        """A receipt is waste."""

    def diagnosed(self, found: Diagnosis) -> None:
        """The attempt failed, and it is known why."""


UNSEEN = Seen()


def flush(observer: Observer | None) -> None:
    """Let an observer hand on what it keeps back."""
    try:
        if observer is not None:
            observer.flush()
    except Exception as exc:
        _complain(exc)


def begin(observer: Observer, what: Begun) -> Watch | None:
    """Let something that begins be observed."""
    try:
        return observer.begin(what)
    except Exception as exc:
        _complain(exc)
        return None


def note(observer: Observer, what: CallSeen, word: Word) -> None:
    """Let something be seen of a call that is not made now."""
    try:
        observer.note(what, word)
    except Exception as exc:
        _complain(exc)


def end(watch: Watch | None, how: Ended) -> None:
    """Let it be seen how something ends."""
    try:
        if watch is not None:
            watch.end(how)
    except Exception as exc:
        _complain(exc)


class inside:
    """What is done inside belongs to what is watched, unless the observer fails at that."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._entered: AbstractContextManager[object] | None = None

    def __enter__(self) -> None:
        try:
            entered = self._watch.inside()
            entered.__enter__()
        except Exception as exc:
            _complain(exc)
        else:
            self._entered = entered

    def __exit__(self, *_: object) -> None:
        try:
            if self._entered is not None:
                self._entered.__exit__(None, None, None)
        except Exception as exc:
            _complain(exc)


def _complain(exc: Exception) -> None:
    """Once per kind of failure."""
    kind = f"{type(exc).__module__}.{type(exc).__qualname__}"
    if kind not in _complained:
        _complained.add(kind)
        _log.warning("the observer raised %s: %s", kind, redact(str(exc)), exc_info=exc)
