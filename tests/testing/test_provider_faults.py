"""Each fault of the metered provider: what the SDKs make of it, and whether it is billed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from payonce.testing import (
    BilledCall,
    Fault,
    MeteredProvider,
    cut,
    drop,
    error_event,
    hold,
    hook,
    insufficient_quota,
    reply,
    slow,
    stall,
    status,
)

PROMPT = "[outline] of a book on bees"


def respond(client: openai.OpenAI, **options: Any) -> Any:
    """Ask through the responses API."""
    return client.responses.create(model="gpt-5", input=PROMPT, **options)


def chat(client: openai.OpenAI, **options: Any) -> Any:
    """Ask through chat completions."""
    messages: Any = [{"role": "user", "content": PROMPT}]
    return client.chat.completions.create(model="gpt-5", messages=messages, **options)


def message(claude: anthropic.Anthropic, **options: Any) -> Any:
    """Ask through messages."""
    messages: Any = [{"role": "user", "content": PROMPT}]
    return claude.messages.create(
        model="claude-opus-5", max_tokens=256, messages=messages, **options
    )


def read(stream: Any, events: list[Any]) -> None:
    """Keep the events of a stream that may break off."""
    for event in stream:
        events.append(event)


@pytest.mark.parametrize(
    ("fault", "error", "kind", "code"),
    [
        (status(400), openai.BadRequestError, "invalid_request_error", None),
        (status(401), openai.AuthenticationError, "invalid_request_error", "invalid_api_key"),
        (status(429), openai.RateLimitError, "requests", "rate_limit_exceeded"),
        (insufficient_quota(), openai.RateLimitError, "insufficient_quota", "insufficient_quota"),
        (status(500), openai.InternalServerError, "server_error", None),
        (
            status(503),
            openai.InternalServerError,
            "service_unavailable_error",
            "server_is_overloaded",
        ),
    ],
)
def test_refusal_in_openais_words(
    provider: MeteredProvider,
    client: openai.OpenAI,
    fault: Fault,
    error: type[openai.APIStatusError],
    kind: str,
    code: str | None,
) -> None:
    """A refused call raises the SDK's own error, typed and coded, and is not billed."""
    provider.fail("outline", fault)
    with pytest.raises(error) as caught:
        respond(client)
    assert (caught.value.type, caught.value.code) == (kind, code)
    assert (provider.billed(), provider.received("outline")) == (0, 1)


@pytest.mark.parametrize(
    ("fault", "answered", "kind"),
    [
        (status(400), 400, "invalid_request_error"),
        (status(402), 402, "billing_error"),
        (status(404), 404, "not_found_error"),
        (status(429), 429, "rate_limit_error"),
        (insufficient_quota(), 400, "invalid_request_error"),
        (status(500), 500, "api_error"),
        (status(529), 529, "overloaded_error"),
        (status(429, code="enforced_spend_limit_reached"), 429, "rate_limit_error"),
    ],
)
def test_refusal_in_anthropics_words(
    provider: MeteredProvider,
    claude: anthropic.Anthropic,
    fault: Fault,
    answered: int,
    kind: str,
) -> None:
    """A refused message raises the SDK's own error with Anthropic's body, and is not billed."""
    provider.fail(None, fault)
    with pytest.raises(anthropic.APIStatusError) as caught:
        message(claude)
    body: Any = caught.value.body
    assert (caught.value.status_code, body["error"]["type"]) == (answered, kind)
    assert (body["type"], body["request_id"]) == ("error", "req_00000001")
    assert body["error"].get("details", {}).get("error_code") in (None, fault.code)
    assert provider.billed() == 0


def test_faults_are_taken_in_order_and_by_label(
    provider: MeteredProvider, client: openai.OpenAI
) -> None:
    """A fault meets the next request with its label, so many times, and no other request."""
    provider.fail("chapter", status(500))
    provider.fail("outline", status(503), times=2)
    provider.fail(None, status(429))
    seen = []
    for _ in range(4):
        try:
            respond(client)
        except openai.APIStatusError as exc:
            seen.append(exc.status_code)
    assert seen == [503, 503, 429]
    assert provider.billed("outline") == 1
    provider.heal()
    assert client.responses.create(model="m", input="[chapter]").output_text


def test_sdk_retries_are_counted(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A retry hidden in the SDK is one more physical request; `retry_after` sets its pace."""
    provider.fail("outline", status(500, billed=True, retry_after=0.01), times=2)
    respond(client.with_options(max_retries=2))
    assert [seen.status for seen in provider.requests] == [500, 500, 200]
    assert provider.billed("outline") == 3


def test_headers_can_forbid_a_retry(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """Headers given to a status reach the client."""
    provider.fail(None, status(500, headers={"x-should-retry": "false"}))
    with pytest.raises(openai.InternalServerError):
        respond(client.with_options(max_retries=2))
    assert provider.received() == 1


@pytest.mark.parametrize("billed", [True, False])
def test_stall_outlasts_the_clients_patience(
    provider: MeteredProvider, client: openai.OpenAI, billed: bool
) -> None:
    """A stalled call times out at the client, billed or not."""
    provider.fail("outline", stall(30, billed=billed))
    with pytest.raises(openai.APITimeoutError):
        respond(client.with_options(timeout=0.2))
    assert provider.billed() == billed


def test_slow_call_is_answered(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A slow call is only slow."""
    provider.fail(None, slow(first_byte=0.05))
    assert respond(client).output_text
    assert provider.billed() == 1


@pytest.mark.parametrize("billed", [True, False])
@pytest.mark.parametrize("call", [respond, chat])
def test_dropped_call_gets_no_answer(
    provider: MeteredProvider, client: openai.OpenAI, call: Callable[..., Any], billed: bool
) -> None:
    """A dropped connection is a connection error, billed or not; no status is noted."""
    provider.fail("outline", drop(billed=billed))
    with pytest.raises(openai.APIConnectionError):
        call(client)
    assert [seen.status for seen in provider.requests] == [None]
    assert provider.billed() == billed


@pytest.mark.parametrize("call", [respond, chat])
def test_cut_stream_ends_after_so_many_events(
    provider: MeteredProvider, client: openai.OpenAI, call: Callable[..., Any]
) -> None:
    """A stream that is cut brings so many events and then an error."""
    provider.fail("outline", cut(after_events=3))
    events: list[Any] = []
    with pytest.raises(openai.APIConnectionError):
        read(call(client, stream=True), events)
    assert len(events) == 3
    assert provider.billed() == 1


def test_cut_body_is_half_a_body(
    provider: MeteredProvider, client: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    """What doesn't stream is cut in the middle of its body."""
    provider.fail("outline", cut(), times=2)
    with pytest.raises(openai.APIConnectionError):
        respond(client)
    with pytest.raises(anthropic.APIConnectionError):
        message(claude)
    assert provider.billed() == 2


@pytest.mark.parametrize("call", [respond, chat])
def test_error_event_in_openais_stream(
    provider: MeteredProvider, client: openai.OpenAI, call: Callable[..., Any]
) -> None:
    """A stream can end in an error after status 200; the responses API shows it as an event."""
    provider.fail("outline", error_event(message="It broke.", after_events=2))
    events: list[Any] = []
    if call is chat:
        with pytest.raises(openai.APIError, match=r"It broke\."):
            read(call(client, stream=True), events)
    else:
        read(call(client, stream=True), events)
        error = events.pop()
        assert (error.type, error.message) == ("error", "It broke.")
    assert len(events) == 2
    assert (provider.billed(), provider.requests[0].status) == (1, 200)


def test_error_event_in_anthropics_stream(
    provider: MeteredProvider, claude: anthropic.Anthropic
) -> None:
    """A message stream ends in `overloaded_error`; without a stream it is an error status."""
    provider.fail("outline", error_event(billed=False), times=2)
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(message(claude, stream=True))
    body: Any = caught.value.body
    assert body["error"]["type"] == "overloaded_error"
    with pytest.raises(anthropic.InternalServerError):
        message(claude)
    assert provider.billed() == 0


def test_reply_sets_the_text_and_how_it_finished(
    provider: MeteredProvider, client: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    """An answer can be made unusable: bad JSON, or stopped by its length, streamed or not."""
    provider.fail(None, reply("{not json"))
    assert respond(client).output_text == "{not json"
    provider.fail(None, reply(" half  an ", finish="length"), times=None)
    whole = respond(client)
    assert (whole.status, whole.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    chunks = list(chat(client, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == " half  an "
    assert chunks[-1].choices[0].finish_reason == "length"
    assert message(claude).stop_reason == "max_tokens"
    assert list(respond(client, stream=True))[-1].type == "response.incomplete"


def test_hooks_see_the_billed_call_before_it_is_answered(client: openai.OpenAI) -> None:
    """A provider's hook sees every call, a fault's hook its own; the bill comes first."""
    calls: list[BilledCall | None] = []
    with MeteredProvider(hook=calls.append) as provider:
        client = client.with_options(base_url=provider.openai_url)
        provider.fail("outline", hook(lambda call: calls.append(provider.bill[-1])))
        respond(client)
        provider.fail(None, status(500))
        with pytest.raises(openai.InternalServerError):
            respond(client)
        assert calls == [provider.bill[0], provider.bill[0], None]


def test_held_call_waits_until_it_is_released(
    provider: MeteredProvider, client: openai.OpenAI
) -> None:
    """A held call is billed and waiting; after the release it is answered."""
    held = hold()
    provider.fail("outline", held)
    program = "import openai; openai.OpenAI(max_retries=0).responses.create(model='m', input="
    command = [sys.executable, "-c", f"{program}{PROMPT!r})"]
    child = subprocess.Popen(command, env={**os.environ, **provider.environ()})
    assert held.arrived.wait(20)
    assert held.call is not None
    assert (provider.billed("outline"), provider.requests[0].status) == (1, None)
    held.release()
    assert child.wait(20) == 0
    assert respond(client).output_text


def test_client_can_be_killed_in_the_middle_of_a_billed_call(provider: MeteredProvider) -> None:
    """A client that is killed while its call is held leaves a billed call, and no answer."""
    with provider.hold("outline") as held:
        program = "import openai; openai.OpenAI().responses.create(model='m', input="
        command = [sys.executable, "-c", f"{program}{PROMPT!r})"]
        child = subprocess.Popen(command, env={**os.environ, **provider.environ()})
        assert held.arrived.wait(20)
        child.kill()
        assert child.wait(20) == -signal.SIGKILL
    assert (provider.billed("outline"), provider.received("outline")) == (1, 1)


def test_stopping_releases_what_is_held() -> None:
    """A provider that is stopped leaves no thread waiting."""
    with MeteredProvider() as provider:
        held = provider.hold()
    assert held._released.is_set()


def test_fault_needs_a_positive_count(provider: MeteredProvider) -> None:
    """A fault that would never happen is refused."""
    with pytest.raises(ValueError, match="positive"):
        provider.fail(None, status(500), times=0)
