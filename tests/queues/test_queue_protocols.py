"""The corners of ASGI and WSGI that frameworks rarely touch, called without a server."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from payonce.delivery import current
from payonce.errors import ConfigError, KeyReused
from payonce.model import Verdict
from payonce.queues import asgi, wsgi

APP = object()


def wrapped(inner: Callable[..., Any], queue: str = "cloud-tasks") -> asgi.DeliveryMiddleware:
    """The middleware around `inner`."""
    return asgi.DeliveryMiddleware(inner, app=APP, queue=queue)


def connected(
    inner: Callable[..., Any],
    *received: MutableMapping[str, Any],
    queue: str = "cloud-tasks",
    kind: str = "http",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> list[MutableMapping[str, Any]]:
    """All that `inner` sends through the middleware."""
    sent: list[MutableMapping[str, Any]] = []
    waiting = list(received)

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": kind, "headers": list(headers)}
    asyncio.run(wrapped(inner, queue)(scope, receive, send))
    return sent


@pytest.mark.parametrize("adapter", [asgi.DeliveryMiddleware, wsgi.DeliveryMiddleware])
def test_an_unknown_queue_fails_at_once(adapter: Callable[..., Any]) -> None:
    """A misspelt queue is refused when the app is built, not at the first delivery."""
    with pytest.raises(ConfigError, match="cloudtasks"):
        adapter(lambda *_: None, app=APP, queue="cloudtasks")


@pytest.mark.parametrize("adapter", [asgi.DeliveryMiddleware, wsgi.DeliveryMiddleware])
def test_the_app_is_kept(adapter: Callable[..., Any]) -> None:
    """The middleware knows which app's jobs it speaks for."""
    assert adapter(lambda *_: None, app=APP, queue="http").app is APP


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_other_scopes_pass(kind: str) -> None:
    """Websockets and lifespan go to the app with the same receive and send."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": f"{kind}.said", "heard": (await receive())["type"]})
        assert current().delivery.queue == "direct"

    sent = connected(inner, {"type": f"{kind}.startup"}, kind=kind)
    assert sent == [{"type": f"{kind}.said", "heard": f"{kind}.startup"}]


def test_header_names_are_case_insensitive() -> None:
    """Origin headers are found however they are written."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        assert current().delivery.message == "q/t"

    connected(inner, headers=[(b"X-CLOUDTASKS-QueueName", b"q"), (b"x-CloudTasks-taskname", b"t")])


def test_a_body_in_pieces_is_read_and_replayed() -> None:
    """The pieces of a body arrive as they came, and what comes after them is received."""
    pieces = [
        {"type": "http.request", "body": b'{"message": {"mess', "more_body": True},
        {"type": "http.request", "body": b'ageId": "9"}}', "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        assert current().delivery.message == "9"
        assert [await receive() for _ in pieces] == pieces

    connected(inner, *pieces, queue="pubsub")


@pytest.mark.parametrize("length", [b"many", b"99999999999", b"9" * 5000])
def test_a_body_that_calls_itself_too_long_is_left_alone(length: bytes) -> None:
    """A body whose length is beyond the bound, or no number, is not waited for."""
    piece = {"type": "http.request", "body": b'{"message": {"messageId": "9"}}'}

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        assert current().delivery.message is None
        assert await receive() == piece

    connected(inner, piece, queue="pubsub", headers=[(b"content-length", length)])


def test_a_client_that_leaves_is_reported() -> None:
    """A body that breaks off has no origin; the app hears of the disconnect."""
    pieces = [
        {"type": "http.request", "body": b'{"mess', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        assert [await receive() for _ in pieces] == pieces
        assert current().delivery.message is None

    connected(inner, *pieces, queue="pubsub")


def test_cancellation_is_no_failure() -> None:
    """A cancelled request stays cancelled, whatever was noted."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        current().note(Verdict("park"))
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        connected(inner)


def test_a_500_that_is_raised_again_is_replaced_once() -> None:
    """A framework that answers 500 and raises afterwards is answered once, without an error."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"Internal Server Error"})
        current().note(Verdict("park"))
        raise ValueError

    sent = connected(inner)
    assert [message["type"][14:] for message in sent] == ["start", "body"]
    assert sent[0]["status"] == 204


@pytest.mark.parametrize("verdict", [None, Verdict("park")])
def test_what_is_kept_is_bounded(verdict: Verdict | None) -> None:
    """A long error response is let through before its end, or dropped for the verdict's answer."""
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        if verdict:
            current().note(verdict)
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"e" * 2_000_000, "more_body": True})
        assert len(sent) == (0 if verdict else 2)
        await send({"type": "http.response.body", "body": b"end"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asyncio.run(wrapped(inner)({"type": "http", "headers": []}, receive, send))
    assert sent[0]["status"] == (204 if verdict else 500)


def test_a_500_of_another_failure_comes_first() -> None:
    """Without a verdict the framework's 500 is sent, and its exception raised."""
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"Internal Server Error"})
        raise ValueError("the app's own")

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    with pytest.raises(ValueError, match="the app's own"):
        asyncio.run(wrapped(inner)({"type": "http", "headers": []}, receive, send))
    assert [message.get("body") for message in sent] == [None, b"Internal Server Error"]


def test_a_failure_beside_the_job_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The handler's own exception is not lost when the verdict is answered in its place."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        current().note(Verdict("park"))
        raise ValueError("the handler's own")

    assert connected(inner)[0]["status"] == 204
    assert "the handler's own" in caplog.text


def test_a_reused_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The queue is told to stop, so that nobody else would hear of it."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        raise KeyReused("job", "course:42", ("tenant",))

    def handler(environ: Any, start_response: Any) -> Any:
        raise KeyReused("job", "course:43", ("tenant",))

    assert connected(inner)[0]["status"] == 204
    assert called(handler)[0][0][0].startswith("204")
    assert "'course:42'" in caplog.text
    assert "'course:43'" in caplog.text


def environ(content: bytes = b"", **more: str) -> dict[str, Any]:
    """A POST request as WSGI hands it over."""
    made: dict[str, Any] = {"wsgi.input": io.BytesIO(content), **more}
    made |= {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(content)), "QUERY_STRING": ""}
    setup_testing_defaults(made)
    return made


def called(
    inner: Callable[..., Any], made: dict[str, Any] | None = None, queue: str = "cloud-tasks"
) -> tuple[list[Any], bytes]:
    """What `inner` answers through the middleware: each start, and the whole body."""
    starts: list[Any] = []
    written: list[bytes] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        starts.append((status, dict(headers)))
        return written.append

    response = wsgi.DeliveryMiddleware(inner, app=APP, queue=queue)(made or environ(), start)
    try:
        chunks = list(response)
    finally:
        response.close()  # type: ignore[attr-defined]
    return starts, b"".join([*written, *chunks])


@pytest.mark.parametrize("verdict", [None, Verdict("park"), Verdict("retry", after=1)])
def test_the_adapter_keeps_to_pep_3333(verdict: Verdict | None) -> None:
    """The standard library's validator finds no fault on either side of the middleware."""

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        if verdict is not None:
            current().note(verdict)
        start_response("500 Broken", [("Content-Type", "text/plain")])
        return [b"broken"]

    outer = validator(wsgi.DeliveryMiddleware(validator(inner), app=APP, queue="http"))
    response = outer(environ(), lambda *_: lambda chunk: None)
    body = b"".join(response)
    response.close()  # type: ignore[attr-defined]
    assert body == b"broken" if verdict is None else json.loads(body) == {"payonce": verdict.word}


def test_the_app_may_correct_its_start() -> None:
    """An app that starts again with `exc_info` before its first chunk is heard."""

    def inner(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError
        except ValueError:
            current().note(Verdict("park"))
            start_response("500 Broken", [], sys.exc_info())
        yield b"broken"

    starts, body = called(inner)
    assert ([status for status, _ in starts], body) == (["204 No Content"], b"")


def test_what_has_begun_is_not_begun_again() -> None:
    """A job that parks in mid-response raises: the status has gone, and a second one is no help."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        current().note(Verdict("park"))
        raise ValueError("parked")

    def wsgi_inner(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"begun"
        current().note(Verdict("park"))
        raise ValueError("parked")

    with pytest.raises(ValueError, match="parked"):
        connected(inner)
    with pytest.raises(ValueError, match="parked"):
        called(wsgi_inner)


def test_a_long_error_is_dropped_for_the_verdict() -> None:
    """An error response longer than what is kept is still replaced when a verdict was noted."""

    def inner(environ: Any, start_response: Any) -> Iterator[bytes]:
        current().note(Verdict("park"))
        start_response("500 Broken", [])
        yield from [b"e" * 1_000_000] * 3

    starts, body = called(inner)
    assert ([status for status, _ in starts], body) == (["204 No Content"], b"")


def test_qstash_gets_a_full_status_line() -> None:
    """A status that HTTP has no phrase for still makes a status line."""

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        current().note(Verdict("park"))
        raise ValueError

    starts, _ = called(inner, queue="qstash")
    assert starts[0][0] == "489 Not Retryable"


@pytest.mark.parametrize(("status", "told"), [("200 OK", b"written;rest"), ("500 No", b"")])
def test_the_old_write_works(status: str, told: bytes) -> None:
    """What an app hands to `write` follows the same rules as what it returns."""

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        current().note(Verdict("park"))
        start_response(status, [])(b"written;")
        return [b"rest"]

    assert called(inner)[1] == told


class Closing:
    """A response that tells when it was closed, and in which delivery."""

    def __init__(self, chunks: list[bytes], error: Exception | None = None) -> None:
        self.chunks, self.error, self.closed_in = chunks, error, list[str | None]()

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed_in.append(current().delivery.message)


@pytest.mark.parametrize("error", [None, ValueError()])
def test_responses_are_closed_within_their_delivery(error: Exception | None) -> None:
    """The app's iterable is closed exactly once, read to its end or broken off."""
    closing = Closing([b"broken"], error)

    def inner(environ: Any, start_response: Any) -> Closing:
        current().note(Verdict("retry"))
        start_response("500 Broken", [])
        return closing

    called(inner, environ(HTTP_X_CLOUDTASKS_TASKNAME="t1"))
    assert closing.closed_in == ["t1"]


def test_a_response_nobody_reads_to_its_end_is_closed() -> None:
    """A server that closes early closes the app's iterable, within its delivery."""
    closing = Closing([b"one", b"two"])

    def inner(environ: Any, start_response: Any) -> Closing:
        start_response("200 OK", [])
        return closing

    middleware = wsgi.DeliveryMiddleware(inner, app=APP, queue="cloud-tasks")
    response = middleware(environ(HTTP_X_CLOUDTASKS_TASKNAME="t1"), lambda *_: lambda _: None)
    assert next(iter(response)) == b"one"
    response.close()  # type: ignore[attr-defined]
    assert closing.closed_in == ["t1"]


def test_responses_iterated_by_turns_do_not_mix() -> None:
    """A server that iterates two responses in one thread finds each in its own delivery."""

    def inner(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for _ in range(2):
            yield str(current().delivery.message).encode()

    middleware = wsgi.DeliveryMiddleware(inner, app=APP, queue="cloud-tasks")
    both = [
        middleware(environ(HTTP_X_CLOUDTASKS_TASKNAME=name), lambda *_: lambda _: None)
        for name in ("one", "two")
    ]
    turns = [next(response) for _ in range(2) for response in both]  # type: ignore[call-overload]
    for response in both:
        response.close()  # type: ignore[attr-defined]
    assert (turns, current().delivery.queue) == ([b"one", b"two"] * 2, "direct")


@pytest.mark.parametrize("length", ["", "many", "-1", "99999999999", "9" * 5000])
def test_a_body_of_unknown_length_is_left_alone(length: str) -> None:
    """Without a usable length the body is not touched, and the origin stays unknown."""
    content = b'{"message": {"messageId": "9"}}'

    def inner(environ: Any, start_response: Any) -> list[bytes]:
        assert current().delivery.message is None
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    made = environ(content) | {"CONTENT_LENGTH": length}
    assert called(inner, made, queue="pubsub")[1] == content
