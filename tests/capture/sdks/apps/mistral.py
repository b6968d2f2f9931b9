"""Programs over Mistral's SDK."""

from __future__ import annotations

import os
from typing import Any

from mistralai.client import Mistral
from tests.capture.sdks.task import At

MODEL = "mistral-small-latest"


def client_for(at: At) -> Mistral:
    return Mistral(
        api_key=os.environ["MISTRAL_API_KEY"],
        server_url=os.environ["MISTRAL_SERVER_URL"],
        timeout_ms=round(at.timeout * 1000),
    )


def messages(at: At) -> Any:
    return [{"role": "user", "content": at.prompt}]


def chat(at: At) -> Any:
    with client_for(at) as client:
        return client.chat.complete(model=MODEL, messages=messages(at)).model_dump()


async def achat(at: At) -> Any:
    async with client_for(at) as client:
        return (await client.chat.complete_async(model=MODEL, messages=messages(at))).model_dump()


def chat_stream(at: At) -> Any:
    with client_for(at) as client, client.chat.stream(model=MODEL, messages=messages(at)) as events:
        return [event.model_dump() for event in events]


async def achat_stream(at: At) -> Any:
    async with client_for(at) as client:
        events = await client.chat.stream_async(model=MODEL, messages=messages(at))
        return [event.model_dump() async for event in events]


def embeddings(at: At) -> Any:
    with client_for(at) as client:
        return client.embeddings.create(model="mistral-embed", inputs=[at.prompt]).model_dump()
