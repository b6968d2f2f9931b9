"""Promise 1: intent before the call, outcome after it, no transaction open in between."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import openai
import pytest
from tests.chaos.site import Site
from tests.promises.asking import ask

import payonce
from payonce.testing import BilledCall, MeteredProvider, hook


def _states(store: Path) -> list[str]:
    """What another process would read of the calls at this moment."""
    with closing(sqlite3.connect(store)) as db:
        return [row[0] for row in db.execute("SELECT state FROM payonce_calls ORDER BY id")]


def _write_at_once(store: Path) -> None:
    """Take and leave the write lock; who waits for this call can't hold it meanwhile.

    Raises:
        sqlite3.OperationalError: somebody has a transaction open.
    """
    with closing(sqlite3.connect(store, timeout=5, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")


@pytest.fixture
def seen(provider: MeteredProvider, store: Path) -> list[list[str]]:
    """What the journal says whenever the provider has a call in hand."""
    seen: list[list[str]] = []

    def look(_: BilledCall | None) -> None:
        seen.append(_states(store))
        _write_at_once(store)

    provider.fail(None, hook(look), times=None)
    return seen


def test_of_a_captured_call(
    app: payonce.Payonce, gpt: openai.OpenAI, store: Path, seen: list[list[str]]
) -> None:
    """Given an SDK's call: while it is in flight its intent can be read and nobody is kept from
    writing; when the caller has the answer, its receipt can be read."""

    @app.job(key="course")
    def work() -> list[list[str]]:
        return [_states(store) for part in ("one", "two") if ask(gpt, part)]

    assert work() == [["paid"], ["paid", "paid"]]
    assert seen == [["intended"], ["paid", "intended"]]


def test_of_a_step(
    app: payonce.Payonce, gpt: openai.OpenAI, store: Path, seen: list[list[str]]
) -> None:
    """Given a step that calls the provider: the same, for the step and for the call in it."""

    @app.step
    def text(part: str) -> str:
        return ask(gpt, part)

    @app.job(key="course")
    def work() -> list[str]:
        assert text("one")
        return _states(store)

    assert work() == ["paid", "paid"]
    assert seen == [["intended", "intended"]]


async def _gathered(app: payonce.Payonce, provider: MeteredProvider, store: Path) -> list[int]:
    async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="sk-metered") as gpt:

        async def one(part: str) -> int:
            await gpt.responses.create(model="gpt-5", input=f"[{part}]")
            return _states(store).count("paid")

        @app.job(key="course")
        async def work() -> list[int]:
            return sorted(await asyncio.gather(one("one"), one("two"), one("three")))

        return await work()


def test_of_concurrent_calls_on_an_event_loop(
    app: payonce.Payonce, provider: MeteredProvider, store: Path, seen: list[list[str]]
) -> None:
    """Given three calls at once: no caller sees an answer before a receipt of its own is there."""
    counts = asyncio.run(_gathered(app, provider, store))
    assert all(count >= place for place, count in enumerate(counts, start=1))
    assert len(seen) == 3


def test_of_a_stream(
    app: payonce.Payonce, gpt: openai.OpenAI, store: Path, provider: MeteredProvider
) -> None:
    """Given a stream: text comes through while the call is only intended; the event that says it
    is complete comes when the receipt is there."""

    @app.job(key="course")
    def work() -> tuple[str, str]:
        at: dict[str, str] = {}
        with gpt.responses.create(model="gpt-5", input="[one]", stream=True) as events:
            for event in events:
                at.setdefault(event.type, _states(store)[0])
        return at["response.output_text.delta"], at["response.completed"]

    assert work() == ("intended", "paid")
    assert provider.billed("one") == 1


DYING = """
import os, signal
from llm import ask
from payonce import Payonce
from told import main

app = Payonce()

@app.step(cost="0.02 USD")
def write(part: str) -> str:
    return ask(f"[{part}]")

@app.job(key="course")
def generate() -> str:
    text = write("one")
    if not os.path.exists("seen"):
        open("seen", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return text

main(app, generate)
"""


def test_so_a_kill_right_after_the_answer_loses_nothing(
    site: Site, provider: MeteredProvider
) -> None:
    """When the process is killed by the first statement that sees the answer, then another one
    replays it."""
    (site.folder / "course.py").write_text(DYING)
    assert site.start().died()
    assert site.deliver().value.startswith("Answer 1")
    assert provider.billed("one") == 1


def test_unless_the_answer_is_a_refusal(
    app: payonce.Payonce, gpt: openai.OpenAI, store: Path, calls: Callable[[], list[object]]
) -> None:
    """A call that never left is released, and is no receipt."""
    away = gpt.with_options(base_url="http://127.0.0.1:9/v1", max_retries=0)

    @app.job(key="course")
    def work() -> None:
        with pytest.raises(openai.APIConnectionError):
            ask(away, "one")

    work()
    assert _states(store) == ["released"]
