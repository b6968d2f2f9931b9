"""boto3 against the metered provider: Bedrock's formats, its event stream and its exceptions."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest
from anthropic import AnthropicBedrock
from botocore.exceptions import ClientError, EventStreamError

from payonce.testing import (
    Fault,
    MeteredProvider,
    call_tool,
    error_event,
    insufficient_quota,
    reply,
    status,
)

CLAUDE = "anthropic.claude-3-5-sonnet-20240620-v1:0"
MESSAGES = [{"role": "user", "content": [{"text": "[outline] of a book on bees"}]}]
ASK: dict[str, Any] = {"modelId": CLAUDE, "messages": MESSAGES, "system": [{"text": "You write."}]}
WEATHER = {
    "name": "weather",
    "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
BODIES = {
    CLAUDE: {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "[outline] of a book on bees"}],
    },
    "eu.amazon.nova-lite-v1:0": {"messages": MESSAGES},
    "us.meta.llama3-1-8b-instruct-v1:0": {"prompt": "[outline] of a book on bees"},
}


def invoke(bedrock: Any, model: str, **body: Any) -> Any:
    """Invoke a model and read its body."""
    answer = bedrock.invoke_model(modelId=model, body=json.dumps(body or BODIES[model]))
    return json.load(answer["body"])


def chunks(bedrock: Any, model: str) -> list[Any]:
    """Invoke a model with a stream and read its chunks."""
    body = json.dumps(BODIES[model])
    answer = bedrock.invoke_model_with_response_stream(modelId=model, body=body)
    return [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]


def test_conversation(provider: MeteredProvider, bedrock: Any) -> None:
    """A conversation has text, stop reason and usage; the bill has the model of its path."""
    answer = bedrock.converse(**ASK)
    [billed] = provider.bill
    assert "outline of a book" in answer["output"]["message"]["content"][0]["text"]
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"]["inputTokens"] == billed.input_tokens
    assert answer["usage"]["outputTokens"] == billed.output_tokens
    assert answer["ResponseMetadata"]["RequestId"] == "req_00000001"
    assert (billed.provider, billed.model, billed.label) == ("bedrock", CLAUDE, "outline")


def test_conversation_stream(provider: MeteredProvider, bedrock: Any) -> None:
    """botocore reads every event out of the binary frames, and the usage at their end."""
    events = list(bedrock.converse_stream(**ASK)["stream"])
    text = "".join(e["contentBlockDelta"]["delta"]["text"] for e in events[1:-3])
    assert [next(iter(e)) for e in (events[0], *events[-3:])] == [
        "messageStart",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert text.startswith("Answer 1 · You write. outline of a book")
    assert events[-1]["metadata"]["usage"]["outputTokens"] == provider.bill[0].output_tokens
    assert provider.bill[0].stream


def test_tool_use(provider: MeteredProvider, bedrock: Any) -> None:
    """A tool that is demanded is used, one that a test wants is used once, streamed or not."""
    tools = {"tools": [{"toolSpec": WEATHER}], "toolChoice": {"tool": {"name": "weather"}}}
    whole = bedrock.converse(**ASK, toolConfig=tools)
    [block] = whole["output"]["message"]["content"]
    assert (whole["stopReason"], block["toolUse"]["name"]) == ("tool_use", "weather")
    assert "outline" in block["toolUse"]["input"]["city"]
    provider.fail("outline", call_tool("weather", {"city": "Oslo"}))
    events = list(bedrock.converse_stream(**ASK)["stream"])
    deltas = [e["contentBlockDelta"]["delta"] for e in events if "contentBlockDelta" in e]
    assert json.loads("".join(d["toolUse"]["input"] for d in deltas)) == {"city": "Oslo"}
    assert bedrock.converse(**ASK)["stopReason"] == "end_turn"


def test_structured_text(bedrock: Any) -> None:
    """A text for which a schema is given follows it."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    named = {"jsonSchema": {"name": "count", "schema": json.dumps(schema)}}
    wanted = {"textFormat": {"type": "json_schema", "structure": named}}
    answer = bedrock.converse(**ASK, outputConfig=wanted)
    assert json.loads(answer["output"]["message"]["content"][0]["text"]) == {"n": 1}


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (CLAUDE, lambda body: body["content"][0]["text"]),
        ("eu.amazon.nova-lite-v1:0", lambda body: body["output"]["message"]["content"][0]["text"]),
        ("us.meta.llama3-1-8b-instruct-v1:0", lambda body: body["generation"]),
    ],
)
def test_invoked_model(provider: MeteredProvider, bedrock: Any, model: str, text: Any) -> None:
    """Each family of models answers in its own body, and streams it in chunks with metrics."""
    assert "outline of a book" in text(invoke(bedrock, model))
    metrics = chunks(bedrock, model)[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["outputTokenCount"] == provider.bill[1].output_tokens
    assert [call.model for call in provider.bill] == [model, model]


def test_invoked_embedding(provider: MeteredProvider, bedrock: Any) -> None:
    """A Titan embedding has the size asked for and is billed by its input."""
    model = "amazon.titan-embed-text-v2:0"
    answer = invoke(bedrock, model, inputText="[vector] of a text", dimensions=4)
    assert len(answer["embedding"]) == 4
    assert answer["inputTextTokenCount"] == provider.bill[0].input_tokens
    assert (provider.bill[0].output_tokens, provider.billed("vector")) == (0, 1)
    with pytest.raises(ClientError, match="ValidationException"):
        bedrock.invoke_model_with_response_stream(modelId=model, body='{"inputText": "x"}')
    with pytest.raises(ClientError, match="identifier is invalid"):
        invoke(bedrock, "nobody.knows-v1:0", prompt="x")


def test_anthropics_own_client_of_bedrock(provider: MeteredProvider) -> None:
    """The anthropic SDK's client of Bedrock gets messages and their stream."""
    keys = {"aws_access_key": "AKIAMETERED", "aws_secret_key": "metered"}
    ask: Any = {"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "user", "content": "[a]"}]}
    with AnthropicBedrock(
        aws_region="us-east-1", base_url=provider.bedrock_url, max_retries=0, **keys
    ) as client:
        assert client.messages.create(**ask).usage.input_tokens
        with client.messages.stream(**ask) as stream:
            assert stream.get_final_message().stop_reason == "end_turn"
    assert [call.provider for call in provider.bill] == ["bedrock", "bedrock"]


@pytest.mark.parametrize(
    ("fault", "answered", "code"),
    [
        (status(400), 400, "ValidationException"),
        (status(403), 403, "AccessDeniedException"),
        (status(403, code="ExpiredTokenException"), 403, "ExpiredTokenException"),
        (status(404), 404, "ResourceNotFoundException"),
        (insufficient_quota(), 400, "ServiceQuotaExceededException"),
        (status(429), 429, "ThrottlingException"),
        (status(429, code="ModelNotReadyException"), 429, "ModelNotReadyException"),
        (status(503), 503, "ServiceUnavailableException"),
        (status(408), 408, "ModelTimeoutException"),
        (status(424), 424, "ModelErrorException"),
        (status(500), 500, "InternalServerException"),
    ],
)
def test_refusal_in_bedrocks_words(
    provider: MeteredProvider, bedrock: Any, fault: Fault, answered: int, code: str
) -> None:
    """A refused call raises boto3's error with the exception's name, and is not billed."""
    provider.fail("outline", fault)
    with pytest.raises(ClientError) as caught:
        bedrock.converse(**ASK)
    said = caught.value.response
    assert (said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]) == (code, answered)
    assert provider.billed() == 0


@pytest.mark.parametrize("code", ["ModelStreamErrorException", "ThrottlingException"])
def test_exception_within_a_stream(provider: MeteredProvider, bedrock: Any, code: str) -> None:
    """A stream can end in an exception after status 200."""
    provider.fail("outline", error_event(code, after_events=2))
    events: list[Any] = []
    stream = bedrock.converse_stream(**ASK)["stream"]
    with closing(stream), pytest.raises(EventStreamError) as caught:
        events.extend(stream)
    assert caught.value.response["Error"]["Code"] == code[0].lower() + code[1:]
    assert (provider.requests[0].status, provider.billed()) == (200, 1)


def test_length_stops_a_conversation(provider: MeteredProvider, bedrock: Any) -> None:
    """A text that was cut off says so."""
    provider.fail("outline", reply("half an", finish="length"))
    assert bedrock.converse(**ASK)["stopReason"] == "max_tokens"
