"""Edge: the adapter for ASGI apps (FastAPI, Starlette, Django) behind a push queue."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from payonce.delivery import DeliveryScope, receiving
from payonce.errors import KeyReused
from payonce.queues import profiles

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger("payonce.queues")


class DeliveryMiddleware:
    """Makes each HTTP request a delivery, and answers a job's verdict in the queue's words.

    Args:
        inner: the ASGI app whose endpoints call the jobs; put this around the outermost one.
        app: the `Payonce` whose jobs the endpoints call.
        queue: who sends the requests: `"cloud-tasks"`, `"pubsub"`, `"qstash"` or `"http"`;
            another one is a `ConfigError`.

    A response below 400 passes through untouched and at once. An error response, or an
    exception, is replaced when a job noted another verdict than `done`. An exception that no
    job has a say in is raised again. Websockets and lifespan are passed on.
    """

    def __init__(self, inner: ASGIApp, *, app: object, queue: str) -> None:
        self.inner, self.app, self.profile = inner, app, profiles.profile(queue)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI asks for."""
        if scope["type"] != "http":
            return await self.inner(scope, receive, send)
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        body = b""
        if self.profile.reads_body:
            body, receive = await _read(receive, headers.get("content-length", ""))
        came, carrier = profiles.read(self.profile, headers, body), profiles.carrier(headers, body)
        with receiving(came, carrier) as delivery:
            await self._answer(delivery, scope, receive, _Outgoing(delivery, send))

    async def _answer(
        self, delivery: DeliveryScope, scope: Scope, receive: Receive, outgoing: _Outgoing
    ) -> None:
        try:
            await self.inner(scope, receive, outgoing.send)
        except Exception as error:
            answer = profiles.settle(self.profile, delivery, error)
            if answer is None or outgoing.passing:
                if outgoing.fails():
                    await outgoing.release()
                raise
            match profiles.cause(error):
                case None:
                    _log.error("the handler failed beside its job", exc_info=error)
                case KeyReused() as reused:
                    _log.warning("%s", reused)
            await outgoing.replace(answer)
        else:
            answer = profiles.settle(self.profile, delivery, None)
            if answer is not None and outgoing.fails():
                await outgoing.replace(answer)
            else:
                await outgoing.release()


class _Outgoing:
    """Lets a response below 400 through; keeps an error response until it is known what it is.

    Any start waits for what follows it, as ASGI allows, so that an exception in between can
    still be answered. Starlette sends its 500 first and raises the exception afterwards: only
    the app's end tells.
    """

    def __init__(self, delivery: DeliveryScope, send: Send) -> None:
        self._delivery, self._send = delivery, send
        self._held: list[Message] = []
        self._size = 0
        self.passing = False

    def fails(self) -> bool:
        """Whether an error response is kept."""
        return bool(self._held) and self._held[0]["status"] >= 400

    async def send(self, message: Message) -> None:
        starts = message["type"] == "http.response.start"
        if self.passing or not (starts or self._held):
            return await self._send(message)
        if self.fails() and profiles.speaks(self._delivery.verdict):
            return None  # it will be replaced
        self._held.append(message)
        self._size += len(message.get("body", b""))
        if not (starts or self.fails()) or self._size > profiles.HELD_MAX:
            await self.release()

    async def release(self) -> None:
        held, self._held = self._held, []
        self.passing = self.passing or bool(held)
        for message in held:
            await self._send(message)

    async def replace(self, answer: profiles.Answer) -> None:
        headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in answer.headers]
        self._held = [
            {"type": "http.response.start", "status": answer.status, "headers": headers},
            {"type": "http.response.body", "body": answer.body},
        ]
        await self.release()


async def _read(receive: Receive, length: str) -> tuple[bytes, Receive]:
    """The body, empty when it is too long to be read for its origin, and how to receive it."""
    received: list[Message] = []
    size, more = 0, not length or profiles.readable(length)
    while more and size <= profiles.BODY_MAX:
        message = await receive()
        received.append(message)
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    whole = (
        b""
        if size > profiles.BODY_MAX
        else b"".join(message.get("body", b"") for message in received)
    )

    async def replay() -> Message:
        return received.pop(0) if received else await receive()

    return whole, replay
