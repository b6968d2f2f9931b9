"""What the tests of capture share: a metered provider, an app that captures, real SDKs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from tests.capture.asking import client_for

import payonce
from payonce.journal.protocol import RunFilter
from payonce.model import Call
from payonce.testing import MeteredProvider
from payonce.testing.openai import ChatCompletions


class Batch:
    """A job of an app; by default its first delivery fails after its calls, as a late step would.

    Each `deliver` is one delivery, each of the same run.
    """

    def __init__(self, app: payonce.Payonce, work: Callable[[], Any], failures: int = 1) -> None:
        self.app, self.left = app, failures
        self.seen: list[Any] = []

        @app.job(key="batch:{n}", name=f"batch-{id(self)}", backoff=0.001, attempts=20)
        def batch(n: int) -> None:
            self._seen(work())

        @app.job(key="batch:{n}", name=f"abatch-{id(self)}", backoff=0.001, attempts=20)
        async def abatch(n: int) -> None:
            self._seen(await work())

        self.job, self.ajob = batch, abatch

    def _seen(self, value: Any) -> None:
        self.seen.append(value)
        if self.left:
            self.left -= 1
            raise RuntimeError("no column")

    def deliver(self) -> Any:
        """One delivery; its error is returned."""
        try:
            return self.job(1)
        except payonce.NotDone as told:
            return told

    async def adeliver(self) -> Any:
        """The same for asynchronous work."""
        try:
            return await self.ajob(1)
        except payonce.NotDone as told:
            return told

    def twice(self) -> list[Any]:
        """Two deliveries: what the work saw in each."""
        assert isinstance(self.deliver(), payonce.RetryLater)
        assert self.deliver() is None
        return self.seen

    async def atwice(self) -> list[Any]:
        """The same for asynchronous work."""
        assert isinstance(await self.adeliver(), payonce.RetryLater)
        assert await self.adeliver() is None
        return self.seen


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """A provider that counts what it bills."""
    with MeteredProvider() as provider:
        yield provider


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The journal's file."""
    return tmp_path / "journal.db"


@pytest.fixture
def app(store: Path) -> Iterator[payonce.Payonce]:
    """An app that captures what SDKs send."""
    app = payonce.Payonce(f"sqlite:///{store}", version="1")
    capture = app.capture()
    yield app
    capture.release()
    app.close()


@pytest.fixture
def calls(app: payonce.Payonce) -> Callable[[], list[Call]]:
    """The calls that the journal has, in their order."""

    def read() -> list[Call]:
        runs = app.journal.runs(RunFilter())
        return sorted((c for r in runs for c in app.journal.calls(r.run.id)), key=lambda c: c.id)

    return read


@pytest.fixture
def client(provider: MeteredProvider) -> Iterator[Callable[..., Any]]:
    """Makes the client of an endpoint's SDK, with options; it is closed in the end."""
    with ExitStack() as stack:

        def make(endpoint: str, **options: Any) -> Any:
            return stack.enter_context(client_for(endpoint, provider).with_options(**options))

        yield make


@pytest.fixture
def gpt(provider: MeteredProvider) -> Iterator[openai.OpenAI]:
    """OpenAI's client."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="sk-secret-of-openai") as client:
        yield client


@pytest.fixture
def claude(provider: MeteredProvider) -> Iterator[anthropic.Anthropic]:
    """Anthropic's client."""
    key = "sk-ant-secret-of-anthropic"
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key=key) as client:
        yield client


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Chat streams of the provider pause after three events until this is set."""
    opened, written = threading.Event(), ChatCompletions.events

    def pausing(self: ChatCompletions, answer: Any) -> Iterator[bytes]:
        whole = list(written(self, answer))
        yield from whole[:3]
        opened.wait(10)
        yield from whole[3:]

    monkeypatch.setattr(ChatCompletions, "events", pausing)
    yield opened
    opened.set()
