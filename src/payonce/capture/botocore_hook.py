"""Edge, inside `capture`: the hook on botocore, which boto3 calls Bedrock with.

It sits under botocore's own retries, so each of them is seen, and above urllib3, whose major
versions differ there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from io import BytesIO
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from payonce.capture.answers import Headers
from payonce.capture.bodies import Pulled
from payonce.capture.hooking import OnImport, Places
from payonce.capture.recognise import Sent
from payonce.capture.recording import record, sending
from payonce.capture.registry import claim, is_of_interest, unknown
from payonce.capture.stream import Stream
from payonce.effects import drive

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
    session = getattr(module, "URLLib3Session", None)
    if _places.has(session, "send"):
        return
    original = getattr(session, "send", None)
    if not isinstance(session, type) or original is None:
        unknown(module, "URLLib3Session.send")
        return
    _places.put(session, "send", _sending(original))


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def send(session: Any, request: Any) -> Any:
        claimed = claim(_sent(request)) if is_of_interest() else None
        if claimed is None:
            return original(session, request)
        line = _Line(request, lambda: original(session, request))
        return drive(record(*claimed, _body(request), line))

    return send


def _sent(request: Any) -> Sent:
    url = urlsplit(request.url)
    target = f"{url.path}?{url.query}" if url.query else url.path
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    port = url.port or _PORTS.get(url.scheme)
    return Sent(request.method, url.hostname or "", port, target, headers)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _body(request: Any) -> bytes:
    body = request.body
    if hasattr(body, "read"):
        body = request.body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body or b"")


class _Line:
    """A line that blocks."""

    def __init__(self, request: Any, send: Callable[[], Any]) -> None:
        self._request, self._send = request, send

    def send(self) -> Any:
        """Send the request."""
        with sending():
            return self._send()

    def head(self, answer: Any) -> tuple[int, Headers]:
        """Status and headers."""
        return answer.status_code, list(answer.headers.items())

    def read(self, answer: Any) -> bytes:
        """The whole body as it came."""
        return bytes(answer.content)

    def chunks(self, answer: Any) -> Callable[[], bytes | None]:
        """The body piece by piece."""
        rest = answer.raw.stream()
        return lambda: next(rest, None)

    def made(self, status: int, headers: Headers, body: bytes) -> Any:
        """An answer that never was on the wire."""
        return self._answer(status, dict(headers), _Kept(body))

    def whole(self, answer: Any, body: bytes) -> Any:
        """The same answer with the body that was read from it."""
        return self._answer(answer.status_code, answer.headers, _Kept(body))

    def streamed(self, answer: Any, stream: Stream) -> Any:
        """The same answer, its body pulled through a stream."""
        body = _PulledBody(answer.raw, stream, None)
        stream.left_open(body)
        answer.raw = body
        return answer

    def unrepeated(self, answer: Any) -> Any:
        """The same answer: botocore obeys no header, the journal refuses what it sends again."""
        return answer

    def _answer(self, status: int, headers: Any, raw: Any) -> Any:
        from botocore.awsrequest import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
            AWSResponse,
        )

        return AWSResponse(self._request.url, status, headers, raw)


class _Kept(BytesIO):
    """A body that is there already."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """All of it in one piece."""
        if rest := self.read():
            yield rest


class _PulledBody(Pulled):
    """A body that goes through a `Stream`, in the words of urllib3."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """Piece by piece."""
        return iter(self)


_finder = OnImport(_hook, "botocore.httpsession")
