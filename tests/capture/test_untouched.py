"""What is none of payonce's business is the same with it and without: bytes, answers, errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from tests.capture.asking import CLAUDE, chat, embed, message, plain, respond
from tests.capture.conftest import Batch
from tests.capture.tap import Tap

import payonce
from payonce.testing import MeteredProvider, cut, drop, error_event, insufficient_quota, status

Case = Callable[[Any], Any]
UPLOAD = ("notes.jsonl", b'{"a": 1}\n' * 40, "application/jsonl")


@pytest.fixture
def tap(provider: MeteredProvider) -> Iterator[Tap]:
    """The wire to the provider."""
    tap = Tap(provider.url)
    yield tap
    tap.stop()


@contextmanager
def capturing(store: Path) -> Iterator[payonce.Payonce]:
    """An app that captures, with a job of its own."""
    app = payonce.Payonce(f"sqlite:///{store}", version="1")
    with app.capture():
        yield app
    app.close()


def _streamed(stream: Any) -> list[Any]:
    return [plain(event) for event in stream]


def _left(stream: Any) -> Any:
    with stream:
        return plain(next(iter(stream)))


def _count(client: Any) -> Any:
    asked: Any = [{"role": "user", "content": "Hello"}]
    return plain(client.messages.count_tokens(model=CLAUDE, messages=asked))


GPT: dict[str, Case] = {
    "chat": lambda c: plain(chat(c)),
    "responses": lambda c: plain(respond(c)),
    "embeddings": lambda c: plain(embed(c)),
    "stream": lambda c: _streamed(chat(c, stream=True)),
    "left stream": lambda c: _left(chat(c, stream=True)),
    "upload": lambda c: plain(c.files.create(file=UPLOAD, purpose="batch")),
    "speech to text": lambda c: plain(c.audio.transcriptions.create(model="w", file=UPLOAD)),
    "poll": lambda c: [plain(c.batches.retrieve("batch-1")) for _ in range(2)],
    "models": lambda c: [plain(each) for each in c.models.list()],
    "raw": lambda c: sorted(c.models.with_raw_response.list().headers.keys()),
}
CLAUDES: dict[str, Case] = {
    "message": lambda c: plain(message(c)),
    "stream": lambda c: _streamed(message(c, stream=True)),
    "left stream": lambda c: _left(message(c, stream=True)),
    "count": _count,
    "upload": lambda c: plain(c.beta.files.upload(file=UPLOAD)),
    "models": lambda c: plain(c.models.list(limit=1)),
}
FAULTS = {
    "400": (status(400), 1),
    "401": (status(401), 1),
    "429": (status(429, headers={"retry-after-ms": "1"}), 1),
    "quota": (insufficient_quota(), None),
    "500": (status(500, headers={"retry-after-ms": "1"}), 1),
    "dropped": (drop(), 1),
    "cut": (cut(), 1),
    "error event": (error_event("overloaded_error"), 1),
}


def _seen(case: Case, client: Any) -> Any:
    """What a caller sees: the answer without its random ids, or the error."""
    try:
        return _without_ids(case(client))
    except (openai.OpenAIError, anthropic.AnthropicError) as exc:
        cause = exc.__cause__
        return type(exc), str(exc), type(cause), str(cause)


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_ids(v) for k, v in value.items() if k not in _OF_THE_MOMENT}
    return [_without_ids(each) for each in value] if isinstance(value, list) else value


_OF_THE_MOMENT = {
    *("id", "item_id", "request_id", "created", "created_at"),
    *("text", "content", "delta", "embedding"),
}


def _gpt(tap: Tap) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{tap.url}/v1", api_key="sk-metered", max_retries=1)


def _claude(tap: Tap) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=tap.url, api_key="sk-ant-metered", max_retries=1)


def _both(tap: Tap, store: Path, case: Case, make: Callable[[Tap], Any]) -> Any:
    """The same with capture and without: what was seen, and what was sent, of each."""
    with make(tap) as client:
        bare = _seen(case, client)
    sent = tap.taken()
    with capturing(store), make(tap) as client:
        seen = _seen(case, client)
    return (bare, sent), (seen, tap.taken())


@pytest.mark.parametrize("case", GPT)
def test_openais_users_see_no_difference_outside_of_a_run(tap: Tap, store: Path, case: str) -> None:
    """Each request is the same byte for byte, and each answer or error is."""
    bare, captured = _both(tap, store, GPT[case], _gpt)
    assert bare == captured
    assert bare[1]


@pytest.mark.parametrize("case", CLAUDES)
def test_anthropics_users_see_no_difference_outside_of_a_run(
    tap: Tap, store: Path, case: str
) -> None:
    """The same for Anthropic's SDK."""
    bare, captured = _both(tap, store, CLAUDES[case], _claude)
    assert bare == captured
    assert bare[1]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_errors_are_the_same_outside_of_a_run(
    tap: Tap, provider: MeteredProvider, store: Path, fault: str, streams: bool
) -> None:
    """A refusal, a retry, a cut connection: the same exception, after the same requests."""

    def case(client: Any) -> Any:
        provider.heal()
        provider.fail("outline", *FAULTS[fault])
        answer = chat(client, stream=streams)
        return _streamed(answer) if streams else plain(answer)

    bare, captured = _both(tap, store, case, _gpt)
    assert bare == captured


def test_awaited_clients_see_no_difference_outside_of_a_run(tap: Tap, store: Path) -> None:
    """The same through the asynchronous clients of both SDKs."""

    async def both() -> Any:
        seen: list[Any] = []
        async with openai.AsyncOpenAI(base_url=f"{tap.url}/v1", api_key="k") as gpt:
            seen.append(plain(await chat(gpt)))
            seen.append([plain(event) async for event in await chat(gpt, stream=True)])
        async with anthropic.AsyncAnthropic(base_url=tap.url, api_key="k") as claude:
            seen.append(plain(await message(claude)))
            seen.append([plain(event) async for event in await message(claude, stream=True)])
        return _without_ids(seen)

    bare = asyncio.run(both()), tap.taken()
    with capturing(store):
        captured = asyncio.run(both()), tap.taken()
    assert bare == captured
    assert len(bare[0]) == 4


@pytest.mark.parametrize("case", ["upload", "poll", "models", "raw"])
def test_what_nobody_bills_is_the_same_inside_of_a_run(tap: Tap, store: Path, case: str) -> None:
    """Uploads, polling and lists pass through a run, byte for byte, in each attempt."""
    with _gpt(tap) as client:
        bare = _seen(GPT[case], client), tap.taken()
    with capturing(store) as app:
        seen = []
        for _ in range(2):
            with _gpt(tap) as client:
                Batch(app, lambda c=client: seen.append(_seen(GPT[case], c)), failures=0).deliver()
            assert (seen.pop(), tap.taken()) == bare


@pytest.mark.parametrize("case", ["chat", "stream", "speech to text"])
def test_a_captured_call_sends_what_the_sdk_sends(tap: Tap, store: Path, case: str) -> None:
    """Inside of a run, too, the provider gets the very bytes that it would get without payonce."""
    with _gpt(tap) as client:
        bare = _seen(GPT[case], client), tap.taken()
    with capturing(store) as app, _gpt(tap) as client:
        seen: list[Any] = []
        Batch(app, lambda: seen.append(_seen(GPT[case], client)), failures=0).deliver()
    assert tap.taken() == bare[1]
    assert seen == [bare[0]]
