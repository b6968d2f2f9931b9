"""On the path, from its other end: parked runs are looked after while the app is at work.

One daemon thread per process and app looks at the world now and then, and calls runs again that
may go on: parked in another world (an earlier version of the code, a schema before its migration),
held at the door, or due for a probe; and runs that wait for a delivery which no queue will bring,
because a look or a person called them last, or because it is long overdue. Its first look comes
shortly after the first delivery, so a new version wakes what it can mend. Of all processes with
the same code one does it, by a claim.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import random
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from payonce import alarming, waking
from payonce.alarm import Alarms
from payonce.alarming import Alarming
from payonce.delivery import LOOKOUT
from payonce.job import Job
from payonce.journal.forking import survives_fork
from payonce.journal.protocol import RunFilter
from payonce.lease import owner
from payonce.looks import keep_look
from payonce.model import Run, RunState, World
from payonce.policy import moved
from payonce.waking import again

_log = logging.getLogger("payonce")
_FIRST = 1.0
"""Seconds between the first delivery and the first look, which it must not get in the way of."""
_PAGE = 100
_WORKERS = 2
_MOST_KNOWN = 10_000
_PATIENCE = 10.0
"""Seconds that an app which is closed, or a process that ends, waits for runs under way."""


class App(waking.App, alarming.App, Protocol):
    """What looking after an app's runs and its money needs of it."""


class Lookout:
    """Looks after an app's parked runs every so many seconds; with None, never."""

    def __init__(self, app: App, every: float | None, alarms: Alarms | None = None) -> None:
        self._app = weakref.ref(app)
        self._every = every
        self._alarming = Alarming(alarms, every)
        self._loop: Any = None
        self._reset()
        survives_fork(self)
        _all.add(self)

    def _reset(self) -> None:
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._room = threading.BoundedSemaphore(_WORKERS)
        self._refused: dict[tuple[int, int], World] = {}

    def before_fork(self) -> None:
        """Nothing that is under way has to be waited for."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """A child has no thread of its own yet."""
        self._reset()

    def begin(self, loop: Any = None) -> None:
        """Look from now on; async jobs are called in the event loop that was given last."""
        if loop is not None:
            self._loop = loop
        if self._thread is not None or self._every is None:
            return
        with self._starting:
            if self._thread is None:
                over = self._over = threading.Event()
                watch = threading.Thread(
                    target=_watch, args=(self._app, over), name="payonce-lookout", daemon=True
                )
                watch.start()  # may fail: then the next delivery tries again
                self._thread = watch

    def stop(self, until: float | None = None) -> None:
        """Call no more runs, and wait a while for those under way; a delivery begins anew."""
        until = time.monotonic() + _PATIENCE if until is None else until
        with self._starting:
            thread, self._thread = self._thread, None
            self._over.set()
        if thread is None or thread is threading.current_thread():
            return
        thread.join(max(0.0, until - time.monotonic()))
        taken = [
            self._room.acquire(timeout=max(0.0, until - time.monotonic())) for _ in range(_WORKERS)
        ]
        for _ in filter(None, taken):
            self._room.release()

    def pause(self) -> float:
        """Seconds until the next look, not the same in all processes."""
        return (self._every or 0.0) * random.uniform(0.8, 1.2)

    def look(self, app: App, over: threading.Event) -> bool:
        """Call again what may go on; whether it is worth to look again at once."""
        self._look_at_money(app)
        worlds = [(job, app.world(job)) for job in list(app.jobs.values())]
        found = [(job, run) for job, world in worlds for run in self._wakeable(app, job, world)]
        self._keep_looks(app, worlds)
        if not found or not self._claim(app):
            return False
        done: list[bool] = []
        for job, run in found:
            while not self._room.acquire(timeout=self._every):
                self._claim(app)
            if over.is_set():
                self._room.release()
                return False
            self._start(app, job, run, done)
        for _ in range(_WORKERS):  # all have ended when all the room is there
            self._room.acquire()
        for _ in range(_WORKERS):
            self._room.release()
        return any(done)

    def _look_at_money(self, app: App) -> None:
        try:
            self._alarming.look(app)
        except Exception as exc:
            _log.warning("spending could not be looked at: %s: %s", type(exc).__name__, exc)

    def _keep_looks(self, app: App, worlds: Sequence[tuple[Job, World]]) -> None:
        """One of all keeps what is seen of the worlds that runs are parked in."""
        parked = [each for each in worlds if _has_parked(app, each[0])]
        if parked and self._claim(app, "looks"):
            for job, world in parked:
                keep_look(app, job, world)

    def _wakeable(self, app: App, job: Job, world: World) -> Iterator[Run]:
        """What this world may wake; of the runs that were only held, the first one finds out."""
        after, held = 0, False
        while True:
            wanted = RunFilter(job=job.name, wakeable_in=world, after=after, limit=_PAGE)
            page = [summary.run for summary in app.journal.runs(wanted)]
            for run in page:
                waits = run.held and not moved(run.world, world)
                if (waits and held) or self._refused.get((run.id, run.attempt)) == world:
                    continue
                held = held or waits
                yield run
            if len(page) < _PAGE:
                return
            after = page[-1].id

    def _claim(self, app: App, right: str = "lookout") -> bool:
        codes = sorted(f"{name}={app.world(job).code}" for name, job in app.jobs.items())
        name = hashlib.sha256("\n".join(codes).encode()).hexdigest()[:16]
        lease = max(30.0, 3 * (self._every or 0.0))
        return app.journal.claim(f"{right}:{name}", owner(), lease).now()

    def _start(self, app: App, job: Job, run: Run, done: list[bool]) -> None:
        """Each run in a thread of its own, so that what it keeps per thread ends with it."""

        def work() -> None:
            try:
                done.append(self._call(app, job, run))
            except Exception:
                _log.warning("run %r could not be called again", run.key, exc_info=True)
            finally:
                self._room.release()

        try:
            threading.Thread(target=work, name="payonce-woken", daemon=True).start()
        except RuntimeError:  # no thread to be had just now
            self._room.release()

    def _call(self, app: App, job: Job, run: Run) -> bool:
        if job.is_async and (self._loop is None or not self._loop.is_running()):
            return False
        world = app.world(job)
        outcome, reason, _ = again(app, job, run, LOOKOUT, loop=self._loop)
        if outcome == "done":
            _log.info("run %r of %s was woken, and is done", run.key, job.name)
        elif outcome == "refused" or (
            outcome == "parked" and not run.held and moved(run.world, world)
        ):
            if len(self._refused) > _MOST_KNOWN:
                self._refused.clear()
            self._refused[run.id, run.attempt] = world
            _log.info("run %r of %s is not done: %s", run.key, job.name, reason)
        return outcome == "done"


def _has_parked(app: App, job: Job) -> bool:
    return bool(app.journal.runs(RunFilter(state=RunState.PARKED, job=job.name, limit=1)))


def _watch(ref: weakref.ref[Any], over: threading.Event) -> None:
    pause = _FIRST * random.uniform(0.5, 1.5)
    while not over.wait(pause):
        app = ref()
        if app is None:
            return
        try:
            pause = 0.0 if app.lookout.look(app, over) else app.lookout.pause()
        except Exception as exc:  # the journal is away, say: then later
            _log.warning("parked runs could not be looked after: %s: %s", type(exc).__name__, exc)
            pause = app.lookout.pause()
        del app


_all: weakref.WeakSet[Lookout] = weakref.WeakSet()


def _at_exit() -> None:
    until = time.monotonic() + _PATIENCE
    for lookout in list(_all):
        lookout.stop(until)


atexit.register(_at_exit)
