"""Each way to fail, at each provider, through its SDK: what breaks and what is billed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.testing.doors import DOORS, Door

from payonce.testing import (
    Fault,
    KnownRefusal,
    MeteredProvider,
    cut,
    drop,
    error_event,
    gateway,
    hold,
    refusals,
    slow,
    stall,
    status,
)

LONG, SHORT = 30.0, 0.4
EACH_DOOR = pytest.mark.parametrize("door", DOORS.values(), ids=str)


def until(told: Callable[[], bool]) -> None:
    """Wait until something is so: a client may give up before the provider has written its bill."""
    give_up = time.monotonic() + 20
    while not told():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def text_of(events: list[Any]) -> str:
    """All that events say, to compare."""
    return "".join(str(event) for event in events)


@EACH_DOOR
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("fault", "patience"),
    [
        pytest.param(stall(60), SHORT, id="read-timeout"),
        pytest.param(drop(), LONG, id="dropped"),
        pytest.param(drop(reset=True), LONG, id="reset"),
        pytest.param(cut(after_events=2), LONG, id="cut"),
        pytest.param(cut(after_events=2, reset=True), LONG, id="cut-by-reset"),
        pytest.param(status(500, billed=True), LONG, id="500-after-billing"),
        pytest.param(gateway(), LONG, id="gateway"),
    ],
)
def test_billed_call_is_lost(
    provider: MeteredProvider, door: Door, stream: bool, fault: Fault, patience: float
) -> None:
    """The SDK raises an error after one request, and the provider has billed it.

    But boto3: of half a body it makes an answer that has no output.
    """
    provider.fail("outline", fault)
    if (door.name, stream, fault) == ("bedrock", False, cut(after_events=2)):
        [answer] = door.ask(provider, stream, patience)
        assert "output" not in answer
    else:
        with pytest.raises(door.raises):
            list(door.ask(provider, stream, patience))
    until(lambda: provider.billed("outline") == 1)
    assert provider.received() == 1


@EACH_DOOR
@pytest.mark.parametrize(
    "fault",
    [stall(60, after_events=0), stall(60, after_events=2), error_event(after_events=2)],
    ids=["stall-at-once", "stall", "error"],
)
def test_billed_stream_breaks(provider: MeteredProvider, door: Door, fault: Fault) -> None:
    """A stream can stall after status 200, with events or none, or end in an error."""
    provider.fail("outline", fault)
    events: list[Any] = []
    says_so = door.silent and fault.ending == "error_event"
    try:
        for event in door.ask(provider, True, SHORT if fault.wait else LONG):
            events.append(event)
    except door.raises:
        assert not says_so
    else:
        assert says_so
        assert "error" in str(events.pop()).lower()
    assert len(events) <= 2
    until(lambda: [seen.status for seen in provider.requests] == [200])
    assert provider.billed("outline") == 1


@EACH_DOOR
def test_stream_without_an_end(provider: MeteredProvider, door: Door) -> None:
    """A stream can end properly in HTTP and lack its last events: few SDKs notice."""
    whole = list(door.ask(provider, True, LONG))
    provider.fail("outline", cut(after_events=2, clean=True))
    events: list[Any] = []
    try:
        for event in door.ask(provider, True, LONG):
            events.append(event)
    except door.raises:
        pass
    assert len(events) <= 2 < len(whole)
    assert provider.billed("outline") == 2


@EACH_DOOR
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("code", [429, 503])
def test_call_that_is_not_billed(
    provider: MeteredProvider, door: Door, stream: bool, code: int
) -> None:
    """A throttled or overloaded provider refuses and bills nothing."""
    provider.fail("outline", status(code, retry_after=1))
    with pytest.raises(door.raises):
        list(door.ask(provider, stream, LONG))
    assert (provider.billed(), provider.received()) == (0, 1)


@EACH_DOOR
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_slow_call(provider: MeteredProvider, door: Door, stream: bool) -> None:
    """A slow first byte, and slow events, are only slow."""
    provider.fail("outline", slow(first_byte=0.05, between=0.001))
    assert list(door.ask(provider, stream, LONG))
    assert provider.billed("outline") == 1


@EACH_DOOR
def test_events_in_pieces(door: Door) -> None:
    """Events that are torn into single bytes say the same as whole ones."""
    said = []
    for fragment in (0, 1, 7):
        with MeteredProvider(fragment=fragment, text=lambda ask, n: "é · 蜂 bees") as provider:
            said.append(text_of([_plain(e) for e in door.ask(provider, True, LONG)]))
    assert said[0] == said[1] == said[2]


def _plain(event: Any) -> Any:
    """An event without what the clock makes different."""
    dump = event.model_dump() if hasattr(event, "model_dump") else event
    return _timeless(dump)


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        clocks = ("created", "created_at", "sdk_http_response")
        return {k: _timeless(v) for k, v in value.items() if k not in clocks}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


@EACH_DOOR
def test_stream_waits_in_its_middle(provider: MeteredProvider, door: Door) -> None:
    """A stream can be held after its first events, which are read meanwhile, and then goes on."""
    held = hold(after_events=3)
    provider.fail("outline", held)
    events = door.ask(provider, True, LONG)
    first = next(events)
    assert held.arrived.wait(20)
    assert provider.billed("outline") == 1
    held.release()
    assert len([first, *events]) > 3


CHAT = {"model": "m", "max_tokens": 1, "messages": [{"content": [{"text": "[a]"}]}]}
PATHS = {
    "openai": ("/v1/chat/completions", CHAT),
    "anthropic": ("/v1/messages", CHAT),
    "gemini": ("/gemini/v1/models/m:generateContent", {"contents": [{"parts": [{"text": "[a]"}]}]}),
    "bedrock": ("/bedrock/model/m/converse", CHAT),
    "mistral": ("/mistral/v1/chat/completions", CHAT),
    "cohere": ("/cohere/v2/chat", CHAT),
    "groq": ("/groq/openai/v1/chat/completions", CHAT),
    "together": ("/together/v1/chat/completions", CHAT),
    "rest": ("/rest/v1/charges", {"text": "[a]"}),
}


@pytest.mark.parametrize("known", refusals(), ids=lambda known: f"{known.provider}-{known.name}")
def test_known_refusal(provider: MeteredProvider, known: KnownRefusal) -> None:
    """Each known refusal is an error status, billed only where that may be."""
    path, body = PATHS[known.provider]
    provider.fail("a", known.fault)
    answer = httpx.post(provider.url + path, json=body)
    assert answer.status_code >= 400
    assert provider.billed() == (known.again == "doubt")


def test_known_refusals_can_be_chosen() -> None:
    """They can be had by provider and by what asking again does."""
    assert {known.provider for known in refusals()} == set(PATHS)
    assert {known.name for known in refusals("mistral", "never")} >= {"insufficient_quota"}
    for provider in PATHS:
        assert refusals(provider, "later")
        assert refusals(provider, "doubt")


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    "change",
    [
        {"messages": [1], "contents": [1]},
        {"messages": "none", "contents": "none"},
        {"messages": [{"role": "user"}], "tools": [1], "toolConfig": 1, "tool_choice": [1]},
        {"tools": "none", "generationConfig": "none", "response_format": [], "model": None},
    ],
    ids=["numbers", "texts", "tools", "options"],
)
def test_malformed_request(provider: MeteredProvider, name: str, change: dict[str, Any]) -> None:
    """A request with values in wrong places is answered or refused, never left without a word."""
    path, body = PATHS[name]
    for sent in (json.dumps({**body, **change}), "[]", "{", "\ud800".encode("utf-8", "replace")):
        headers = {"Content-Type": "application/json"}
        answer = httpx.post(provider.url + path, content=sent, headers=headers)
        assert answer.status_code in (200, 400, 422)
        assert answer.json()
    assert provider.received() == 4


def test_malformed_upload(provider: MeteredProvider) -> None:
    """An upload that is no form is refused, and so is one without parts."""
    for kind in ("application/json", "multipart/form-data; boundary=x", "multipart/form-data"):
        headers = {"Content-Type": kind}
        for path in ("/v1/files", "/v1/audio/transcriptions", "/v1/images/edits"):
            answer = httpx.post(provider.url + path, content=b"{}", headers=headers)
            assert (path, answer.status_code) == (path, 400)
    assert provider.billed() == 0
