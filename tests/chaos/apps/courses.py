"""Courses whose texts are paid for, made in as many ways as a worker may be written."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from typing import Any

import crash
import openai
from client import USED, ask

from payonce import Money, Payonce
from payonce.testing.prices import tell

PARTS = ("one", "two", "three")
_STORE = os.environ["PAYONCE_STORE"]

app = Payonce(version="1", lease=float(os.environ.get("LEASE", "30")))
app.capture()
app.budget("100 USD")
app.budget("50 USD", tenant="*", per="day")
app.budget("60 USD", job="*", per="month")
tell(app.prices)


def cost(text: str) -> Money:
    """What a text cost, by the usage that came with it and the provider's prices."""
    known = app.prices.cost("openai", "gpt-5", USED.pop(text), at=0)
    assert known is not None
    return known


def text(course: str, part: str) -> str:
    """One paid text."""
    return ask(f"[{course}-{part}] a text")


async def atext(course: str, part: str) -> str:
    """The same from an event loop."""
    return await asyncio.to_thread(text, course, part)


_paid: dict[str, Any] = {"cost": cost, "ceiling": "0.01 USD"}
write = {part: app.step(name=part, in_doubt="retry", **_paid)(text) for part in PARTS}
awrite = {part: app.step(name=part, in_doubt="retry", **_paid)(atext) for part in PARTS}


@app.step(name="charge", **_paid)
def charge(course: str) -> str:
    """What may not be repeated while it is in doubt."""
    return text(course, "charge")


def job(function: Callable[..., Any]) -> Callable[..., Any]:
    """A job that is named after its function, and a duplicate of which doesn't wait long."""
    told: dict[str, Any] = {"name": function.__name__, "tenant": "school", "budget": "1 USD"}
    return app.job(key="{course}", attempts=8, backoff=0.01, wait=0.2, **told)(function)


@job
def one_by_one(course: str) -> str:
    """One lane."""
    return "".join(write[part](course, part) for part in PARTS) + charge(course)


@job
def in_threads(course: str) -> str:
    """Three lanes, threads."""
    with ThreadPoolExecutor(3) as threads:
        texts = list(threads.map(lambda part: write[part](course, part), PARTS))
    return "".join(texts) + charge(course)


@job
async def in_tasks(course: str) -> str:
    """Three lanes, tasks."""
    texts = await asyncio.gather(*(awrite[part](course, part) for part in PARTS))
    return "".join(texts) + charge(course)


@job
def by_sdk(course: str) -> str:
    """One lane, by OpenAI's SDK, captured."""
    return "".join(_by_sdk(f"[{course}-{part}] a text") for part in PARTS)


@job
def completed(course: str) -> str:
    """One lane, and its row is written in the transaction that ends the run."""
    value = "".join(write[part](course, part) for part in PARTS)
    with database() as db:
        db.execute(f"INSERT INTO courses (name) VALUES ('{course}')")
        app.complete(db, value)
    return value


JOBS = ("one_by_one", "in_threads", "in_tasks", "by_sdk", "completed")
_functions = dict(zip(JOBS, (one_by_one, in_threads, in_tasks, by_sdk, completed), strict=True))


def deliver(job: str, course: str) -> Any:
    """Work on one delivery."""
    value = _functions[job](course)
    return asyncio.run(value) if asyncio.iscoroutine(value) else value


def database() -> AbstractContextManager[Any]:
    """A transaction on the database that the journal lives in, too."""
    if _STORE.startswith("sqlite"):
        return _sqlite(_STORE.removeprefix("sqlite:///"))
    import psycopg

    from payonce.journal.postgres_url import parsed

    return psycopg.connect(parsed(_STORE).conninfo)


@contextmanager
def _sqlite(path: str) -> Iterator[Any]:
    with closing(sqlite3.connect(path, timeout=30)) as db, db:
        yield db


@cache
def _client(_: int) -> openai.OpenAI:
    return openai.OpenAI(api_key="sk-metered", timeout=60)


_making = threading.Lock()


def _by_sdk(prompt: str) -> str:
    with _making:
        client = _client(os.getpid())
    answer = client.responses.create(
        model="gpt-5", input=prompt, extra_headers={"User-Agent": crash.agent()}
    )
    return answer.output_text
