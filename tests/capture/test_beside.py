"""Other people's instruments on the same libraries work beside capture, in either order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import respx
import vcr
from pytest_httpx import HTTPXMock
from tests.capture.conftest import Batch

import payonce
from payonce.testing import MeteredProvider

BODY = {"model": "m", "messages": [{"role": "user", "content": "[outline] Go."}]}
BILLED = "https://billed.example/charge"

PROGRAM = """
import asyncio, contextlib, json, sys
import anthropic, httpx, httpx2, openai, payonce
seen = []
{watch}
app = payonce.Payonce(sys.argv[1], version="1")
if "first" in sys.argv:
    app.capture()
watch()
if "first" not in sys.argv:
    app.capture()
gpt = openai.OpenAI(base_url=sys.argv[2] + "/v1", api_key="sk-metered")
claude = anthropic.Anthropic(base_url=sys.argv[2], api_key="sk-ant-metered")
message = [{"role": "user", "content": "[outline] Go."}]
answers = []

async def streamed():
    async with openai.AsyncOpenAI(base_url=sys.argv[2] + "/v1", api_key="sk-metered") as client:
        stream = await client.chat.completions.create(model="m", messages=message, stream=True)
        return [chunk.id async for chunk in stream]

@app.job(key="batch", backoff=0.001)
def batch() -> None:
    answers.append([
        gpt.chat.completions.create(model="m", messages=message).id,
        [chunk.id for chunk in gpt.responses.create(model="m", input="[outline] Go.", stream=True)
         if hasattr(chunk, "id")],
        claude.messages.create(model="claude-opus-5", max_tokens=9, messages=message).id,
        asyncio.run(streamed()),
    ])
    if len(answers) == 1:
        raise RuntimeError("no column")

def delivered():
    since = len(seen)
    with traced(), contextlib.suppress(payonce.RetryLater):
        batch()
    return len(seen) - since

told = [delivered(), delivered()]
app.release()
since = len(seen)
with traced():
    gpt.models.list()
told.append(len(seen) - since)
app.close()
print(json.dumps({"same": answers[0] == answers[1], "seen": told}))
"""

OPENTELEMETRY = """
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

class Exporter(SpanExporter):
    def export(self, spans):
        seen.extend(span.name for span in spans)
        return SpanExportResult.SUCCESS

def watch():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Exporter()))
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    HTTPX2ClientInstrumentor().instrument(tracer_provider=provider)

traced = contextlib.nullcontext
"""

SENTRY = """
import sentry_sdk
from sentry_sdk.integrations.anthropic import AnthropicIntegration
from sentry_sdk.integrations.httpx import HttpxIntegration
from sentry_sdk.integrations.httpx2 import Httpx2Integration
from sentry_sdk.integrations.openai import OpenAIIntegration

def kept(event, hint):
    ops = [span["op"] for span in event["spans"]]
    seen.extend(op for op in ops if op.startswith(("gen_ai.", "http.")))

def watch():
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        traces_sample_rate=1.0,
        before_send_transaction=kept,
        auto_enabling_integrations=False,
        integrations=[
            *(HttpxIntegration(), Httpx2Integration()),
            *(OpenAIIntegration(), AnthropicIntegration()),
        ],
    )

def traced():
    return sentry_sdk.start_transaction(name="batch")
"""


@pytest.mark.slow
@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize(
    ("watch", "seen"),
    [(OPENTELEMETRY, [4, 0, 1]), (SENTRY, [8, 8, 1])],
    ids=["OpenTelemetry", "Sentry"],
)
def test_instruments_work_beside_capture(
    provider: MeteredProvider, store: Path, tmp_path: Path, watch: str, seen: list[int], order: str
) -> None:
    """Each call is paid for once, and the instrument sees what it sees, whoever came first.

    OpenTelemetry's looks at what is sent, Sentry's at what is asked and at the clients' sending.
    """
    program = tmp_path / "watched.py"
    program.write_text(PROGRAM.replace("{watch}", watch), encoding="utf-8")
    command = [sys.executable, str(program), f"sqlite:///{store}", provider.url, order]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"same": True, "seen": seen}
    assert provider.billed("outline") == 4


def _asked(app: payonce.Payonce, module: Any = httpx) -> list[Any]:
    """What two attempts at one billed call see."""

    def work() -> tuple[int, Any]:
        with module.Client() as client:
            answer = client.post(BILLED, json=BODY)
            return answer.status_code, answer.json()

    app.capture(hosts=["billed.example"])
    return Batch(app, work).twice()


def test_respx_works_beside_capture(app: payonce.Payonce) -> None:
    """A mocked route is asked once; the second attempt has the receipt."""
    with respx.mock:
        route = respx.post(BILLED).respond(json={"id": 7})
        assert _asked(app) == [(200, {"id": 7})] * 2
        assert route.call_count == 1


def test_pytest_httpx_works_beside_capture(app: payonce.Payonce, httpx_mock: HTTPXMock) -> None:
    """The same with pytest-httpx."""
    httpx_mock.add_response(json={"id": 7})
    assert _asked(app) == [(200, {"id": 7})] * 2
    assert len(httpx_mock.get_requests()) == 1


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_vcrpy_works_beside_capture(
    app: payonce.Payonce, provider: MeteredProvider, tmp_path: Path, module: Any
) -> None:
    """A cassette records the one call, and plays it to a run that has no receipt."""
    app.capture(hosts=["127.0.0.1"])
    cassette = str(tmp_path / "cassette.yaml")

    def work() -> Any:
        with module.Client() as client:
            return client.post(f"{provider.openai_url}/chat/completions", json=BODY).json()["id"]

    with vcr.use_cassette(cassette) as tape:
        first, second = Batch(app, work).twice()
    assert (len(tape), provider.billed("outline")) == (1, 1)
    with vcr.use_cassette(cassette, record_mode="none") as tape:
        assert Batch(app, work).twice() == [first, second]
        assert tape.play_count == 1
    assert first == second
    assert provider.billed("outline") == 1
