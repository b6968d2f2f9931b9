"""Programs over llama-index."""

from __future__ import annotations

import os
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from tests.capture.sdks.task import At


def model(at: At) -> OpenAI:
    return OpenAI(model="gpt-4o-mini", timeout=at.timeout, api_base=os.environ["OPENAI_BASE_URL"])


def asked(at: At) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=at.prompt)]


def chat(at: At) -> Any:
    return str(model(at).chat(asked(at)))


def stream_chat(at: At) -> Any:
    return [chunk.delta for chunk in model(at).stream_chat(asked(at))]


async def achat(at: At) -> Any:
    return str(await model(at).achat(asked(at)))


async def astream_chat(at: At) -> Any:
    return [chunk.delta async for chunk in await model(at).astream_chat(asked(at))]


def complete(at: At) -> Any:
    return str(model(at).complete(at.prompt))
