"""Programs over litellm: OpenAI's SDK under it, and its own clients for other providers."""

from __future__ import annotations

import os
from typing import Any

import litellm
from tests.capture.sdks.task import At

litellm.suppress_debug_info = True
GPT = "openai/gpt-4o-mini"
CLAUDE = "anthropic/claude-opus-5"
BEDROCK = "bedrock/anthropic.claude-3-haiku-20240307-v1:0"


def asked(at: At, model: str, **more: Any) -> Any:
    messages = [{"role": "user", "content": at.prompt}]
    if model == BEDROCK:
        more["aws_bedrock_runtime_endpoint"] = os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"]
    if model == CLAUDE:
        more["api_base"] = os.environ["ANTHROPIC_BASE_URL"]
    return {"model": model, "messages": messages, "timeout": at.timeout, **more}


def said(answer: Any) -> Any:
    return answer.choices[0].message.model_dump(), answer.usage.model_dump()


def deltas(chunk: Any) -> Any:
    return [choice.delta.model_dump() for choice in chunk.choices]


def completion(at: At) -> Any:
    return said(litellm.completion(**asked(at, GPT)))


def completion_retrying(at: At) -> Any:
    return said(litellm.completion(**asked(at, GPT), num_retries=2))


def completion_stream(at: At) -> Any:
    return [deltas(chunk) for chunk in litellm.completion(**asked(at, GPT), stream=True)]


async def acompletion(at: At) -> Any:
    return said(await litellm.acompletion(**asked(at, GPT)))


async def acompletion_retrying(at: At) -> Any:
    return said(await litellm.acompletion(**asked(at, GPT), num_retries=2))


async def acompletion_stream(at: At) -> Any:
    chunks = await litellm.acompletion(**asked(at, GPT), stream=True)
    return [deltas(chunk) async for chunk in chunks]


def anthropic(at: At) -> Any:
    return said(litellm.completion(**asked(at, CLAUDE)))


def anthropic_retrying(at: At) -> Any:
    return said(litellm.completion(**asked(at, CLAUDE), num_retries=2))


def anthropic_stream(at: At) -> Any:
    return [deltas(chunk) for chunk in litellm.completion(**asked(at, CLAUDE), stream=True)]


async def aanthropic(at: At) -> Any:
    return said(await litellm.acompletion(**asked(at, CLAUDE)))


async def aanthropic_stream(at: At) -> Any:
    chunks = await litellm.acompletion(**asked(at, CLAUDE), stream=True)
    return [deltas(chunk) async for chunk in chunks]


def bedrock(at: At) -> Any:
    return said(litellm.completion(**asked(at, BEDROCK)))


def bedrock_stream(at: At) -> Any:
    return [deltas(chunk) for chunk in litellm.completion(**asked(at, BEDROCK), stream=True)]


async def abedrock(at: At) -> Any:
    return said(await litellm.acompletion(**asked(at, BEDROCK)))


async def abedrock_stream(at: At) -> Any:
    chunks = await litellm.acompletion(**asked(at, BEDROCK), stream=True)
    return [deltas(chunk) async for chunk in chunks]


def embedding(at: At) -> Any:
    answer = litellm.embedding(model="openai/text-embedding-3-small", input=[at.prompt])
    return answer.data
