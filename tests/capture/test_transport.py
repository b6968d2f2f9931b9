"""A client may be captured by its transport alone; nothing else is, and nothing is hooked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest
from tests.capture.asking import chat, plain
from tests.capture.conftest import Batch
from tests.capture.test_release import hooked, recorded

import payonce
from payonce.testing import MeteredProvider


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[payonce.Payonce]:
    """An app that captures nothing by itself."""
    app = payonce.Payonce(f"sqlite:///{tmp_path / 'bare.db'}", version="1")
    yield app
    app.release()
    app.close()


def _client(app: payonce.Payonce, provider: MeteredProvider, **terms: Any) -> openai.OpenAI:
    http = httpx2.Client(transport=app.transport(httpx2.HTTPTransport(), **terms))
    return openai.OpenAI(base_url=provider.openai_url, api_key="k", http_client=http)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_one_client_is_captured(
    bare: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI, streams: bool
) -> None:
    """Its calls are paid for once; those of another client each time."""
    before = hooked()

    def ask(client: openai.OpenAI, prompt: str) -> Any:
        answer = chat(client, prompt, stream=streams)
        return [plain(each) for each in answer] if streams else plain(answer)

    def work() -> Any:
        with _client(bare, provider) as client:
            ask(gpt, "[other] Go.")
            return ask(client, "[mine] Go.")

    first, second = Batch(bare, work).twice()
    assert first == second
    assert (provider.billed("mine"), provider.billed("other")) == (1, 2)
    assert hooked() == before


def test_a_stream_that_its_client_leaves_is_kept_whole(
    bare: payonce.Payonce, provider: MeteredProvider
) -> None:
    """Closing the client reads the rest first."""

    def work() -> Any:
        with _client(bare, provider) as client:
            return next(iter(chat(client, stream=True))).id

    first, second = Batch(bare, work).twice()
    assert first == second
    assert [call.state for call in recorded(bare)] == ["paid"]


def test_one_awaited_client_is_captured(bare: payonce.Payonce, provider: MeteredProvider) -> None:
    """The same for an asynchronous client, here a plain one of httpx to a named host."""
    body = {"model": "m", "messages": [{"role": "user", "content": "[mine] Go."}]}

    async def work() -> Any:
        transport = bare.transport(httpx.AsyncHTTPTransport(), hosts=["127.0.0.1"])
        async with httpx.AsyncClient(transport=transport) as client:
            answer = await client.post(f"{provider.openai_url}/chat/completions", json=body)
            return answer.json()

    first, second = asyncio.run(Batch(bare, work).atwice())
    assert first == second
    assert provider.billed("mine") == 1


def test_beside_capture_a_call_is_journaled_once(
    bare: payonce.Payonce, provider: MeteredProvider
) -> None:
    """Where both are there, the hook has the call."""
    bare.capture()
    with _client(bare, provider) as client:
        Batch(bare, lambda: plain(chat(client, "[mine] Go."))).twice()
    assert provider.billed("mine") == 1
    assert len(recorded(bare)) == 1


def test_only_the_apps_own_runs_are_meant(
    app: payonce.Payonce, bare: payonce.Payonce, provider: MeteredProvider
) -> None:
    """Another app's run passes through the transport; outside of a run a call can be refused."""
    app.release()
    with _client(bare, provider, outside="refuse") as client:
        Batch(app, lambda: plain(chat(client, "[mine] Go."))).twice()
        with pytest.raises(payonce.OutsideRun):
            chat(client)
    assert provider.billed("mine") == 2
    assert recorded(bare) == []
