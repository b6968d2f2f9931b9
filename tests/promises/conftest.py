"""A provider that counts what it bills, an app in this process, and a site for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from tests.chaos.site import PRICES, Site
from tests.databases.postgres import PostgresServer

import payonce
from payonce.journal.protocol import RunFilter
from payonce.model import Call, Run
from payonce.testing import MeteredProvider


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """The witness."""
    with MeteredProvider(prices=PRICES) as provider:
        yield provider


@pytest.fixture
def site(tmp_path: Path, provider: MeteredProvider) -> Iterator[Site]:
    """A batch of five paid texts, whose deliveries are processes of their own."""
    site = Site(tmp_path, provider)
    yield site
    site.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each promise is kept on both journals, but where a test looks into the file by itself."""
    if "journal_url" in metafunc.fixturenames:
        dialects = ("sqlite",) if "store" in metafunc.fixturenames else ("postgres", "sqlite")
        metafunc.parametrize("journal_url", dialects, indirect=True)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The journal's file."""
    return tmp_path / "journal.db"


@pytest.fixture
def journal_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the journal is."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/journal.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    schema = server.schema()
    yield f"{schema}&spill={tmp_path}"
    server.drop(schema)


@pytest.fixture
def make_app(journal_url: str) -> Iterator[Callable[..., payonce.Payonce]]:
    """Makes apps on one journal, each as another process would have it."""
    apps: list[payonce.Payonce] = []

    def make(**options: object) -> payonce.Payonce:
        named = {"store": journal_url, "version": "1"} | options
        apps.append(payonce.Payonce(**named))  # type: ignore[arg-type]
        return apps[-1]

    yield make
    for app in apps:
        app.close()


@pytest.fixture
def app(make_app: Callable[..., payonce.Payonce]) -> Iterator[payonce.Payonce]:
    """An app that captures what SDKs send."""
    app = make_app()
    with app.capture():
        yield app


@pytest.fixture
def gpt(provider: MeteredProvider) -> Iterator[openai.OpenAI]:
    """OpenAI's client, hidden retries included."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="sk-metered") as client:
        yield client


@pytest.fixture
def run(app: payonce.Payonce) -> Callable[[], Run]:
    """The one run of the journal."""

    def read() -> Run:
        (found,) = app.journal.runs(RunFilter())
        return found.run

    return read


@pytest.fixture
def calls(app: payonce.Payonce, run: Callable[[], Run]) -> Callable[[], list[Call]]:
    """The calls of the one run, as they were begun, and all that was to be written of them."""

    def read() -> list[Call]:
        app.journal.stop()
        return sorted(app.journal.calls(run().id), key=lambda call: call.id)

    return read
