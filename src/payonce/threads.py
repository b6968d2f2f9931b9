"""On the path, beside the scope: a run goes along into the threads that its code starts.

Context variables don't flow into plain threads, and a step that can't find its run would be paid
for again in silence. So `ThreadPoolExecutor.submit` and `Thread.start` are hooked when the first
job is defined; outside of a run the hooks do nothing. A thread of a pool lives longer than the
run that made the pool start it, so it is not the thread but each task that gets the run's
context.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from threading import Thread
from typing import Any

from payonce.scope import current

_OWN = "payonce-"
_POOL = "concurrent.futures"
_hooked: dict[str, Callable[..., Any]] = {}


def carry_runs() -> None:
    """Hook pools and threads; again changes nothing."""
    if not _hooked:
        _hooked["submit"], _hooked["start"] = ThreadPoolExecutor.submit, Thread.start
        ThreadPoolExecutor.submit = _submit(ThreadPoolExecutor.submit)  # type: ignore[method-assign]
        Thread.start = _start(Thread.start)  # type: ignore[method-assign]


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:
        if current() is None:
            return original(self, fn, *args, **kw)
        return original(self, copy_context().run, fn, *args, **kw)

    return submit


def _start(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def start(self: Thread) -> None:
        if current() is not None and not _is_long_lived(self):
            self.run = partial(copy_context().run, self.run)  # type: ignore[method-assign]
        original(self)

    return start


def _is_long_lived(thread: Thread) -> bool:
    """Whether it is payonce's own, or works for a pool."""
    target = getattr(thread, "_target", None)
    of_pool = str(getattr(target, "__module__", "")).startswith(_POOL)
    return of_pool or thread.name.startswith(_OWN)
