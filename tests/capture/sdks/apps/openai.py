"""Programs over OpenAI's SDK."""

from __future__ import annotations

import hashlib
from typing import Any

import openai
from pydantic import BaseModel
from tests.capture.sdks.task import At

MODEL = "gpt-4o-mini"
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "save",
        "parameters": {"type": "object", "properties": {"title": {"type": "string"}}},
    },
}


class Outline(BaseModel):
    """A structured answer."""

    title: str
    chapters: list[str]


def messages(at: At) -> Any:
    return [{"role": "user", "content": at.prompt}]


def chat(at: At) -> Any:
    with openai.OpenAI(timeout=at.timeout) as client:
        return client.chat.completions.create(model=MODEL, messages=messages(at)).model_dump()


async def achat(at: At) -> Any:
    async with openai.AsyncOpenAI(timeout=at.timeout) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=messages(at))
        return answer.model_dump()


async def achat_over_aiohttp(at: At) -> Any:
    http = openai.DefaultAioHttpClient(timeout=at.timeout)
    async with openai.AsyncOpenAI(http_client=http) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=messages(at))
        return answer.model_dump()


def chat_stream(at: At) -> Any:
    with openai.OpenAI() as client:
        chunks = client.chat.completions.create(
            model=MODEL,
            messages=messages(at),
            stream=True,
            stream_options={"include_usage": True},
        )
        return [chunk.model_dump() for chunk in chunks]


async def achat_stream(at: At) -> Any:
    async with openai.AsyncOpenAI() as client:
        chunks = await client.chat.completions.create(
            model=MODEL, messages=messages(at), stream=True
        )
        return [chunk.model_dump() async for chunk in chunks]


async def achat_stream_over_aiohttp(at: At) -> Any:
    async with openai.AsyncOpenAI(http_client=openai.DefaultAioHttpClient()) as client:
        chunks = await client.chat.completions.create(
            model=MODEL, messages=messages(at), stream=True
        )
        return [chunk.model_dump() async for chunk in chunks]


def chat_tools(at: At) -> Any:
    with openai.OpenAI() as client:
        answer = client.chat.completions.create(
            model=MODEL, messages=messages(at), tools=[TOOL], tool_choice="required"
        )
        assert answer.choices[0].message.tool_calls
        return answer.model_dump()


def chat_structured(at: At) -> Any:
    with openai.OpenAI() as client:
        answer = client.chat.completions.parse(
            model=MODEL, messages=messages(at), response_format=Outline
        )
        assert isinstance(answer.choices[0].message.parsed, Outline)
        return answer.model_dump()


def responses(at: At) -> Any:
    with openai.OpenAI(timeout=at.timeout) as client:
        return client.responses.create(model=MODEL, input=at.prompt).model_dump()


async def aresponses(at: At) -> Any:
    async with openai.AsyncOpenAI() as client:
        return (await client.responses.create(model=MODEL, input=at.prompt)).model_dump()


def responses_stream(at: At) -> Any:
    with openai.OpenAI() as client, client.responses.stream(model=MODEL, input=at.prompt) as stream:
        return [event.model_dump() for event in stream]


async def aresponses_stream(at: At) -> Any:
    async with openai.AsyncOpenAI() as client:
        stream = await client.responses.create(model=MODEL, input=at.prompt, stream=True)
        return [event.model_dump() async for event in stream]


def embeddings(at: At) -> Any:
    with openai.OpenAI() as client:
        answer = client.embeddings.create(model="text-embedding-3-small", input=[at.prompt, "b"])
        return answer.model_dump()


def images(at: At) -> Any:
    with openai.OpenAI() as client:
        return client.images.generate(model="gpt-image-1", prompt=at.prompt).model_dump()


def transcription(at: At) -> Any:
    with openai.OpenAI() as client:
        answer = client.audio.transcriptions.create(
            model="whisper-1", file=("bees.wav", b"RIFF...."), prompt=at.prompt
        )
        return answer.model_dump()


def speech(at: At) -> Any:
    with openai.OpenAI() as client:
        sound = client.audio.speech.create(model="tts-1", voice="alloy", input=at.prompt)
        return hashlib.sha256(sound.read()).hexdigest()


def speech_streamed(at: At) -> Any:
    with (
        openai.OpenAI() as client,
        client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=at.prompt
        ) as sound,
    ):
        return hashlib.sha256(b"".join(sound.iter_bytes())).hexdigest()
