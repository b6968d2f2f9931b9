"""What goes over urllib3 (requests, for one) is captured under its own retries."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from tests.capture.conftest import Batch

import payonce
from payonce.model import Call, CallState
from payonce.testing import MeteredProvider, cut, drop, status

CHARGE = {"amount": 500, "description": "[charge] A book on bees."}
Calls = Callable[[], list[Call]]


@pytest.fixture
def app(store: Any, provider: MeteredProvider) -> Iterator[payonce.Payonce]:
    """An app to whom the provider is a host that bills."""
    app = payonce.Payonce(f"sqlite:///{store}", version="1")
    with app.capture(hosts=[provider.url.removeprefix("http://")]):
        yield app
    app.close()


@pytest.fixture
def url(provider: MeteredProvider) -> str:
    """Where charges are made."""
    return f"{provider.rest_url}/v1/charges"


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session of requests."""
    with requests.Session() as session:
        yield session


def ways(url: str, session: requests.Session) -> dict[str, Callable[[], Any]]:
    """Ways to send a body and to read an answer."""
    text = b'{"description": "[charge] x"}'
    json = {"content-type": "application/json"}
    pool = urllib3.PoolManager()
    return {
        "json": lambda: session.post(url, json=CHARGE).json(),
        "form": lambda: session.post(url, data=CHARGE).text,
        "bytes": lambda: session.post(url, data=text, headers=json).content,
        "file": lambda: session.post(url, data=io.BytesIO(text), headers=json).content,
        "upload": lambda: session.post(url, data=CHARGE, files={"file": b"x"}).status_code,
        "headers": lambda: session.post(url, json=CHARGE).headers["content-type"],
        "raw": lambda: session.post(url, json=CHARGE, stream=True).raw.read(),
        "pieces": lambda: list(session.post(url, json=CHARGE, stream=True).iter_content(7)),
        "urllib3": lambda: pool.request("POST", url, json=CHARGE).json(),
        "unread": lambda: pool.request("POST", url, json=CHARGE, preload_content=False).read(),
    }


@pytest.mark.parametrize("name", ["key", "apikey", "api-key", "access_token", "Auth-Token"])
def test_a_new_key_in_the_address_is_no_new_charge(
    app: payonce.Payonce,
    provider: MeteredProvider,
    session: requests.Session,
    url: str,
    name: str,
) -> None:
    """A secret that changes between two deliveries is no part of what was asked for."""
    secrets = iter(("an-old-secret", "a-new-secret"))

    def charge() -> Any:
        return session.post(url, params={name: next(secrets), "v": "1"}, json=CHARGE).json()

    first, second = Batch(app, charge).twice()
    assert provider.billed("charge") == 1
    assert first == second


@pytest.mark.parametrize("way", list(ways("", requests.Session())))
def test_an_answer_is_paid_for_once(
    app: payonce.Payonce,
    provider: MeteredProvider,
    session: requests.Session,
    url: str,
    calls: Calls,
    way: str,
) -> None:
    """However a request is said and its answer read, the second delivery has it all again."""
    first, second = Batch(app, ways(url, session)[way]).twice()
    assert provider.billed("charge") == 1
    assert first == second
    assert [call.state for call in calls()] == [CallState.PAID]


def test_a_compressed_answer_is_replayed(app: payonce.Payonce, session: requests.Session) -> None:
    """It is kept as it came, and unpacked for each caller."""
    with MeteredProvider(gzip=True) as provider:
        app.capture(hosts=[provider.url.removeprefix("http://")])
        where = f"{provider.rest_url}/v1/charges"
        first, second = Batch(app, lambda: session.post(where, json=CHARGE).json()).twice()
        assert provider.billed("charge") == 1
    assert first == second


def test_a_pool_of_one_connection_gets_it_back(
    app: payonce.Payonce, provider: MeteredProvider, url: str
) -> None:
    """A live answer and a kept one both give their connection back: nobody waits for ever."""

    def work() -> list[Any]:
        with urllib3.PoolManager(maxsize=1, block=True) as pool:
            ask = {"method": "POST", "url": url, "preload_content": False}
            bodies = [{**CHARGE, "amount": amount} for amount in range(3)]
            return [pool.request(**ask, json=body).data for body in bodies]

    first, second = Batch(app, work).twice()
    assert provider.billed("charge") == 3
    assert first == second


def retrying(session: requests.Session) -> requests.Session:
    """A session that retries all that urllib3 can be told to retry."""
    again = urllib3.Retry(
        total=3, allowed_methods=None, status_forcelist=[429, 500, 503], backoff_factor=0
    )
    session.mount("http://", HTTPAdapter(max_retries=again))
    return session


def test_a_refusal_is_retried_as_the_session_is_told(
    app: payonce.Payonce,
    provider: MeteredProvider,
    session: requests.Session,
    url: str,
    calls: Calls,
) -> None:
    """Each of urllib3's own retries is a send of its own in the journal."""
    provider.fail("charge", status(503), times=2)
    work = Batch(app, lambda: retrying(session).post(url, json=CHARGE).json(), failures=0)
    assert work.deliver() is None
    assert provider.billed("charge") == 1
    states = [call.state for call in calls()]
    assert states == [CallState.RELEASED, CallState.RELEASED, CallState.PAID]


def test_what_may_be_billed_is_not_retried(
    app: payonce.Payonce,
    provider: MeteredProvider,
    session: requests.Session,
    url: str,
    calls: Calls,
) -> None:
    """A dropped connection: the journal stops the session's own retry, and a charge parks."""
    provider.fail("charge", drop(), times=None)
    work = Batch(app, lambda: retrying(session).post(url, json=CHARGE).json(), failures=0)
    assert isinstance(work.deliver(), payonce.Parked)
    assert provider.billed("charge") == 1
    assert [call.state for call in calls()] == [CallState.IN_DOUBT]


def test_an_answer_that_is_cut_is_in_doubt(
    app: payonce.Payonce,
    provider: MeteredProvider,
    session: requests.Session,
    url: str,
    calls: Calls,
) -> None:
    """The caller sees the error of its library."""
    provider.fail("charge", cut())

    def work() -> None:
        with pytest.raises(requests.ConnectionError):
            session.post(url, json=CHARGE)

    Batch(app, work, failures=0).deliver()
    assert provider.billed("charge") == 1
    assert [call.state for call in calls()] == [CallState.IN_DOUBT]


def test_outside_of_a_run_nothing_is_touched(
    app: payonce.Payonce, provider: MeteredProvider, session: requests.Session, url: str
) -> None:
    """The same session passes through."""
    for _ in range(2):
        assert session.post(url, json=CHARGE).status_code == 200
    assert provider.billed("charge") == 2


def test_one_call_through_two_layers_is_one_call(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """boto3 sends over urllib3, and OpenAI's client may over aiohttp: each has one call."""
    import asyncio

    import boto3
    import openai

    for name, value in provider.environ().items():
        monkeypatch.setenv(name, value)

    async def chat() -> str:
        http = openai.DefaultAioHttpClient()
        async with openai.AsyncOpenAI(http_client=http) as client:
            answer = await client.responses.create(model="gpt-4o", input="[chat] Hello.")
            return answer.id

    def work() -> Any:
        client = boto3.client("bedrock-runtime")
        messages = [{"role": "user", "content": [{"text": "[talk] Hello."}]}]
        answer = client.converse(modelId="anthropic.claude-3-haiku-v1:0", messages=messages)
        client.close()
        return answer["output"], asyncio.run(chat())

    first, second = Batch(app, work).twice()
    assert first == second
    assert len(calls()) == provider.billed() == 2
