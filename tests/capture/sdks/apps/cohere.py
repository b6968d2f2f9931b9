"""Programs over Cohere's SDK."""

from __future__ import annotations

from typing import Any

import cohere
from tests.capture.sdks.task import At

MODEL = "command-a-03-2025"


def messages(at: At) -> Any:
    return [{"role": "user", "content": at.prompt}]


def chat(at: At) -> Any:
    client = cohere.ClientV2(timeout=at.timeout)
    return client.chat(model=MODEL, messages=messages(at)).dict()


async def achat(at: At) -> Any:
    client = cohere.AsyncClientV2(timeout=at.timeout)
    return (await client.chat(model=MODEL, messages=messages(at))).dict()


def chat_stream(at: At) -> Any:
    events = cohere.ClientV2().chat_stream(model=MODEL, messages=messages(at))
    return [event.dict() for event in events]


async def achat_stream(at: At) -> Any:
    events = cohere.AsyncClientV2().chat_stream(model=MODEL, messages=messages(at))
    return [event.dict() async for event in events]


def embed(at: At) -> Any:
    answer = cohere.ClientV2().embed(
        model="embed-v4.0",
        texts=[at.prompt],
        input_type="search_query",
        embedding_types=["float"],
    )
    return answer.dict()


def rerank(at: At) -> Any:
    answer = cohere.ClientV2().rerank(model="rerank-v3.5", query=at.prompt, documents=["a", "b"])
    return answer.dict()
