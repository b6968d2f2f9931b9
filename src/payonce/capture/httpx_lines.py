"""Edge, inside `capture`: how httpx and httpx2 send and read, as lines of either colour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

from payonce.capture import loops
from payonce.capture.answers import Headers, end_to_end
from payonce.capture.bodies import Pulled
from payonce.capture.recognise import Sent
from payonce.capture.recording import NO_RETRY, record, sending
from payonce.capture.registry import claim
from payonce.capture.stream import DRAIN_SECONDS, Stream
from payonce.effects import adrive, drive
from payonce.scope import current

_PORTS = {"http": 80, "https": 443}


def recording_transport(module: ModuleType, client: Any, transport: Any) -> Any:
    """The client's transport with the journal before it; made anew for each request."""
    return _Transport(module, client, transport)


def left_by(client: Any) -> list[Any]:
    """The bodies of this run that are not read to their end yet, and came in by a client."""
    scope = current()
    waiting = list(scope.unfinished.values()) if scope is not None else []
    return [body for body in waiting if getattr(body, "client", None) is client]


class _Transport:
    def __init__(self, module: ModuleType, client: Any, transport: Any) -> None:
        self._module, self._client, self._transport = module, client, transport

    def handle_request(self, request: Any) -> Any:
        claimed = claim(sent_by(request))
        if claimed is None:
            return self._transport.handle_request(request)
        line = SyncLine(self._module, self._client, self._transport, request)
        return drive(record(*claimed, request.read(), line))

    async def handle_async_request(self, request: Any) -> Any:
        claimed = claim(sent_by(request))
        if claimed is None:
            return await self._transport.handle_async_request(request)
        line = AsyncLine(self._module, self._client, self._transport, request)
        return await adrive(record(*claimed, await request.aread(), line))


def sent_by(request: Any) -> Sent:
    """A request of httpx's as a hook sees it."""
    url = request.url
    headers = {name.lower(): value for name, value in request.headers.items()}
    port = url.port or _PORTS.get(url.scheme)
    return Sent(request.method, url.host, port, url.raw_path.decode("ascii"), headers)


class _Line:
    """What both colours share; `bodies` are the module's two kinds of byte streams."""

    def __init__(self, module: ModuleType, client: Any, transport: Any, request: Any) -> None:
        self._module, self._client = module, client
        self._transport, self._request = transport, request
        self._bodies = _bodies(module)

    def head(self, answer: Any) -> tuple[int, Headers]:
        """Status and headers."""
        return answer.status_code, answer.headers.multi_items()

    def made(self, status: int, headers: Headers, body: bytes) -> Any:
        """An answer that never was on the wire."""
        return self._response(status, headers, self._bodies.kept(body), {})

    def whole(self, answer: Any, body: bytes) -> Any:
        """The same answer with the body that was read from it."""
        headers = end_to_end(answer.headers.raw)
        return self._response(
            answer.status_code, headers, self._bodies.kept(body), answer.extensions
        )

    def unrepeated(self, answer: Any) -> Any:
        """The same answer, which SDKs don't repeat."""
        name, value = NO_RETRY
        answer.headers[name] = value
        return answer

    def _response(self, status: int, headers: Any, stream: Any, extensions: Any) -> Any:
        return self._module.Response(
            status, headers=list(headers), stream=stream, extensions=dict(extensions)
        )


class SyncLine(_Line):
    """A line that blocks."""

    def send(self) -> Any:
        """Send the request."""
        with sending():
            return self._transport.handle_request(self._request)

    def read(self, answer: Any) -> bytes:
        """The whole body as it came."""
        try:
            return b"".join(answer.stream)
        finally:
            answer.close()

    def chunks(self, answer: Any) -> Callable[[], bytes | None]:
        """The body piece by piece."""
        rest = iter(answer.stream)
        return lambda: next(rest, None)

    def streamed(self, answer: Any, stream: Stream) -> Any:
        """The same answer, its body pulled through a stream."""
        body = self._bodies.pulled(answer.stream, stream, self._client)
        stream.left_open(body)
        answer.stream = body
        return answer


class AsyncLine(_Line):
    """A line that awaits."""

    async def send(self) -> Any:
        """Send the request."""
        loops.forget_ended(self._transport)
        with sending():
            return await self._transport.handle_async_request(self._request)

    async def read(self, answer: Any) -> bytes:
        """The whole body as it came."""
        try:
            return b"".join([chunk async for chunk in answer.stream])
        finally:
            await answer.aclose()

    def chunks(self, answer: Any) -> Callable[[], Any]:
        """The body piece by piece."""
        rest = aiter(answer.stream)

        async def chunk() -> bytes | None:
            return await anext(rest, None)

        return chunk

    def streamed(self, answer: Any, stream: Stream) -> Any:
        """The same answer, its body pulled through a stream."""
        body = self._bodies.apulled(answer.stream, stream, self._client)
        stream.left_open(body)
        answer.stream = body
        return answer


class _Kept:
    """A body that is there already, to be read in either colour."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class _APulled:
    """A body that goes through a `Stream`, by awaiting."""

    def __init__(self, source: Any, stream: Stream, client: Any) -> None:
        import asyncio

        self._source, self._stream, self.client = source, stream, client
        self._lock = asyncio.Lock()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self._locked(self._stream.pull):
            yield chunk

    async def aclose(self) -> None:
        """Read what the caller left, unless the caller is being cancelled."""
        import asyncio

        task = asyncio.current_task()
        if task is not None and task.cancelling():
            self._stream.abandon()
        await self.drain()

    def __call__(self) -> Any:
        """Read to the end, where the loop is still there that it came in by."""
        import asyncio

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._stream.abandon()
            return None
        return self.drain()

    async def drain(self) -> None:
        """Read to the end, and close."""
        import asyncio

        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._locked(self._stream.drain)
        except TimeoutError:
            self._stream.abandon()
        finally:
            await self._source.aclose()

    async def _locked(self, way: Callable[[], Any]) -> Any:
        async with self._lock:
            return await adrive(way())


class _Bodies:
    """The kinds of bodies, made members of one module's own classes, which it checks for."""

    def __init__(self, module: ModuleType) -> None:
        sync, awaited = module.SyncByteStream, module.AsyncByteStream
        self.kept: Any = type("Kept", (_Kept, sync, awaited), {})
        self.pulled: Any = type("Pulled", (Pulled, sync), {})
        self.apulled: Any = type("APulled", (_APulled, awaited), {})


@cache
def _bodies(module: ModuleType) -> _Bodies:
    return _Bodies(module)
