"""Edge: the adapter for WSGI apps (Flask, Django) behind a push queue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import copy_context
from io import BytesIO
from typing import Any

from payonce.delivery import DeliveryScope, receiving
from payonce.errors import KeyReused
from payonce.model import Delivery
from payonce.queues import profiles

Environ = dict[str, Any]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

_log = logging.getLogger("payonce.queues")


class DeliveryMiddleware:
    """Makes each HTTP request a delivery, and answers a job's verdict in the queue's words.

    Args:
        inner: the WSGI app whose endpoints call the jobs; put this around the outermost one.
        app: the `Payonce` whose jobs the endpoints call.
        queue: who sends the requests: `"cloud-tasks"`, `"pubsub"`, `"qstash"` or `"http"`;
            another one is a `ConfigError`.

    The rules are those of `payonce.queues.asgi.DeliveryMiddleware`. The delivery lasts until
    the response has been iterated, in a context of its own.
    """

    def __init__(self, inner: WSGIApp, *, app: object, queue: str) -> None:
        self.inner, self.app, self.profile = inner, app, profiles.profile(queue)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request, as PEP 3333 asks for."""
        return _InContext(self._handle(environ, start_response))

    def _handle(self, environ: Environ, start_response: StartResponse) -> Generator[bytes]:
        with receiving(*self._read(environ)) as delivery:
            outgoing = _Outgoing(delivery, start_response)
            try:
                yield from outgoing.run(self.inner, environ)
            except Exception as error:
                answer = profiles.settle(self.profile, delivery, error)
                if answer is None or outgoing.passing:
                    raise
                match profiles.cause(error):
                    case None:
                        _log.error("the handler failed beside its job", exc_info=error)
                    case KeyReused() as reused:
                        _log.warning("%s", reused)
                yield from outgoing.replace(answer)
            else:
                answer = profiles.settle(self.profile, delivery, None)
                if answer is not None and outgoing.fails():
                    yield from outgoing.replace(answer)
                else:
                    yield from outgoing.release()

    def _read(self, environ: Environ) -> tuple[Delivery, profiles.Headers]:
        headers = {
            name[5:].replace("_", "-").lower(): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        length, body = str(environ.get("CONTENT_LENGTH") or ""), b""
        if self.profile.reads_body and profiles.readable(length):
            body = environ["wsgi.input"].read(int(length))
            environ["wsgi.input"] = BytesIO(body)
        return profiles.read(self.profile, headers, body), profiles.carrier(headers, body)


class _InContext:
    """Runs a response in a context of its own: servers may iterate several in one thread."""

    def __init__(self, response: Generator[bytes]) -> None:
        self._response, self._context = response, copy_context()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._context.run(next, self._response)

    def close(self) -> None:
        self._context.run(self._response.close)


class _Outgoing:
    """Lets a response below 400 through; keeps an error response until it is known what it is.

    Any start waits for the first chunk, as PEP 3333 asks for, so that an exception in between
    can still be answered.
    """

    def __init__(self, delivery: DeliveryScope, start_response: StartResponse) -> None:
        self._delivery, self._start = delivery, start_response
        self._held: tuple[str, list[tuple[str, str]]] | None = None
        self._chunks, self._size = list[bytes](), 0
        self._write: Write | None = None
        self.passing = False

    def fails(self) -> bool:
        """Whether an error response is kept."""
        return self._held is not None and int(self._held[0][:3]) >= 400

    def run(self, inner: WSGIApp, environ: Environ) -> Iterator[bytes]:
        chunks = inner(environ, self.start)
        try:
            for chunk in chunks:
                yield from self.take(chunk)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Write:
        if self.passing:
            return self._start(status, headers, exc_info)
        self._held, self._chunks = (status, headers), []
        return self.write

    def write(self, chunk: bytes) -> None:
        for passed in self.take(chunk):
            if self._write is not None:
                self._write(passed)

    def take(self, chunk: bytes) -> list[bytes]:
        """What may be sent on, now that `chunk` has come."""
        if self.passing or self._held is None:
            return [chunk]
        if self.fails() and profiles.speaks(self._delivery.verdict):
            return []
        self._chunks.append(chunk)
        self._size += len(chunk)
        keeps = self.fails() and self._size <= profiles.HELD_MAX
        return [] if keeps else self.release()

    def release(self) -> list[bytes]:
        if self._held is not None:
            self._write, self.passing = self._start(*self._held), True
        self._held = None
        chunks, self._chunks = self._chunks, []
        return chunks

    def replace(self, answer: profiles.Answer) -> list[bytes]:
        self._held, self._chunks = (answer.status_line, list(answer.headers)), [answer.body]
        return self.release()
