"""Programs over Groq's SDK."""

from __future__ import annotations

from typing import Any

import groq
from tests.capture.sdks.task import At

MODEL = "llama-3.3-70b-versatile"


def messages(at: At) -> Any:
    return [{"role": "user", "content": at.prompt}]


def chat(at: At) -> Any:
    with groq.Groq(timeout=at.timeout) as client:
        return client.chat.completions.create(model=MODEL, messages=messages(at)).model_dump()


async def achat(at: At) -> Any:
    async with groq.AsyncGroq(timeout=at.timeout) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=messages(at))
        return answer.model_dump()


def chat_stream(at: At) -> Any:
    with groq.Groq() as client:
        chunks = client.chat.completions.create(model=MODEL, messages=messages(at), stream=True)
        return [chunk.model_dump() for chunk in chunks]


def transcription(at: At) -> Any:
    with groq.Groq() as client:
        answer = client.audio.transcriptions.create(
            model="whisper-large-v3", file=("bees.wav", b"RIFF...."), prompt=at.prompt
        )
        return answer.model_dump()
