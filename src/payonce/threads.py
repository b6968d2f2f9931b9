"""On the path, beside the scope: a run goes along into the threads that its code starts.

Context variables don't flow into plain threads, and a step that can't find its run would be paid
for again in silence. So pools and threads are hooked when the first job is defined; outside of a
run the hooks do nothing. A thread of a pool lives longer than the run that made the pool start
it, so it is not the thread but each task that gets the run's context.

Into processes a run doesn't go, for they have neither its receipts in hand nor its lease: that
is said aloud, once for each attempt, and a forked process belongs to no run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import wraps
from threading import Thread
from types import MethodType, ModuleType
from typing import Any

from payonce.importing import OnImport
from payonce.scope import current, leave

_OWN = "payonce-"
_POOL = "concurrent.futures"
_MANAGED = "multiprocessing.managers"
_GIVERS = ("apply_async", "_map_async", "imap", "imap_unordered")
_log = logging.getLogger("payonce")
_hooked: dict[str, Callable[..., Any]] = {}


def carry_runs() -> None:
    """Hook pools, threads and processes; again changes nothing."""
    if not _hooked:
        _hooked["submit"], _hooked["start"] = ThreadPoolExecutor.submit, Thread.start
        ThreadPoolExecutor.submit = _submit(ThreadPoolExecutor.submit)  # type: ignore[method-assign]
        Thread.start = _start(Thread.start)  # type: ignore[method-assign]
        OnImport(_hook_process, "multiprocessing.process").start()
        OnImport(_hook_executor, "concurrent.futures.process").start()
        OnImport(_hook_pool, "multiprocessing.pool").start()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=_tell_of_process, after_in_child=leave)


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
            self.run = _run_in(copy_context(), self)  # type: ignore[method-assign]
        original(self)

    return start


def _run_in(context: Context, thread: Thread) -> Callable[[], None]:
    """A thread's `run` inside of a context; a method, as others who hook threads expect it."""
    original = thread.run

    @wraps(original)
    def run(_: Thread) -> None:
        context.run(original)

    return MethodType(run, thread)


def _is_long_lived(thread: Thread) -> bool:
    """Whether it is payonce's own, or works for a pool."""
    target = getattr(thread, "_target", None)
    of_pool = str(getattr(target, "__module__", "")).startswith(_POOL)
    return of_pool or thread.name.startswith(_OWN)


def _hook_process(module: ModuleType) -> None:
    process: Any = module.__dict__["BaseProcess"]
    original = process.start

    @wraps(original)
    def start(self: Any) -> None:
        if getattr(getattr(self, "_target", None), "__module__", "") != _MANAGED:
            _tell_of_process()
        original(self)

    process.start = start


def _hook_executor(module: ModuleType) -> None:
    executor: Any = module.__dict__["ProcessPoolExecutor"]
    original = executor.submit

    @wraps(original)
    def submit(self: Any, /, *args: Any, **kw: Any) -> Any:
        _tell_of_process()
        return original(self, *args, **kw)

    executor.submit = submit


def _hook_pool(module: ModuleType) -> None:
    """`multiprocessing.pool` has a pool of processes, and one of threads made of it."""
    pool, of_threads = module.__dict__["Pool"], module.__dict__["ThreadPool"]
    for name in _GIVERS:
        setattr(pool, name, _giving(getattr(pool, name), of_threads))


def _giving(original: Callable[..., Any], of_threads: type) -> Callable[..., Any]:
    @wraps(original)
    def give(self: Any, func: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        if current() is None:
            return original(self, func, *args, **kw)
        if isinstance(self, of_threads):
            return original(self, _carried(func), *args, **kw)
        _tell_of_process()
        return original(self, func, *args, **kw)

    return give


def _carried(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function in a copy of the caller's context, a new one for each of many tasks at once."""
    context = copy_context()

    def run(*args: Any, **kw: Any) -> Any:
        return context.copy().run(function, *args, **kw)

    return run


def _tell_of_process() -> None:
    scope = current()
    if scope is None or scope.warned_of_processes:
        return
    scope.warned_of_processes = True
    _log.warning(
        "run %r of %s gives work to another process, which leaves the run: calls made there are "
        "not captured, and are paid for in each attempt. Use threads (ThreadPoolExecutor), or let "
        "the process call a job of its own, with a run key of its own.",
        scope.run.key,
        scope.run.job,
    )
