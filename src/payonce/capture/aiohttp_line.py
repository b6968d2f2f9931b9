"""Edge, inside `capture`: how aiohttp sends and reads, as a line that awaits."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from payonce.capture.answers import Headers, end_to_end
from payonce.capture.recognise import Sent
from payonce.capture.recording import sending
from payonce.capture.stream import DRAIN_SECONDS, Done, Stream
from payonce.effects import adrive
from payonce.scope import current

_UNBOUNDED = sys.maxsize // 4
_OF_THE_WIRE = ("content-encoding", "content-length")


def sent_by(session: Any, method: str, url: Any, options: Mapping[str, Any]) -> Sent:
    """The request that a session is about to send."""
    url = session._build_url(url)
    if options.get("params"):
        url = url.extend_query(options["params"])
    headers = session._prepare_headers(options.get("headers"))
    by_name = {name.lower(): value for name, value in headers.items()}
    return Sent(method.upper(), url.host or "", url.port, url.raw_path_qs, by_name)


def left_by(session: Any) -> list[Any]:
    """The bodies of this run that are not read to their end yet, and came in by a session."""
    scope = current()
    waiting = list(scope.unfinished.values()) if scope is not None else []
    return [body for body in waiting if getattr(body, "session", None) is session]


class Line:
    """A line that awaits; aiohttp has decoded a body when it hands it out.

    `ask` sends the request, or where it is given an answer's bytes, gets that one.
    """

    def __init__(self, session: Any, ask: Callable[..., Awaitable[Any]]) -> None:
        self._session, self._ask = session, ask
        self._told: dict[str, Any] = {}

    async def body_of(self, options: Mapping[str, Any]) -> bytes:
        """What will be sent; a body that can be read only once is read here, and sent from here."""
        if options.get("json") is not None:
            said = self._session._json_serialize(options["json"])
            return said if isinstance(said, bytes) else bytes(said, "utf-8")
        data = options.get("data")
        if data is None or isinstance(data, bytes | bytearray | memoryview):
            return bytes(data or b"")
        if isinstance(data, str):
            return data.encode()
        return await self._read_once(data)

    async def _read_once(self, data: Any) -> bytes:
        from aiohttp import FormData
        from aiohttp.payload import PAYLOAD_REGISTRY, BytesPayload, LookupError

        try:
            payload = PAYLOAD_REGISTRY.get(data() if isinstance(data, FormData) else data, None)
        except LookupError:
            payload = FormData(data)()
        written: Any = _Written()
        await payload.write(written)
        body = bytes(written.body)
        told = BytesPayload(body, content_type=payload.content_type)
        self._told = {"data": told}
        return body

    async def send(self) -> Any:
        """Send the request."""
        with sending():
            return await self._ask(**self._told)

    def head(self, answer: Any) -> tuple[int, Headers]:
        """Status and headers, as they are without the encoding that aiohttp undoes."""
        headers = [(name, value) for name, value in answer.headers.items()]
        return answer.status, [each for each in headers if each[0].lower() not in _OF_THE_WIRE]

    async def read(self, answer: Any) -> bytes:
        """The whole body."""
        body = await answer.read()
        return bytes(body)

    def chunks(self, answer: Any) -> Callable[[], Any]:
        """The body piece by piece."""
        source = answer.content

        async def chunk() -> bytes | None:
            return await source.readany() or None

        return chunk

    async def made(self, status: int, headers: Headers, body: bytes) -> Any:
        """An answer that never was on the wire."""
        named = [each for each in end_to_end(headers) if each[0].lower() not in _OF_THE_WIRE]
        named.append(("content-length", str(len(body))))
        lines = [f"HTTP/1.1 {status} {_reason(status)}", *(f"{n}: {v}" for n, v in named)]
        head = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
        with sending():
            return await self._ask(kept=head + body)

    def whole(self, answer: Any, body: bytes) -> Any:
        """The same answer, whose content can be read again."""
        answer.content = _content(body)
        return answer

    def streamed(self, answer: Any, stream: Stream) -> Any:
        """The same answer, its body pulled through a stream."""
        connection, answer._connection = answer._connection, None
        answer.content = _content()
        body = _Pumped(self._session, stream, answer.content, connection)
        stream.left_open(body)
        return answer

    def unrepeated(self, answer: Any) -> Any:
        """The same answer: nothing over aiohttp obeys a header."""
        return answer


class _Pumped:
    """A body on its way from a connection to the caller, read on whether it is asked for or not."""

    def __init__(self, session: Any, stream: Stream, content: Any, connection: Any) -> None:
        self.session, self._stream = session, stream
        self._content, self._connection = content, connection
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._pump())

    async def _pump(self) -> None:
        try:
            while chunk := await adrive(self._stream.pull()):
                self._content.feed_data(chunk)
        except BaseException as exc:
            self._content.set_exception(exc)
            self._give_back("close")
            if not isinstance(exc, Exception):
                raise
        else:
            self._content.feed_eof()
            self._give_back("release")

    def _give_back(self, how: str) -> None:
        """The connection is none where the answer had come as a whole."""
        if self._connection is not None:
            getattr(self._connection, how)()

    def __call__(self) -> Any:
        """Read to the end, where the loop is still there that it came in by."""
        try:
            same = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            same = False
        if same:
            return self._drain()
        self._stream.abandon()
        return Done()

    async def _drain(self) -> None:
        await asyncio.wait([self._task], timeout=DRAIN_SECONDS)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])


class Nowhere(asyncio.Transport):
    """What is written here is not sent."""

    def write(self, data: Any) -> None:
        """Send nothing."""

    def writelines(self, list_of_data: Any) -> None:
        """Send nothing."""

    def is_closing(self) -> bool:
        """It is always there."""
        return False

    def close(self) -> None:
        """There is nothing to close."""

    def abort(self) -> None:
        """There is nothing to close."""


class _Written:
    """Takes what a payload would write on a connection."""

    def __init__(self) -> None:
        self.body = bytearray()

    async def write(self, chunk: Any) -> None:
        """Keep a piece."""
        self.body += chunk


def _content(body: bytes | None = None) -> Any:
    """A reader that a caller can read an answer from: of all of it, or of what is fed later."""
    from aiohttp.base_protocol import BaseProtocol
    from aiohttp.streams import StreamReader

    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(Nowhere())
    reader = StreamReader(protocol, _UNBOUNDED, loop=loop)
    if body is not None:
        reader.feed_data(body)
        reader.feed_eof()
    return reader


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
