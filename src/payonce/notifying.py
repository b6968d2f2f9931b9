"""On the path, beside it: hooks are told of what happens, once per cause, in nobody's way.

A notice is logged where it comes up, once per cause and process. Hooks are called by threads of
their own: one that raises or hangs harms neither a run nor another hook. Which process tells of a
cause is settled by a claim in the journal, which lasts a day once hooks were told, and before that
for two minutes only, so that another may tell where a process dies; where the journal can't be
asked, each process tells.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import queue
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from typing import Protocol

from payonce.journal.forking import survives_fork
from payonce.journal.protocol import Journal
from payonce.notices import BreakerClosed, Notice, RunWoken

_log = logging.getLogger("payonce")
_DAY = 86_400.0
_TELLING = 120.0
"""Seconds that a process has to tell its hooks, before another may."""

_WAITING = 100
_MOST_CAUSES = 10_000
_PATIENCE = 5.0
"""Seconds that an app which is closed, or a process that ends, waits for hooks."""


class Hook(Protocol):
    """What is told of each notice; by a thread of its own, one after the other."""

    def __call__(self, notice: Notice, /) -> object:
        """Tell somebody."""


def log(notice: Notice) -> None:
    """The hook that is always there: a line in the log called `payonce`."""
    good = isinstance(notice, RunWoken | BreakerClosed)
    _log.log(logging.INFO if good else logging.WARNING, "%s", notice.text)


class _Line:
    """A bounded queue, and a thread that serves it while there is something in it."""

    def __init__(self, name: str, serve: Callable[[Notice], object]) -> None:
        self._name, self._serve = name, serve
        self.failed: set[str] = set()
        self.reset()

    def reset(self) -> None:
        self._queue: queue.Queue[tuple[Notice, Callable[[], object]]] = queue.Queue(_WAITING)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, notice: Notice, served: Callable[[], object] = lambda: None) -> None:
        try:
            self._queue.put_nowait((notice, served))
        except queue.Full:
            self._complain("full", "is behind: %r is not told of", notice.title)
            served()
            return
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    thread = threading.Thread(target=self._work, name="payonce-hook", daemon=True)
                    thread.start()
                    self._thread = thread

    def _work(self) -> None:
        waiting = self._queue
        while True:
            notice, served = waiting.get()
            try:
                self._serve(notice)
            except Exception as exc:
                self._complain(type(exc).__name__, "raised %s: %s", type(exc).__name__, exc)
            finally:
                served()
                waiting.task_done()

    def _complain(self, kind: str, words: str, *given: object) -> None:
        """Once per kind of failure."""
        if kind not in self.failed:
            self.failed.add(kind)
            _log.warning(f"the hook %s {words}", self._name, *given)

    def flush(self, until: float) -> None:
        waiting = self._queue
        with waiting.all_tasks_done:
            waiting.all_tasks_done.wait_for(
                lambda: not waiting.unfinished_tasks, max(0.0, until - time.monotonic())
            )


class _Each:
    """Does something once so many are through."""

    def __init__(self, count: int, then: Callable[[], object]) -> None:
        self._left, self._then = count, then
        self._lock = threading.Lock()

    def one(self) -> None:
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self._then()


class Board:
    """Where an app's notices are put up."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._seen: set[str] = set()
        self._asking = _Line("of the journal", self._settle)
        self._hooks: list[_Line] = []
        survives_fork(self)
        _all.add(self)

    def add(self, hook: Hook) -> None:
        """Tell this hook, too."""
        name = getattr(hook, "__qualname__", type(hook).__qualname__)
        self._hooks.append(_Line(name, hook))

    def tell(self, notice: Notice) -> None:
        """Put a notice up, unless its cause is known; never raises, never waits."""
        try:
            if notice.cause in self._seen:
                return
            if len(self._seen) >= _MOST_CAUSES:
                self._seen.clear()
            self._seen.add(notice.cause)
            log(notice)
            if self._hooks:
                self._asking.put(notice)
        except Exception:
            _log.warning("a notice could not be put up", exc_info=True)

    def _settle(self, notice: Notice) -> None:
        """Tell the hooks, unless another process has."""
        name = f"notice:{hashlib.sha256(notice.cause.encode()).hexdigest()[:32]}"
        teller, hooks = uuid.uuid4().hex, tuple(self._hooks)
        try:
            if not self._journal.claim(name, teller, _TELLING).now():
                return
        except Exception as exc:
            _log.info("whether %r was told of can't be asked: %s", notice.title, exc)
        told = _Each(len(hooks), lambda: self._keep(name, teller))
        for line in hooks:
            line.put(notice, told.one)

    def _keep(self, name: str, teller: str) -> None:
        """All hooks were told: nobody has to tell again within a day."""
        try:
            self._journal.claim(name, teller, _DAY).now()
        except Exception as exc:
            _log.info("that a notice was told of can't be written down: %s", exc)

    def flush(self, until: float | None = None) -> None:
        """Wait a while until all is told."""
        until = time.monotonic() + _PATIENCE if until is None else until
        for line in (self._asking, *self._hooks):
            line.flush(until)

    def before_fork(self) -> None:
        """Nothing has to be waited for."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """A child has no thread of its own yet, and what waits is the parent's to tell."""
        for line in (self._asking, *self._hooks):
            line.reset()


_all: weakref.WeakSet[Board] = weakref.WeakSet()


def _at_exit() -> None:
    until = time.monotonic() + _PATIENCE
    for board in list(_all):
        board.flush(until)


atexit.register(_at_exit)
