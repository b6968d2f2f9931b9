"""Programs over Together's SDK."""

from __future__ import annotations

from typing import Any

import together
from tests.capture.sdks.task import At

MODEL = "meta-llama/Llama-3.3-70B-Instruct-Turbo"


def messages(at: At) -> Any:
    return [{"role": "user", "content": at.prompt}]


def chat(at: At) -> Any:
    with together.Together(timeout=at.timeout) as client:
        return client.chat.completions.create(model=MODEL, messages=messages(at)).model_dump()


async def achat(at: At) -> Any:
    async with together.AsyncTogether(timeout=at.timeout) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=messages(at))
        return answer.model_dump()


def chat_stream(at: At) -> Any:
    with together.Together() as client:
        chunks = client.chat.completions.create(model=MODEL, messages=messages(at), stream=True)
        return [chunk.model_dump() for chunk in chunks]


def embeddings(at: At) -> Any:
    with together.Together() as client:
        answer = client.embeddings.create(model="BAAI/bge-base-en-v1.5", input=at.prompt)
        return answer.model_dump()


def images(at: At) -> Any:
    with together.Together() as client:
        answer = client.images.generate(model="black-forest-labs/FLUX.1-schnell", prompt=at.prompt)
        return answer.model_dump()
