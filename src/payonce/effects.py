"""On the path, under all of it: what a step of the way asks for, done in either colour.

Each part of the way is written once, as a generator that yields effects and is sent their
results. `drive` does the effects by blocking, `adrive` by awaiting; the event loop is never
blocked: what may take time besides the user's own call goes to the journal's writer thread
(`Write`) or to a thread of payonce's own (`Work`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from payonce.errors import NoJournal, PayonceError
from payonce.journal.writer import Write

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call the user's function, or the SDK's send: as it is, or awaited, on the spot."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Work:
    """Do something short that blocks, such as a read of the journal."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for so many seconds."""

    seconds: float


Effect = Invoke | Work | Pause | Write[Any]
Way = Generator[Effect, Any, T]


def drive(way: Way[T]) -> T:
    """Walk a way by blocking."""
    try:
        effect = next(way)
        while True:
            try:
                result = _do(effect)
            except BaseException as exc:
                effect = way.throw(exc)
            else:
                effect = way.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def adrive(way: Way[T]) -> T:
    """Walk a way by awaiting."""
    try:
        effect = next(way)
        while True:
            try:
                result = await _ado(effect)
            except BaseException as exc:
                effect = way.throw(exc)
            else:
                effect = way.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def running_loop() -> Any:
    """The event loop that the calling code runs in, if any."""
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


def wait_for(work: Coroutine[Any, Any, T], loop: Any) -> T:
    """Do work in an event loop of another thread, or else in one of its own.

    Raises:
        TimeoutError: that loop has ended meanwhile.
    """
    import asyncio

    if loop is None:
        return asyncio.run(work)
    future = asyncio.run_coroutine_threadsafe(work, loop)
    while True:
        try:
            return future.result(timeout=1.0)
        except TimeoutError:
            if future.done() or not loop.is_running():
                raise


def journaled(effect: Effect) -> Way[Any]:
    """Do an effect of the journal.

    Raises:
        NoJournal: the journal failed in a way of its own.
    """
    try:
        return (yield effect)
    except PayonceError:
        raise
    except Exception as exc:
        raise NoJournal(f"{type(exc).__name__}: {exc}") from exc


def _do(effect: Effect) -> Any:
    match effect:
        case Write():
            return effect.now()
        case Pause():
            return time.sleep(effect.seconds)
        case _:
            return effect.function()


async def _ado(effect: Effect) -> Any:
    import asyncio  # 50 ms that a caller without an event loop needn't pay

    match effect:
        case Write():
            return await asyncio.wrap_future(effect.later())
        case Pause():
            return await asyncio.sleep(effect.seconds)
        case Work():
            work = _threads().submit(copy_context().run, effect.function)
            return await asyncio.wrap_future(work)
        case Invoke():
            return await effect.function()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="payonce-work")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)
