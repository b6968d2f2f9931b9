"""Streams are cut into events at whatever borders their chunks have."""

from __future__ import annotations

import json
import struct
from zlib import crc32

import pytest

from payonce.capture import eventstream
from payonce.capture.framing import splitter_for
from payonce.capture.recognise import Sent, recognise
from payonce.capture.sse import Event
from payonce.capture.wire import Seen, Sign


def message(payload: bytes, **headers: str) -> bytes:
    """A message of Amazon's binary framing; a number among its headers, as there may be."""
    block = b"\x03num\x04\x00\x00\x00\x07"
    for name, value in headers.items():
        key = f":{name.replace('_', '-')}".encode()
        block += struct.pack(">B", len(key)) + key
        block += struct.pack(">BH", 7, len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    head = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return head + struct.pack(">I", crc32(head))


MESSAGES = [
    message(
        b'{"delta": {"text": "A\xc3\xa9"}}', message_type="event", event_type="contentBlockDelta"
    ),
    message(b'{"stopReason": "end_turn"}', message_type="event", event_type="messageStop"),
    message(b'{"usage": {"inputTokens": 3}}', message_type="event", event_type="metadata"),
]
LINES = [b'{"event_type": "text-generation", "text": "A"}\n', b'{"event_type": "stream-end"}\n']
STREAMS = {
    "application/vnd.amazon.eventstream": MESSAGES,
    "application/stream+json; charset=utf-8": LINES,
}


@pytest.mark.parametrize("content_type", list(STREAMS))
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_events_are_found_at_any_border(content_type: str, size: int) -> None:
    """An event is whole when its last byte is there, and its bytes are those that came."""
    splitter, whole = splitter_for(content_type), b"".join(STREAMS[content_type])
    assert splitter is not None
    events: list[Event] = []
    for at in range(0, len(whole), size):
        events += splitter.feed(whole[at : at + size])
    assert [event.raw for event in events] == STREAMS[content_type]


def test_other_content_types_are_no_streams() -> None:
    """What has no known framing is read whole."""
    assert splitter_for("application/json") is None


def test_a_binary_event_has_its_name_and_its_data() -> None:
    """The name is the event's type, the data its payload; other headers are passed over."""
    first, *_ = eventstream.Splitter().feed(MESSAGES[0])
    assert first.name == "contentBlockDelta"
    assert json.loads(first.data) == {"delta": {"text": "Aé"}}


def test_bytes_that_are_no_event_stream_give_no_event() -> None:
    """A wrong checksum is the end: nothing that follows is taken for an event."""
    broken = bytearray(MESSAGES[0])
    broken[9] ^= 1
    splitter = eventstream.Splitter()
    assert splitter.feed(bytes(broken)) == []
    assert splitter.feed(MESSAGES[1]) == []


@pytest.mark.parametrize(
    ("host", "target", "agent", "wire", "model"),
    [
        ("api.mistral.ai", "/v1/fim/completions", "", "mistral", "m"),
        ("api.mistral.ai", "/v1/conversations/conv_1", "", "mistral", "m"),
        ("gateway.example", "/v1/chat/completions", "mistral-client-python/3.7.0", "mistral", "m"),
        ("api.cohere.com", "/v2/chat", "", "cohere", "m"),
        ("api.groq.com", "/openai/v1/chat/completions", "python-requests/2", "groq", "m"),
        ("api.groq.com", "/openai/v1/chat/completions", "OpenAI/Python 2", "openai", "m"),
        ("api.together.xyz", "/v1/images/generations", "", "together", "m"),
        ("x.example", "/v1beta/models/g-2:generateContent", "google-genai-sdk/3", "gemini", "g-2"),
        ("eu-aiplatform.googleapis.com", "/v1/models/g:predict", "", "gemini", "g"),
        ("generativelanguage.googleapis.com", "/v1beta/interactions", "", "gemini", "m"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "/model/a%3A0/invoke", "", "bedrock", "a:0"),
        ("x.example", "/model/a%3A0/invoke", "AnthropicBedrock/Python 2", "anthropic", "a:0"),
        ("x.example", "/model/a/converse", "litellm/1.106.2", "bedrock", "a"),
        ("generativelanguage.googleapis.com", "/v1beta/models/g:countTokens", "", None, None),
        ("lambda.eu-west-1.amazonaws.com", "/2015-03-31/functions/invoke", "", None, None),
        ("api.cohere.com", "/v1/tokenize", "", None, None),
    ],
)
def test_billed_calls_are_told_from_others(
    host: str, target: str, agent: str, wire: str | None, model: str | None
) -> None:
    """The format is the SDK's that sends, else the host's own; the model may be in the path."""
    sent = Sent("POST", host, 443, target, {"user-agent": agent})
    billed = recognise(sent, ())
    assert (billed and billed.wire.name) == wire
    assert (billed and billed.asked(b'{"model": "m"}').model) == model


def test_a_key_in_an_address_is_no_part_of_a_request() -> None:
    """A new key makes no new step, and the old one is masked."""
    asked = []
    for key in ("AIza-old-secret", "AIza-new-secret"):
        target = f"/v1beta/models/g:streamGenerateContent?key={key}&alt=sse"
        sent = Sent("POST", "generativelanguage.googleapis.com", 443, target, {})
        assert sent.secrets() == [key]
        billed = recognise(sent, ())
        assert billed is not None
        asked.append(billed.asked(b"{}"))
    assert asked[0] == asked[1]
    assert "secret" not in asked[0].name


@pytest.mark.parametrize(
    "name",
    ["authorization", "x-api-key", "xi-api-key", "x-auth-token", "ocp-apim-subscription-key"],
)
def test_the_key_in_any_header_is_known_as_a_secret(name: str) -> None:
    """An error that repeats it is masked, whoever's header it is; others are no secrets."""
    headers = {name: "Bearer qq-1", "idempotency-key": "order-7", "user-agent": "x"}
    assert Sent("POST", "api.example.com", 443, "/v1", headers).secrets() == ["qq-1"]


def test_cookies_are_secrets_but_say_nothing_of_who_pays() -> None:
    """An error that repeats a cookie is masked; a new one makes no hopeless call hopeful."""
    headers = {"cookie": "session=abc-1; theme=dark", "x-api-key": "qq-1"}
    sent = Sent("POST", "api.example.com", 443, "/v1", headers)
    assert sent.cookies() == ["abc-1", "dark"]
    assert sent.account() == ("qq-1",)


def test_a_signature_says_nothing_of_who_pays() -> None:
    """AWS signs each send anew; what stays is whose key it is."""
    told = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/eu/bedrock/aws4_request, Signature="
    accounts = {
        Sent("POST", "bedrock", 443, "/m", {"authorization": f"{told}{n}"}).account()
        for n in ("f00", "ba4")
    }
    assert accounts == {("AKIDEXAMPLE",)}


def test_a_refused_prompt_is_a_finished_answer() -> None:
    """Gemini ends a stream for a blocked prompt without a finish reason."""
    sent = Sent("POST", "generativelanguage.googleapis.com", 443, "/m:streamGenerateContent", {})
    billed = recognise(sent, ())
    assert billed is not None
    assert billed.wire.event is not None
    blocked = Event(b"", "message", b'{"promptFeedback": {"blockReason": "SAFETY"}}')
    assert billed.wire.event(blocked, Seen()) is Sign.FINISH
