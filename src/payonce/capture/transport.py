"""Edge, inside `capture`: the journal before one client of httpx or httpx2, and nothing hooked."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from payonce.capture import loops
from payonce.capture.httpx_lines import AsyncLine, SyncLine, left_by, sent_by
from payonce.capture.recording import is_sending, record
from payonce.capture.registry import Settings, claim
from payonce.effects import adrive, drive


class Transport:
    """A transport of the user's with the journal before it, for runs of one app.

    All but the sending is the user's transport's own.
    """

    def __init__(self, settings: Settings, wrapped: Any) -> None:
        self._settings, self._wrapped = settings, wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def handle_request(self, request: Any) -> Any:
        """Answer a request: out of the journal, or by sending it."""
        claimed = None if is_sending() else claim(sent_by(request), self._settings)
        if claimed is None:
            return self._wrapped.handle_request(request)
        line = SyncLine(_module_of(request), self, self._wrapped, request)
        return drive(record(*claimed, request.read(), line))

    async def handle_async_request(self, request: Any) -> Any:
        """The same, awaited."""
        loops.note(self._wrapped)
        claimed = None if is_sending() else claim(sent_by(request), self._settings)
        if claimed is None:
            return await self._wrapped.handle_async_request(request)
        line = AsyncLine(_module_of(request), self, self._wrapped, request)
        return await adrive(record(*claimed, await request.aread(), line))

    def close(self) -> None:
        """Read what callers left of this client's streams, then close."""
        for body in left_by(self):
            body.close()
        self._wrapped.close()

    async def aclose(self) -> None:
        """The same, awaited."""
        for body in left_by(self):
            await body.aclose()
        await self._wrapped.aclose()

    def __enter__(self) -> Transport:
        self._wrapped.__enter__()
        return self

    def __exit__(self, *why: Any) -> None:
        for body in left_by(self):
            body.close()
        self._wrapped.__exit__(*why)

    async def __aenter__(self) -> Transport:
        await self._wrapped.__aenter__()
        return self

    async def __aexit__(self, *why: Any) -> None:
        for body in left_by(self):
            await body.aclose()
        await self._wrapped.__aexit__(*why)


def _module_of(request: Any) -> ModuleType:
    """The library that a request is of: httpx, or httpx2."""
    return sys.modules[type(request).__module__.partition(".")[0]]
