"""Promise 10: authorization headers, cookies and API keys are never stored."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anthropic
import httpx
import openai
import pytest
from tests.chaos.site import locked
from tests.promises.asking import ask, outcome, word

import payonce
from payonce.journal import journal_at
from payonce.journal.payload import grow
from payonce.model import Payload
from payonce.testing import BilledCall, MeteredProvider, drop, hook, status

OPENAI_KEY = "sk-proj-fMdRwGx7Qpz1TvLk2JhNb9Ys"
ANTHROPIC_KEY = "sk-ant-api03-wKq8ZsXn4VbTmYp6RdHc"
GOOGLE_KEY = "AIzaSyD4kQ9mXv2Lr7TzNc1WbPj8EuHs5GyFaKo"
COOKIE = "session-3f9ac2e771d04b58"
PASSWORD = "correct-horse-battery-staple"
SECRETS = (OPENAI_KEY, ANTHROPIC_KEY, GOOGLE_KEY, COOKIE, PASSWORD)


def everything(folder: Path) -> bytes:
    """All that is on the disk, and the payloads as they were before they were compressed."""
    files = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    payloads = []
    for store in folder.rglob("journal.db"):
        with closing(sqlite3.connect(store)) as db:
            for codec, body in db.execute("SELECT codec, body FROM payonce_payloads"):
                payloads.append(grow(Payload(codec, body)).body)
    return b"\n".join(files + payloads)


def assert_clean(folder: Path, *witnesses: str) -> None:
    """No secret is there; the witnesses are, so that what was looked through is the right thing."""
    found = everything(folder)
    assert [secret for secret in SECRETS if secret.encode() in found] == []
    assert [word for word in witnesses if word.encode() not in found] == []


@pytest.fixture
def gpt(provider: MeteredProvider) -> Iterator[openai.OpenAI]:
    """OpenAI's client, with a key that can be recognised."""
    headers = {"Cookie": f"sid={COOKIE}", "X-Api-Key": GOOGLE_KEY}
    with openai.OpenAI(
        base_url=provider.openai_url, api_key=OPENAI_KEY, default_headers=headers
    ) as client:
        yield client


class Gateway(BaseHTTPRequestHandler):
    """A billed API that sets a cookie, wants its key in the URL, and is no SDK's."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer, with a cookie in the head."""
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"answer": "a text that is paid for"}'
        self.send_response(200)
        self.send_header("Set-Cookie", f"sid={COOKIE}; HttpOnly")
        self.send_header("Authorization", f"Bearer {OPENAI_KEY}")
        self.send_header("X-Session-Token", COOKIE)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def gateway() -> Iterator[str]:
    """Where it listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def test_of_calls_that_went_well(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider, store: Path
) -> None:
    """Given both SDKs with their keys, and a cookie in the request: none of it is kept, while the
    journal is open and after it is closed."""

    @app.job(key="course")
    def work() -> str:
        with anthropic.Anthropic(base_url=provider.anthropic_url, api_key=ANTHROPIC_KEY) as claude:
            claude.messages.create(
                model="claude-opus-5", max_tokens=9, messages=[{"role": "user", "content": "[a]"}]
            )
        with gpt.responses.create(model="gpt-5", input="[b]", stream=True) as events:
            list(events)
        return gpt.responses.create(model="gpt-5", input="[c] [witness]").output_text

    assert work()
    assert provider.requests[-1].headers["authorization"] == f"Bearer {OPENAI_KEY}"
    assert {path.name for path in store.parent.iterdir()} >= {"journal.db", "journal.db-wal"}
    assert_clean(store.parent, "witness")
    app.close()
    assert_clean(store.parent, "witness")


def test_of_answers_that_carry_cookies(app: payonce.Payonce, gateway: str, store: Path) -> None:
    """Given a gateway that is called with its key in the URL, and that answers with a cookie:
    neither is kept, and the replay has none."""
    seen: list[dict[str, str]] = []
    app.capture(hosts=[gateway])

    @app.job(key="course", backoff=0.001)
    def work() -> None:
        with httpx.Client() as client:
            url = f"http://{gateway}/v1/generate?key={GOOGLE_KEY}"
            headers = {"Authorization": f"Bearer {OPENAI_KEY}", "Cookie": f"sid={COOKIE}"}
            answer = client.post(url, json={"prompt": "hello"}, headers=headers)
        assert answer.json() == {"answer": "a text that is paid for"}
        seen.append(dict(answer.headers))
        if len(seen) == 1:
            raise ConnectionResetError

    assert [word(work), word(work)] == ["RetryLater", "done"]
    assert "set-cookie" in seen[0]
    assert "set-cookie" not in seen[1]
    assert_clean(store.parent, "a text that is paid for", "/v1/generate")


def test_of_errors_that_carry_the_key(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider, store: Path
) -> None:
    """Given a provider that repeats the key in its error: the reason is kept, the key is not,
    neither in the journal nor in what is raised."""
    said = f"Incorrect API key provided: {OPENAI_KEY}. You can find your API key on the site."
    provider.fail("one", status(401, code="invalid_api_key", message=said), times=None)

    @app.job(key="course")
    def work() -> str:
        return gpt.responses.create(model="gpt-5", input="[one]").output_text

    told = outcome(work)
    assert isinstance(told, payonce.Parked)
    assert OPENAI_KEY not in str(told)
    app.close()
    assert_clean(store.parent, "Incorrect API key provided")


FAILURES: dict[str, Callable[[], Exception]] = {
    "header": lambda: RuntimeError(f"sent Authorization: Bearer {OPENAI_KEY} and failed"),
    "cookie": lambda: RuntimeError(f"got headers {{'Set-Cookie': 'sid={COOKIE}; Path=/'}}"),
    "url": lambda: RuntimeError(f"POST https://host/v1?key={GOOGLE_KEY}&alt=sse failed"),
    "store": lambda: RuntimeError(f"no connection to postgresql://app:{PASSWORD}@db/app"),
    "repr": lambda: RuntimeError(f"Client(api_key='{ANTHROPIC_KEY}', password='{PASSWORD}')"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_of_the_users_own_errors(app: payonce.Payonce, store: Path, name: str) -> None:
    """Given a step and a job that fail with a secret in the message, once as the failure and once
    as its cause: reasons, traces and fingerprints have none of it."""

    @app.step(in_doubt="retry")
    def text() -> str:
        raise FAILURES[name]()

    @app.job(key="course", backoff=0.001)
    def work() -> str:
        try:
            return text()
        except Exception as cause:
            raise LookupError(f"no text: {cause}") from cause

    assert word(work) == "Parked"
    app.close()
    assert_clean(store.parent, "no text")


def test_of_spilled_receipts(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider, store: Path
) -> None:
    """Given a journal that is locked when the answer comes: the spill file has none either."""
    app.journal = journal_at(f"sqlite:///{store}", patience=0.1)
    lock = locked(store)

    def close(_: BilledCall | None) -> None:
        lock.__enter__()

    provider.fail("one", hook(close))

    @app.job(key="course")
    def work() -> str:
        return gpt.responses.create(model="gpt-5", input="[one] [witness]").output_text

    assert word(work) == "RetryLater"
    (spilled,) = store.with_name("journal.db.spill").iterdir()
    lock.__exit__(None, None, None)
    assert spilled.stat().st_mode & 0o077 == 0
    assert_clean(store.parent, "course")


def test_of_calls_in_doubt(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider, store: Path
) -> None:
    """Given a connection that breaks, so that the call is in doubt: what is kept of it names
    neither key nor cookie."""
    provider.fail("one", drop())

    @app.job(key="course")
    def work() -> str:
        return gpt.responses.create(model="gpt-5", input="[one]").output_text

    assert word(work) == "RetryLater"
    app.close()
    assert_clean(store.parent, "in_doubt")


@pytest.mark.parametrize("key", ["7f3e9ab2c4d84e0f9d1b6a5c3e2f1a0b", "tok-acme-9911223344"])
@pytest.mark.parametrize("said", ["Invalid API key: {}", "Access denied for token '{}'"])
def test_a_key_of_no_known_shape_is_masked_in_an_error(
    app: payonce.Payonce, provider: MeteredProvider, store: Path, key: str, said: str
) -> None:
    """Promise 10. Given a gateway whose keys look like nothing, when its error repeats the key
    that the request carried, then it is kept neither in the journal nor in what is raised."""
    provider.fail("one", status(401, message=said.format(key)), times=None)
    with openai.OpenAI(base_url=provider.openai_url, api_key=key) as client:

        @app.job(key="course")
        def work() -> str:
            return ask(client, "one")

        told = outcome(work)
    app.close()
    assert key not in str(told)
    assert key.encode() not in everything(store.parent)
