"""Edge, inside `capture`: the hook on urllib3, which requests and many other clients send with.

It sits where one physical request is made, under urllib3's own retries, so each is seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from io import BytesIO
from types import ModuleType
from typing import Any

from payonce.capture.answers import Headers, end_to_end
from payonce.capture.bodies import Pulled, PulledFile
from payonce.capture.hooking import OnImport, Places
from payonce.capture.recognise import Sent
from payonce.capture.recording import record, sending
from payonce.capture.registry import claim, is_of_interest, unknown
from payonce.capture.stream import Stream
from payonce.effects import drive

_PLACE = "_make_request"
_TAKES = ("conn", "method", "url", "body", "headers", "preload_content", "response_conn")
_PORTS = {"http": 80, "https": 443}
_places = Places()


def install() -> None:
    """Hook it if it is imported already, or once it is; again changes nothing."""
    _finder.start()


def uninstall() -> None:
    """Take the hook out again, but where somebody else has hooked in on top."""
    _finder.stop()
    _places.put_back()


def _hook(module: ModuleType) -> None:
    pool = getattr(module, "HTTPConnectionPool", None)
    if _places.has(pool, _PLACE):
        return
    original = getattr(pool, _PLACE, None)
    if not isinstance(pool, type) or original is None or not _is_known(original):
        unknown(sys.modules["urllib3"], f"HTTPConnectionPool.{_PLACE} of its version 2")
        return
    _places.put(pool, _PLACE, _making(original))


def _is_known(original: Callable[..., Any]) -> bool:
    return set(_TAKES) <= set(signature(original).parameters)


def _making(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def make_request(pool: Any, conn: Any, method: str, url: str, **options: Any) -> Any:
        claimed = None
        if is_of_interest():
            claimed = claim(_sent(pool, method, url, options.get("headers")))
        if claimed is None:
            return original(pool, conn, method, url, **options)
        body = _read(options.get("body"))
        as_sent = {**options, "body": body or options.get("body"), "preload_content": False}
        line = _Line(
            pool, method, url, options, lambda: original(pool, conn, method, url, **as_sent)
        )
        return drive(record(*claimed, body, line))

    return make_request


def _sent(pool: Any, method: str, url: str, headers: Mapping[str, Any] | None) -> Sent:
    by_name = {
        _text(name).lower(): _text(value) for name, value in (headers or pool.headers).items()
    }
    if "://" in url:  # through a proxy
        url = "/" + url.split("://", 1)[1].partition("/")[2]
    port = pool.port or _PORTS.get(pool.scheme)
    return Sent(method.upper(), pool.host, port, url, by_name)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _read(body: Any) -> bytes:
    """What will be sent; a body that can be read only once is read here, and sent from here."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        body = body.read()
        return body.encode() if isinstance(body, str) else bytes(body)
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    return b"".join(each.encode() if isinstance(each, str) else bytes(each) for each in body)


class _Line:
    """A line that blocks."""

    def __init__(
        self,
        pool: Any,
        method: str,
        url: str,
        options: Mapping[str, Any],
        send: Callable[[], Any],
    ) -> None:
        self._pool, self._method, self._url = pool, method, url
        self._options, self._send = options, send

    def send(self) -> Any:
        """Send the request."""
        with sending():
            return self._send()

    def head(self, answer: Any) -> tuple[int, Headers]:
        """Status and headers."""
        return answer.status, list(answer.headers.items())

    def read(self, answer: Any) -> bytes:
        """The whole body as it came."""
        try:
            return bytes(answer.read(decode_content=False))
        except BaseException:
            answer.close()
            raise

    def chunks(self, answer: Any) -> Callable[[], bytes | None]:
        """The body piece by piece."""
        rest = answer.stream(decode_content=False)
        return lambda: next(rest, None)

    def made(self, status: int, headers: Headers, body: bytes) -> Any:
        """An answer that never was on the wire; the connection meant for it is free again."""
        unused = self._options.get("response_conn")
        if unused is not None:
            self._pool._put_conn(unused)
        return self._answer(status, headers, BytesIO(body), None)

    def whole(self, answer: Any, body: bytes) -> Any:
        """The same answer with the body that was read from it."""
        headers = end_to_end(answer.headers.items())
        return self._answer(answer.status, headers, BytesIO(body), answer)

    def streamed(self, answer: Any, stream: Stream) -> Any:
        """The same answer, its body pulled through a stream."""
        body = Pulled(answer, stream, None)
        stream.left_open(body)
        headers = end_to_end(answer.headers.items())
        return self._answer(answer.status, headers, PulledFile(body), answer)

    def unrepeated(self, answer: Any) -> Any:
        """The same answer: urllib3 obeys no header, the journal refuses what it sends again."""
        return answer

    def _answer(self, status: int, headers: Headers, body: Any, live: Any) -> Any:
        from urllib3 import HTTPHeaderDict, HTTPResponse

        answer = HTTPResponse(
            body=body,
            headers=HTTPHeaderDict(headers),
            status=status,
            version=getattr(live, "version", 11),
            reason=getattr(live, "reason", None),
            preload_content=self._options.get("preload_content", True),
            decode_content=self._options.get("decode_content", True),
            original_response=getattr(live, "_original_response", None),
            enforce_content_length=self._options.get("enforce_content_length", True),
            request_method=self._method,
            request_url=self._url,
        )
        answer.retries = self._options.get("retries")
        return answer  # without a connection: a live answer gives back its own


_finder = OnImport(_hook, "urllib3.connectionpool")
