"""Spans find their place: across threads, tasks, queues, and other people's instruments."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults

import anthropic
import openai
import pytest
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from tests.otel.asking import chat, message, word
from tests.otel.conftest import Telemetry

import payonce
from payonce.money import NANOS
from payonce.queues import asgi, wsgi
from payonce.testing import MeteredProvider

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {
    "traceparent": f"00-{TRACE}-{SPAN}-01",
    "x-cloudtasks-queuename": "courses",
    "x-cloudtasks-taskname": "task-7",
    "x-cloudtasks-taskretrycount": "2",
}


@pytest.fixture
def instrumented(telemetry: Telemetry) -> Iterator[None]:
    """Clients of httpx and httpx2 under OpenTelemetry's own instrumentation."""
    both = (HTTPXClientInstrumentor(), HTTPX2ClientInstrumentor())
    for each in both:
        each.instrument(tracer_provider=telemetry.tracers)
    yield
    for each in both:
        each.uninstrument()


def _parents(telemetry: Telemetry) -> dict[str, str]:
    """Each span's name, with the name of what it is inside of."""
    spans = telemetry.spans()
    names = {span.context.span_id: span.name for span in spans if span.context}
    return {span.name: names.get(span.parent.span_id, "") for span in spans if span.parent}


def _attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.usefixtures("instrumented")
def test_others_spans_are_inside(
    app: payonce.Payonce, telemetry: Telemetry, provider: MeteredProvider
) -> None:
    """What httpx's instrumentation sees of a send is inside of its call, that inside its step."""

    @app.job(key="batch", name="batch")
    def batch() -> str:
        return ask()

    @app.step(name="ask")
    def ask() -> str:
        with openai.OpenAI(base_url=provider.openai_url, api_key="sk-metered") as client:
            return str(chat(client).id)

    batch()
    assert _parents(telemetry) == {
        "attempt batch": "process batch",
        "step ask": "attempt batch",
        "chat gpt-4o-mini": "step ask",
        "POST": "chat gpt-4o-mini",
    }


def test_an_instrumentation_of_the_sdk_is_around_a_call(
    make_app: Callable[..., payonce.Payonce], telemetry: Telemetry, provider: MeteredProvider
) -> None:
    """Its span holds ours, or the event of a replay; it counts tokens again that were not paid."""
    app = make_app()
    app.observe(telemetry.observer(gen_ai=False))
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(
        tracer_provider=telemetry.tracers, meter_provider=telemetry.meters, skip_dep_check=True
    )
    try:
        with openai.OpenAI(base_url=provider.openai_url, api_key="sk-metered") as client:
            tries: list[int] = []

            @app.job(key="batch", name="batch", backoff=0.001)
            def batch() -> None:
                chat(client)
                tries.append(1)
                if len(tries) == 1:
                    raise ConnectionResetError("the database is gone")

            assert [word(batch), word(batch)] == ["RetryLater", "done"]
    finally:
        instrumentor.uninstrument()
    assert _parents(telemetry) == {
        "attempt batch": "process batch",
        "chat gpt-4o-mini": "attempt batch",
        "call openai": "chat gpt-4o-mini",
    }
    first, second = telemetry.spans("chat")
    assert [e.name for e in first.events] == []
    assert [e.name for e in second.events] == ["payonce.replayed"]
    [billed] = provider.bill
    told = telemetry.total("gen_ai.client.token.usage")
    assert told == 2 * (billed.input_tokens + billed.output_tokens)


def test_an_sdk_that_tells_of_itself_is_not_told_of_twice(
    app: payonce.Payonce, telemetry: Telemetry, provider: MeteredProvider
) -> None:
    """Anthropic's own spans have the tokens, ours the cost; a replay is marked on the former."""
    tries: list[int] = []
    with anthropic.Anthropic(
        base_url=provider.anthropic_url,
        api_key="sk-ant-metered",
        open_telemetry={"tracer_provider": telemetry.tracers},
    ) as client:

        @app.job(key="batch", name="batch", backoff=0.001)
        def batch() -> None:
            message(client)
            tries.append(1)
            if len(tries) == 1:
                raise ConnectionResetError("the database is gone")

        assert [word(batch), word(batch)] == ["RetryLater", "done"]
    [ours] = telemetry.spans("chat")
    theirs, replayed = telemetry.spans("anthropic.messages")
    [billed] = provider.bill
    assert ours.parent == theirs.context
    spans = telemetry.spans()
    for name in ("input_tokens", "output_tokens"):
        told = [s for s in spans if f"gen_ai.usage.{name}" in _attributes(s)]
        assert told == [theirs, replayed]
    assert _attributes(theirs)["gen_ai.usage.output_tokens"] == billed.output_tokens
    assert _attributes(ours)["payonce.cost"] == billed.cost_nanos / NANOS
    assert _attributes(replayed)["payonce.replayed"] is True
    assert "payonce.replayed" not in _attributes(theirs)
    by = {"gen_ai.provider.name": "anthropic"}
    assert telemetry.total("gen_ai.client.inference.usage.output_tokens", by) == (
        billed.output_tokens
    )


def test_threads_take_the_span_along(
    app: payonce.Payonce, telemetry: Telemetry, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Calls in a pool's and in plain threads belong to the attempt that has started them."""

    @app.job(key="batch", name="batch")
    def batch() -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: chat(gpt, f"[outline] {n}"), range(4)))
        thread = threading.Thread(target=chat, args=(gpt, "[outline] last"))
        thread.start()
        thread.join()

    batch()
    [attempt] = telemetry.spans("attempt")
    calls = telemetry.spans("chat")
    assert provider.billed("outline") == len(calls) == 5
    assert attempt.context is not None
    assert {c.parent and c.parent.span_id for c in calls} == {attempt.context.span_id}


def test_tasks_take_the_span_along(
    app: payonce.Payonce, telemetry: Telemetry, provider: MeteredProvider
) -> None:
    """Calls of concurrent tasks are inside of their own steps, none in another's."""

    @app.step(name="ask")
    async def ask(n: int) -> list[str]:
        key = "sk-metered"
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key=key) as client:
            stream = await chat(client, f"[outline] {n}", stream=True)
            return [chunk.id async for chunk in stream]

    @app.job(key="batch", name="batch")
    async def batch() -> None:
        await asyncio.gather(*(ask(n) for n in range(4)))

    asyncio.run(batch())
    steps, calls = telemetry.spans("step ask"), telemetry.spans("chat")
    inside = [call.parent and call.parent.span_id for call in calls]
    assert provider.billed("outline") == len(calls) == 4
    assert sorted(map(str, inside)) == sorted(str(s.context and s.context.span_id) for s in steps)


def test_nothing_is_left_current(app: payonce.Payonce, telemetry: Telemetry) -> None:
    """After a job, be it done, parked or cancelled, the caller's own span is the current one."""
    from opentelemetry.trace import get_current_span

    begun = asyncio.Event()

    @app.job(key="{word}", name="batch")
    def batch(word: str) -> None:
        if word != "good":
            raise AttributeError(word)

    @app.job(key="{word}", name="abatch")
    async def abatch(word: str) -> None:
        begun.set()
        await asyncio.sleep(3600)

    async def cancelled() -> Any:
        task = asyncio.create_task(abatch("cancelled"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return get_current_span()

    with telemetry.tracers.get_tracer("test").start_as_current_span("mine") as mine:
        assert [word(batch, "good"), word(batch, "bad")] == ["done", "Parked"]
        assert get_current_span() is mine
        assert asyncio.run(cancelled()) is mine
    [*_, last] = telemetry.spans("attempt")
    assert _attributes(last)["error.type"] == "CancelledError"
    assert "payonce.verdict" not in _attributes(last)


def _deliver_asgi(
    app: payonce.Payonce, job: Callable[[], Any], queue: str, body: bytes = b""
) -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        job()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nothing(*_: Any) -> Any:
        return {"type": "http.request", "body": body}

    headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    handler = asgi.DeliveryMiddleware(inner, app=app, queue=queue)
    asyncio.run(handler({"type": "http", "headers": headers}, nothing, nothing))


def _deliver_wsgi(
    app: payonce.Payonce, job: Callable[[], Any], queue: str, body: bytes = b""
) -> None:
    def inner(environ: Any, start: Any) -> list[bytes]:
        job()
        start("200 OK", [])
        return [b""]

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    given: dict[str, Any] = {
        f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADERS.items()
    }
    given |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body)}
    handler = wsgi.DeliveryMiddleware(inner, app=app, queue=queue)
    list(handler(environ | given, lambda *_: lambda _: None))


@pytest.mark.parametrize("deliver", [_deliver_asgi, _deliver_wsgi])
def test_a_delivery_is_linked_to_its_sender(
    app: payonce.Payonce, telemetry: Telemetry, deliver: Callable[..., None]
) -> None:
    """A queue's delivery is a consumer's span in a trace of its own, linked by `traceparent`."""

    @app.job(key="course", name="course")
    def course() -> int:
        return 1

    for _ in range(2):
        deliver(app, course, "cloud-tasks")
    first, second = telemetry.spans("process")
    for span in (first, second):
        assert span.kind is SpanKind.CONSUMER
        assert span.parent is None
        [link] = span.links
        assert f"{link.context.trace_id:032x} {link.context.span_id:016x}" == f"{TRACE} {SPAN}"
    assert first.context is not None
    assert second.context is not None
    assert first.context.trace_id != second.context.trace_id
    told = _attributes(first)
    assert {n: v for n, v in told.items() if n.startswith("messaging")} == {
        "messaging.system": "gcp_cloud_tasks",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "courses",
        "messaging.message.id": "task-7",
    }
    assert told["payonce.delivery.retry_count"] == 2


@pytest.mark.parametrize("deliver", [_deliver_asgi, _deliver_wsgi])
@pytest.mark.parametrize("attributes", [True, False, None])
def test_pubsub_tells_its_sender_in_the_message(
    app: payonce.Payonce,
    telemetry: Telemetry,
    deliver: Callable[..., None],
    attributes: bool | None,
) -> None:
    """Pub/Sub's clients write the sender's context into the message; what is odd there is left."""

    @app.job(key="course", name="course")
    def course() -> int:
        return 1

    sender = f"00-{TRACE}-{SPAN[::-1]}-01"
    told: Any = {"googclient_traceparent": sender if attributes else 7, "other": "x"}
    message = {"messageId": "9", "attributes": told if attributes is not None else "googclient_"}
    push = {"message": message, "subscription": "projects/p/subscriptions/courses"}
    deliver(app, course, "pubsub", json.dumps(push).encode())
    [span] = telemetry.spans("process")
    [link] = span.links
    assert f"{link.context.span_id:016x}" == (SPAN[::-1] if attributes else SPAN)
    assert _attributes(span)["messaging.system"] == "gcp_pubsub"
    assert _attributes(span)["messaging.destination.subscription.name"] == "courses"
    assert _attributes(span)["messaging.message.id"] == "9"


def test_a_job_inside_a_job_is_inside_its_span(app: payonce.Payonce, telemetry: Telemetry) -> None:
    """A job that another one calls is no message's: it is inside, and linked to nobody."""

    @app.job(key="inner", name="inner")
    def inner() -> int:
        return 1

    @app.job(key="outer", name="outer")
    def outer() -> int:
        return inner()

    _deliver_asgi(app, outer, "http")
    assert _parents(telemetry)["process inner"] == "attempt outer"
    [span] = telemetry.spans("process inner")
    assert (span.kind, len(span.links)) == (SpanKind.INTERNAL, 0)
    [by_queue] = telemetry.spans("process outer")
    assert by_queue.kind is SpanKind.CONSUMER


def test_a_server_span_is_the_parent(app: payonce.Payonce, telemetry: Telemetry) -> None:
    """Where the web framework is instrumented, the delivery is inside of its server's span."""

    @app.job(key="course", name="course")
    def course() -> int:
        return 1

    with telemetry.tracers.get_tracer("asgi").start_as_current_span("POST /course"):
        _deliver_asgi(app, course, "cloud-tasks")
    assert _parents(telemetry)["process course"] == "POST /course"
