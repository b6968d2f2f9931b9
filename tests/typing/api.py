"""The whole public API as a user would write it; never run, only type-checked."""

from __future__ import annotations

import sqlite3
from typing import Any, TypeVar, assert_type

import payonce
from payonce import (
    NOT_PAID,
    Alarms,
    Breaker,
    Busy,
    Diagnosis,
    Kind,
    Money,
    Parked,
    Payonce,
    RetryLater,
    Rule,
    WakesOn,
    classify,
    reject,
)
from payonce.notices import BreakerOpened, Notice, UnusualSpending
from payonce.notify import Apprise
from payonce.otel import OpenTelemetry
from payonce.queues.asgi import DeliveryMiddleware
from payonce.testing import AtLeastOnceQueue, MeteredProvider, call_tool, hold, refusals

T = TypeVar("T")
alarms = Alarms(floor="20 USD", times=5.0, days=7, deliveries=None, share=None)
app = Payonce("sqlite:///payonce.db", version="1", lease=30.0, look_every=60.0, alarms=alarms)
app.start()
app.watch("sqlite:///courses.db")
app.notify(Apprise("jsons://hooks.example.com/payonce"))
app.observe(OpenTelemetry(gen_ai=False, tenants=True))


def page(notice: Notice) -> None:
    """A hook."""
    if isinstance(notice, BreakerOpened):
        assert_type(notice.failed, int)
    if isinstance(notice, UnusualSpending):
        assert_type(notice.spent, Money)
    assert_type(notice.text, str)


app.notify(page)
app.watch(lambda: sqlite3.connect("courses.db"))
courses = app.schema(
    "sqlite:///courses.db", "INSERT INTO courses (outline) VALUES (?)", reads=["SELECT 1 FROM x"]
)


@app.job(
    key="course:{course_id}",
    tenant="{tenant}",
    attempts=5,
    wait=10.0,
    on_park="hold",
    breaker=Breaker(runs=5, probe_after=None, cautious=True),
    needs=[courses],
)
def generate_course(course_id: int, tenant: str) -> str:
    """A sync job."""
    return draft(course_id)


@app.job(key="news:{day}", ignore_args=("trace",))
async def write_news(day: str, trace: str = "") -> list[str]:
    """An async job."""
    return [await translate(day)]


@app.step(cost="0.02 USD", check=lambda text: len(text) > 3, resamples=1)
def draft(course_id: int) -> str:
    """A sync step."""
    return f"draft {course_id}"


@app.step
async def translate(text: str) -> str:
    """An async step without options."""
    return text


def charged(customer: str, *, idempotency_key: str) -> object:
    """What became of a charge."""
    return NOT_PAID


@app.step(cost=lambda cents: Money.parse("0.01 USD"), verify=charged, in_doubt="retry")
def charge(customer: str, *, idempotency_key: str = "") -> int:
    """A step with a key of its provider."""
    return 1


class Desk:
    """Steps may be methods, jobs may stand in a class."""

    @app.step(cost="0.02 USD", key="{question}")
    def ask(self, question: str) -> bytes:
        """A method as a step."""
        return question.encode()

    @app.step(key="{question}")
    async def aask(self, question: str) -> bytes:
        """The same, async."""
        return question.encode()

    @staticmethod
    @app.job(key="desk:{n}")
    def work(n: int) -> int:
        """A static method as a job."""
        return n


@app.step
def first(texts: list[T]) -> T:
    """A generic step."""
    return texts[0]


assert_type(Desk().ask("why"), bytes)
assert_type(Desk.work(1), int)
assert_type(first([1]), int)
assert_type(generate_course(1, tenant="acme"), str)
assert_type(draft(1), str)
assert_type(charge("acme"), int)


async def use() -> None:
    """The async colour keeps its types."""
    assert_type(await write_news("2026-06-12"), list[str])
    assert_type(await translate("x"), str)
    assert_type(await Desk().aask("x"), bytes)


def told() -> float | str:
    """Verdicts carry what a queue adapter needs."""
    try:
        generate_course(1, "acme")
    except RetryLater as later:
        return later.after
    except Busy as busy:
        return busy.after
    except Parked as parked:
        return parked.reason
    return "done"


def judged(exc: Exception) -> Diagnosis:
    """The classifier by itself, and with a rule of the user's own."""
    app.prices.add("our-*", provider="openai", input="1 USD", output=Money(1), factor="0.85")
    app.prices(model="*", call="0.05", currency="EUR")
    assert_type(app.prices.cost("openai", "m", {"input_tokens": 1}, at=0.0), Money | None)
    assert_type(app.prices.ceiling(None, "m", None, 0, at=0.0, host="h"), Money | None)
    app.failures.add(KeyError, kind=Kind.DETERMINISTIC, wakes_on=(WakesOn.INPUT,))
    assert_type(app.failures[0], Rule)
    reject("an answer that can't be used", why="it is empty")
    return classify(exc)


with app.capture(
    hosts=["llm-gateway.internal"],
    outside="refuse",
    drift="park",
    ignore=["metadata.sent_at", "messages.*.id"],
    sketches=False,
    strict=True,
):
    pass


async def web(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application."""


middleware = DeliveryMiddleware(web, app=app, queue="cloud-tasks")


def rehearse() -> int:
    """The testing tools."""
    with MeteredProvider() as provider:
        queue = AtLeastOnceQueue()
        task = queue.push("http://127.0.0.1:1/", {"course_id": 1})
        queue.deliver(task, times=2, anyway=True)
        provider.fail("outline", call_tool("weather", {"city": "Oslo"}))
        provider.fail("outline", hold(after_events=2), times=None)
        for known in refusals("openai", "never"):
            provider.fail(known.name, known.fault)
        return provider.billed("outline")


assert payonce.__version__
