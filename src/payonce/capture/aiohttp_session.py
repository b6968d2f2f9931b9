"""Edge, inside `capture`: what an aiohttp session does in place of asking, where a call is billed.

A kept answer is handed out by aiohttp's own machinery: the session asks as ever, and where it
would take a connection it is given one on which the answer lies already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any

from payonce.capture.aiohttp_line import Line, Nowhere, left_by, sent_by
from payonce.capture.recording import record
from payonce.capture.registry import claim, is_of_interest
from payonce.effects import adrive

_kept: ContextVar[bytes | None] = ContextVar("payonce_kept", default=None)


def requesting(original: Callable[..., Any]) -> Callable[..., Any]:
    """The session's `_request`, with the journal before it."""

    @wraps(original)
    async def request(session: Any, method: str, str_or_url: Any, **options: Any) -> Any:
        if not is_of_interest():
            return await original(session, method, str_or_url, **options)
        claimed = claim(sent_by(session, method, str_or_url, options))
        if claimed is None:
            return await original(session, method, str_or_url, **options)
        raises = options.pop("raise_for_status", None)

        async def ask(kept: bytes | None = None, **told: Any) -> Any:
            told = {**options, **told, "raise_for_status": False}
            with _keeping(kept):
                return await original(session, method, str_or_url, **told)

        line = Line(session, ask)
        body = await line.body_of(options)
        answer = await adrive(record(*claimed, body, line))
        if asyncio.iscoroutine(answer):  # one that was made, which takes aiohttp a while
            answer = await answer
        await _complain(answer, session.raise_for_status if raises is None else raises)
        return answer

    return request


async def _complain(answer: Any, raises: Any) -> None:
    """Do what `raise_for_status=` asks for: it may be a function."""
    if callable(raises):
        await raises(answer)
    elif raises:
        answer.raise_for_status()


class _keeping:
    """Let the session's next connection be one on which an answer lies."""

    def __init__(self, kept: bytes | None) -> None:
        self._value = kept

    def __enter__(self) -> None:
        self._token = _kept.set(self._value)

    def __exit__(self, *_: object) -> None:
        _kept.reset(self._token)


def connecting(original: Callable[..., Any]) -> Callable[..., Any]:
    """The connector's `connect`, which gives out a kept answer's connection, too."""

    @wraps(original)
    async def connect(connector: Any, request: Any, *args: Any, **options: Any) -> Any:
        kept = _kept.get()
        if kept is None:
            return await original(connector, request, *args, **options)
        from aiohttp.client_proto import ResponseHandler
        from aiohttp.connector import Connection

        loop = asyncio.get_running_loop()
        protocol = ResponseHandler(loop)
        protocol.connection_made(Nowhere())
        protocol.data_received(kept)
        pool: Any = _NoPool()
        return Connection(pool, request.connection_key, protocol, loop)

    return connect


class _NoPool:
    """What a connection goes back to that was never taken out of a pool."""

    force_close = False

    def _release(self, *_: object, **__: object) -> None:
        return


def closing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Read what callers left of a session's streams before its connections are gone."""

    @wraps(original)
    async def close(session: Any) -> None:
        for left in left_by(session):
            await left()
        await original(session)

    return close
