"""Edge: a database that only an async driver reaches, on an event loop of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from payonce.preflight.database import Database

T = TypeVar("T")


class LoopedDatabase(Database):
    """The same over SQLAlchemy's adapter of an async driver, in a thread with an event loop.

    The user's own loop is left alone: who asks blocks a thread, never that loop.
    """

    _thread: _LoopThread | None = None

    def _walk(self, function: Callable[[], T]) -> T:
        if self._thread is None:
            if self._kept is None and function == self._close:
                return function()
            self._thread = _LoopThread()
        return self._thread.run(function)  # type: ignore[no-any-return]

    def __del__(self) -> None:
        """Nothing: its loop may have ended before it."""

    def close(self) -> None:
        """Close what is open, and end the thread."""
        super().close()
        with self._lock:
            self._end()

    def before_fork(self) -> None:
        """Close the connection, and end the thread, which a child would not have."""
        super().before_fork()
        self._end()

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.end()


class _LoopThread:
    def __init__(self) -> None:
        import asyncio  # 50 ms that an app without an async driver needn't pay

        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="payonce-schema", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        import asyncio

        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def run(self, function: Callable[[], Any]) -> Any:
        import asyncio

        from sqlalchemy.util import greenlet_spawn

        work = greenlet_spawn(function, _require_await=False)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
