"""Programs over Anthropic's SDK."""

from __future__ import annotations

from typing import Any

import anthropic
from tests.capture.sdks.task import At

MODEL = "claude-opus-5"
ON_BEDROCK = "anthropic.claude-3-haiku-20240307-v1:0"
TOOL: Any = {
    "name": "save",
    "input_schema": {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
    },
}


def asked(at: At, model: str = MODEL) -> Any:
    messages = [{"role": "user", "content": at.prompt}]
    return {"model": model, "max_tokens": 100, "messages": messages}


def message(at: At) -> Any:
    with anthropic.Anthropic(timeout=at.timeout) as client:
        return client.messages.create(**asked(at)).model_dump()


async def amessage(at: At) -> Any:
    async with anthropic.AsyncAnthropic(timeout=at.timeout) as client:
        return (await client.messages.create(**asked(at))).model_dump()


async def amessage_over_aiohttp(at: At) -> Any:
    http = anthropic.DefaultAioHttpClient(timeout=at.timeout)
    async with anthropic.AsyncAnthropic(http_client=http) as client:
        return (await client.messages.create(**asked(at))).model_dump()


def message_tools(at: At) -> Any:
    with anthropic.Anthropic() as client:
        choice: Any = {"type": "any"}
        answer = client.messages.create(**asked(at), tools=[TOOL], tool_choice=choice)
        assert answer.stop_reason == "tool_use"
        return answer.model_dump()


def message_stream(at: At) -> Any:
    with anthropic.Anthropic() as client, client.messages.stream(**asked(at)) as stream:
        events = [event.model_dump() for event in stream]
        return [*events, stream.get_final_message().model_dump()]


async def amessage_stream(at: At) -> Any:
    async with (
        anthropic.AsyncAnthropic() as client,
        client.messages.stream(**asked(at)) as stream,
    ):
        return [event.model_dump() async for event in stream]


async def amessage_stream_over_aiohttp(at: At) -> Any:
    http = anthropic.DefaultAioHttpClient()
    async with anthropic.AsyncAnthropic(http_client=http) as client:
        events = await client.messages.create(**asked(at), stream=True)
        return [event.model_dump() async for event in events]


def message_events(at: At) -> Any:
    with anthropic.Anthropic() as client:
        events = client.messages.create(**asked(at), stream=True)
        return [event.model_dump() for event in events]


def bedrock(at: At) -> Any:
    with anthropic.AnthropicBedrock(timeout=at.timeout) as client:
        return client.messages.create(**asked(at, ON_BEDROCK)).model_dump()


def bedrock_stream(at: At) -> Any:
    with anthropic.AnthropicBedrock() as client:
        events = client.messages.create(**asked(at, ON_BEDROCK), stream=True)
        return [event.model_dump() for event in events]


async def abedrock_stream(at: At) -> Any:
    async with anthropic.AsyncAnthropicBedrock() as client:
        events = await client.messages.create(**asked(at, ON_BEDROCK), stream=True)
        return [event.model_dump() async for event in events]
