"""Promise 4: without a journal no call is made, and an answer that was paid for is never lost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from tests.chaos.site import Site, locked
from tests.promises.asking import ask, outcome, word

import payonce
from payonce.errors import NotAJournal
from payonce.journal import journal_at
from payonce.journal.protocol import Journal
from payonce.model import Call, CallState
from payonce.testing import BilledCall, MeteredProvider, hook


def impatient(store: Path) -> Journal:
    """A journal on a file that doesn't wait long for those who lock it."""
    return journal_at(f"sqlite:///{store}", patience=0.1)


@pytest.fixture
def app(make_app: Callable[..., payonce.Payonce], store: Path) -> Iterator[payonce.Payonce]:
    """An app that captures, with little patience and a short lease: an attempt that could not be
    closed is over when its lease is."""
    app = make_app(lease=2.0)
    app.journal = impatient(store)
    with app.capture():
        yield app


@pytest.fixture
def course(app: payonce.Payonce, gpt: openai.OpenAI) -> Callable[[], list[str]]:
    """A job of two paid calls."""

    @app.job(key="course", backoff=0.001, wait=10)
    def work() -> list[str]:
        return [ask(gpt, "one"), ask(gpt, "two")]

    return work


def test_a_journal_that_cannot_be_written_stops_the_call(
    make_app: Callable[..., payonce.Payonce], gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Given a journal in a folder that nobody can write to, then the queue is told to come back
    later, and nothing is paid."""
    app = make_app(store="sqlite:////proc/payonce.db")

    @app.job(key="course")
    def work() -> str:
        return ask(gpt, "one")

    with app.capture():
        told = outcome(work)
    assert isinstance(told, payonce.RetryLater)
    assert told.paid == "no"
    assert (provider.billed(), provider.received()) == (0, 0)


def test_a_foreign_file_is_no_journal(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider, store: Path
) -> None:
    """Given a file of somebody else's in its place, then it is left as it is, and nothing is
    paid."""
    store.write_text("all my notes")

    @app.job(key="course")
    def work() -> str:
        return ask(gpt, "one")

    told = outcome(work)
    assert isinstance(told, NotAJournal)
    assert told.paid == "no"
    assert store.read_text() == "all my notes"
    assert provider.received() == 0


def test_a_locked_journal_stops_the_call(
    app: payonce.Payonce, course: Callable[[], list[str]], provider: MeteredProvider, store: Path
) -> None:
    """Given a journal that is locked, when a delivery comes, then nothing is sent; when the lock
    is gone, the next one does the work."""
    app.journal.find("any", "key")
    with locked(store):
        told = outcome(course)
        assert isinstance(told, payonce.RetryLater)
        assert told.paid == "no"
        assert provider.received() == 0
    assert len(course()) == 2
    assert provider.billed() == 2


def test_an_answer_is_spilled_and_no_further_call_is_made(
    course: Callable[[], list[str]],
    provider: MeteredProvider,
    store: Path,
    calls: Callable[[], list[Call]],
) -> None:
    """Given a journal that is locked while the first call is in flight, then its receipt is
    spilled, the second call is not made, and the next delivery merges and goes on."""
    lock = locked(store)

    def close(_: BilledCall | None) -> None:
        lock.__enter__()

    provider.fail("one", hook(close))
    told = outcome(course)
    spilled = list(store.with_name("journal.db.spill").iterdir())
    lock.__exit__(None, None, None)
    assert isinstance(told, payonce.RetryLater)
    assert (provider.billed("one"), provider.received("two")) == (1, 0)
    assert len(spilled) == 1
    assert len(course()) == 2
    assert (provider.billed("one"), provider.billed("two")) == (1, 1)
    assert [call.state for call in calls()] == [CallState.PAID, CallState.PAID]
    assert not spilled[0].exists()


def test_another_process_merges_what_was_spilled_before_a_kill(site: Site) -> None:
    """Given a receipt in a spill file, when its process is killed before the journal is back,
    then the delivery in another process replays it."""
    site.migrate()
    with site.provider.hold("three") as held:
        worker = site.start(patience=0.2)
        assert held.arrived.wait(20)
        with locked(site.store):
            held.release()
            assert worker.told().word == "RetryLater"
    (spilled,) = (site.folder / "payonce.db.spill").glob("*.json")
    assert site.deliver().word == "done"
    assert set(site.bill().values()) == {1}
    assert not spilled.exists()
    assert site.doubts() == []


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
    if "PATIENCE" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return text

main(app, generate)
"""


def test_what_the_caller_has_seen_is_kept_though_it_was_killed(
    site: Site, provider: MeteredProvider
) -> None:
    """Given a locked journal, when the caller is killed as soon as it has the answer, then the
    answer is in the spill file already."""
    (site.folder / "course.py").write_text(DYING)
    with provider.hold("one") as held:
        worker = site.start(patience=0.2)
        assert held.arrived.wait(20)
        with locked(site.store):
            held.release()
            assert worker.process.wait(20) == -signal.SIGKILL
    assert site.deliver().value.startswith("Answer 1")
    assert provider.billed("one") == 1


def test_a_spill_file_that_is_broken_is_left_alone(
    course: Callable[[], list[str]], provider: MeteredProvider, store: Path
) -> None:
    """Given a spill file that can't be read, then it stays for a person to look at, and the work
    goes on."""
    folder = store.with_name("journal.db.spill")
    folder.mkdir()
    (folder / "1-broken.json").write_text("{")
    assert len(course()) == 2
    assert (folder / "1-broken.json").exists()
    assert provider.billed() == 2


def test_the_same_holds_on_an_event_loop(
    app: payonce.Payonce, provider: MeteredProvider, store: Path, calls: Callable[[], list[Call]]
) -> None:
    """Given an asynchronous job and a lock that comes while its call is in flight, then its
    receipt is spilled as well."""
    lock = locked(store)

    def close(_: BilledCall | None) -> None:
        lock.__enter__()

    provider.fail("one", hook(close))

    @app.job(key="course", backoff=0.001, wait=10)
    async def work() -> str:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="sk-metered") as client:
            answer = await client.responses.create(model="gpt-5", input="[one]")
        return answer.output_text

    told = outcome(lambda: asyncio.run(work()))
    lock.__exit__(None, None, None)
    assert isinstance(told, payonce.RetryLater)
    assert asyncio.run(work()).startswith("Answer 1")
    assert provider.billed("one") == 1
    assert [call.state for call in calls()] == [CallState.PAID]


class Odd:
    """What no format can hold."""

    def __init__(self, text: str) -> None:
        self.text, self.descriptor = text, os.devnull.encode

    def __repr__(self) -> str:
        return f"<Odd {self.text}>"


def test_a_result_that_cannot_be_serialised_is_kept_in_words(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Given a step whose answer nothing can be made of again, then the attempt goes on with it,
    a later one parks instead of paying again, and its text can be read."""
    texts: list[str] = []

    @app.step
    def text() -> Odd:
        return Odd(ask(gpt, "one"))

    @app.job(key="course", backoff=0.001)
    def work() -> None:
        texts.append(text().text)
        raise ConnectionResetError

    assert word(work) == "RetryLater"
    told = outcome(work)
    assert isinstance(told, payonce.Parked)
    assert (len(texts), told.paid) == (1, "yes")
    assert texts[0] in str(told)
    assert provider.billed("one") == 1


def test_a_journal_that_was_deleted_is_no_journal(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider, store: Path
) -> None:
    """Promise 4. Given a journal whose file is removed while an attempt works, then no further
    call is made on the file that nobody will find again."""

    @app.job(key="course", backoff=0.001)
    def work() -> str:
        ask(gpt, "one")
        for path in store.parent.glob("journal.db*"):
            path.unlink()
        return ask(gpt, "two")

    assert word(work) == "RetryLater"
    assert provider.received("two") == 0


def test_a_receipt_outlives_the_journal_that_it_was_meant_for(
    make_app: Callable[..., payonce.Payonce],
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    store: Path,
) -> None:
    """Promise 4. Given a journal whose file is removed during a call, and made anew by another run,
    then the receipt is that of its own run, which pays nothing again."""

    def app_with(removed: bool) -> Callable[[str], str]:
        app = make_app(look_every=None)

        @app.step(name="text")
        def text() -> str:
            answer = ask(gpt, "one")
            for path in store.parent.glob("journal.db*") if removed else ():
                path.unlink()
            return answer

        @app.job(key="course:{name}", name="course", backoff=0.001)
        def work(name: str) -> str:
            return text()

        return work

    assert word(app_with(removed=True), "a") == "RetryLater"
    work = app_with(removed=False)
    assert outcome(work, "b") != outcome(work, "a")
    assert provider.billed("one") == 2, "one for each run"
