"""What is hooked, whose calls are captured, and how it is taken out again."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest
from tests.capture.asking import chat, client_for, message, plain
from tests.capture.conftest import Batch

import payonce
from payonce.model import Call
from payonce.testing import MeteredProvider

Calls = Callable[[], list[Call]]
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[outline] Plain."}]}
MODULES = pytest.mark.parametrize("module", [httpx, httpx2])


def _authority(provider: MeteredProvider) -> str:
    return provider.url.removeprefix("http://")


@MODULES
def test_named_hosts_are_captured_from_any_client(
    app: payonce.Payonce, provider: MeteredProvider, module: Any
) -> None:
    """A plain client's call to a host in `hosts=` is paid for once, headers included."""
    app.capture(hosts=[_authority(provider)])

    def work() -> tuple[int, dict[str, Any], str]:
        with module.Client() as client:
            answer = client.post(f"{provider.openai_url}/chat/completions", json=BODY)
            return answer.status_code, answer.json(), answer.headers["x-request-id"]

    first, second = Batch(app, work).twice()
    assert provider.billed("outline") == 1
    assert first == second


@MODULES
def test_named_hosts_are_captured_from_awaited_clients(
    app: payonce.Payonce, provider: MeteredProvider, module: Any
) -> None:
    """The same through the asynchronous client."""
    app.capture(hosts=["127.0.0.1"])

    async def work() -> Any:
        async with module.AsyncClient() as client:
            answer = await client.post(f"{provider.openai_url}/chat/completions", json=BODY)
            return answer.json()

    first, second = asyncio.run(Batch(app, work).atwice())
    assert provider.billed("outline") == 1
    assert first == second


def test_other_hosts_pass_through(app: payonce.Payonce, provider: MeteredProvider) -> None:
    """A plain client's call to a host that nobody named is sent each time."""

    def work() -> None:
        httpx.post(f"{provider.openai_url}/chat/completions", json=BODY)

    Batch(app, work).twice()
    assert provider.billed("outline") == 2


def test_any_post_to_a_named_host_is_billed(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls
) -> None:
    """Of an unknown path nothing is read, and it is repeated only with an idempotency key."""
    app.capture(hosts=[_authority(provider)])
    url = f"{provider.url}/v1/charges"

    def work() -> None:
        httpx.post(url, json={"amount": 1})
        httpx.post(url, json={"amount": 2}, headers={"Idempotency-Key": "one"})
        httpx.get(url)

    Batch(app, work, failures=0).deliver()
    assert [call.name for call in calls()] == ["127.0.0.1 POST /v1/charges"] * 2
    assert [call.reason for call in calls()] == ["HTTP 404"] * 2


class _Charges(BaseHTTPRequestHandler):
    """Takes the money, then hangs up."""

    def do_POST(self) -> None:
        self.server.charged += 1  # type: ignore[attr-defined]
        self.close_connection = True


@pytest.mark.parametrize(("key", "charged"), [({}, 1), ({"Idempotency-Key": "one"}, 2)])
def test_a_named_hosts_call_in_doubt_asks_a_person(
    app: payonce.Payonce, key: dict[str, str], charged: int
) -> None:
    """What an unknown API did can't be known: only with an idempotency key it is repeated."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Charges) as server:
        server.charged = 0  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        authority = f"127.0.0.1:{server.server_port}"
        app.capture(hosts=[authority])
        url = f"http://{authority}/charges"
        batch = Batch(app, lambda: httpx.post(url, json={"amount": 1}, headers=key))
        for _ in range(4):
            assert isinstance(batch.deliver(), payonce.NotDone)
        server.shutdown()
        assert server.charged == charged  # type: ignore[attr-defined]
        assert isinstance(batch.deliver(), payonce.Parked)


def test_outside_of_a_run_calls_pass(app: payonce.Payonce, gpt: openai.OpenAI) -> None:
    """By default what is sent outside of a run is none of payonce's business."""
    assert chat(gpt).choices


@pytest.mark.parametrize(("ask", "endpoint"), [(chat, "chat"), (message, "messages")])
def test_outside_of_a_run_calls_can_be_refused(
    app: payonce.Payonce, provider: MeteredProvider, ask: Any, endpoint: str
) -> None:
    """With `outside="refuse"` the SDK lets the error through at once, and nothing is sent."""
    app.capture(outside="refuse")
    with client_for(endpoint, provider) as client:
        with pytest.raises(payonce.OutsideRun, match="outside of a run"):
            ask(client)
        assert plain(client.models.list()) is not None
        assert provider.received("outline") == 0
        assert Batch(app, lambda: plain(ask(client)), failures=0).deliver() is None


def test_two_apps_do_not_mix(
    app: payonce.Payonce, provider: MeteredProvider, tmp_path: Path, gpt: openai.OpenAI
) -> None:
    """A call is journaled by the app whose run it is made in, and by no other."""
    other = payonce.Payonce(f"sqlite:///{tmp_path / 'other.db'}", version="1")
    Batch(other, lambda: plain(chat(gpt))).twice()
    assert provider.billed("outline") == 2
    Batch(app, lambda: plain(chat(gpt))).twice()
    assert provider.billed("outline") == 3
    other.close()


def test_a_second_install_hooks_nothing_twice(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls, gpt: openai.OpenAI
) -> None:
    """One call is one record, however often and for however many apps it was installed."""
    second = app.capture()
    Batch(app, lambda: plain(chat(gpt))).twice()
    assert len(calls()) == provider.billed("outline") == 1
    second.release()


def test_a_bad_host_is_refused(app: payonce.Payonce) -> None:
    """A URL in place of a host would never match, so it is refused."""
    with pytest.raises(ValueError, match=r"https://api\.example\.com"):
        app.capture(hosts=["https://api.example.com"])


LATER = """
import json, sys
import payonce
app = payonce.Payonce(sys.argv[1], version="1")
with app.capture(hosts=[sys.argv[2].removeprefix("http://")]):
    early = {"httpx", "httpx2", "openai"} & set(sys.modules)
    if "alias" in sys.argv:
        import httpx2
        httpx2.alias_httpx()
    import httpx
    import openai
    client = openai.OpenAI(base_url=sys.argv[2] + "/v1", api_key="sk-metered")
    body = {"model": "m", "messages": [{"role": "user", "content": "[plain] Hello."}]}
    failures = [RuntimeError("no column")]

    @app.job(key="run:{n}", backoff=0.001)
    def batch(n: int) -> list[str]:
        text = client.responses.create(model="m", input="[outline] Hello.").output_text
        plain = httpx.post(sys.argv[2] + "/v1/chat/completions", json=body).json()["id"]
        if failures:
            raise failures.pop()
        return [text, plain]

    try:
        batch(1)
    except payonce.RetryLater:
        batch(1)
app.close()
print(json.dumps({"early": sorted(early), "one": httpx is sys.modules["httpx2"]}))
"""


@pytest.mark.parametrize("alias", [(), ("alias",)], ids=["two modules", "aliased"])
def test_modules_that_are_imported_later_are_hooked_then(
    provider: MeteredProvider, store: Path, tmp_path: Path, alias: tuple[str, ...]
) -> None:
    """Capturing imports no SDK, and of HTTP libraries the one that the price lists need.

    `alias_httpx()` still works after it.
    """
    program = tmp_path / "later.py"
    program.write_text(textwrap.dedent(LATER), encoding="utf-8")
    command = [sys.executable, str(program), f"sqlite:///{store}", provider.url, *alias]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(done.stdout) == {"early": ["httpx2"], "one": bool(alias)}
    assert provider.billed("outline") == provider.billed("plain") == 1
