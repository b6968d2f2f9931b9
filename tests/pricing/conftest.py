"""What the tests of prices share: a metered provider, an app that captures, one job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import payonce
from payonce.journal.protocol import RunFilter
from payonce.model import Call
from payonce.testing import MeteredProvider, Price

TABLE = {
    "*": Price("2.50", "10.00"),
    "gpt-5-mini": Price("0.25", "2", call="0.000000001"),
    "claude-opus-5": Price("4.9999", "25.0001"),
}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[MeteredProvider]:
    """A provider with prices of its own, which SDKs find by the environment."""
    with MeteredProvider(prices=TABLE) as provider:
        for name, value in provider.environ().items():
            monkeypatch.setenv(name, value)
        yield provider


@pytest.fixture
def app(tmp_path: Path) -> Iterator[payonce.Payonce]:
    """An app that captures what SDKs send."""
    app = payonce.Payonce(f"sqlite:///{tmp_path / 'journal.db'}", version="1")
    with app.capture():
        yield app
    app.close()


@pytest.fixture
def calls(app: payonce.Payonce) -> Callable[[], list[Call]]:
    """The calls that the journal has, in their order."""

    def read() -> list[Call]:
        runs = app.journal.runs(RunFilter())
        return sorted((c for r in runs for c in app.journal.calls(r.run.id)), key=lambda c: c.id)

    return read


@pytest.fixture
def run(app: payonce.Payonce) -> Callable[[Callable[[], Any]], Any]:
    """Does some work inside a run."""
    working: list[Callable[[], Any]] = []

    @app.job(key="work:{n}")
    def work(n: int) -> None:
        working[n]()

    @app.job(key="awork:{n}")
    async def awork(n: int) -> None:
        await working[n]()

    def start(function: Callable[[], Any]) -> Any:
        import inspect

        working.append(function)
        job = awork if inspect.iscoroutinefunction(function) else work
        return job(len(working) - 1)

    return start
