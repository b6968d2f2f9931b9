"""What SDKs send by themselves when an answer is lost, and what that costs: the furnace below."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import boto3
import cohere
import groq
import openai
import pytest
from google import genai
from mistralai.client import Mistral

from payonce.testing import MeteredProvider, drop, insufficient_quota

PROMPT = "[outline] of a book on bees"
MESSAGES: Any = [{"role": "user", "content": PROMPT}]


def _openai(provider: MeteredProvider) -> None:
    with openai.OpenAI(base_url=provider.openai_url, api_key="k") as client:
        client.chat.completions.create(model="m", messages=MESSAGES)


def _anthropic(provider: MeteredProvider) -> None:
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="k") as client:
        client.messages.create(model="m", max_tokens=9, messages=MESSAGES)


def _groq(provider: MeteredProvider) -> None:
    with groq.Groq(base_url=provider.groq_url, api_key="k") as client:
        client.chat.completions.create(model="m", messages=MESSAGES)


def _bedrock(provider: MeteredProvider) -> None:
    keys = {"aws_access_key_id": "AKIAMETERED", "aws_secret_access_key": "metered"}
    url = provider.bedrock_url
    client = boto3.client("bedrock-runtime", "us-east-1", endpoint_url=url, **keys)
    try:
        client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": PROMPT}]}])
    finally:
        client.close()


def _gemini(provider: MeteredProvider) -> None:
    options = genai.types.HttpOptions(base_url=provider.gemini_url)
    with genai.Client(api_key="k", http_options=options) as client:
        client.models.generate_content(model="m", contents=PROMPT)


def _gemini_async(provider: MeteredProvider) -> None:
    options = genai.types.HttpOptions(base_url=provider.gemini_url)

    async def ask() -> None:
        async with genai.Client(api_key="k", http_options=options).aio as client:
            await client.models.generate_content(model="m", contents=PROMPT)

    asyncio.run(ask())


def _mistral(provider: MeteredProvider) -> None:
    with Mistral(server_url=provider.mistral_url, api_key="k") as client:
        client.chat.complete(model="m", messages=MESSAGES)


def _cohere(provider: MeteredProvider) -> None:
    with cohere.ClientV2(base_url=provider.cohere_url, api_key="k") as client:
        client.chat(model="m", messages=MESSAGES)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
@pytest.mark.parametrize(
    ("ask", "dropped", "used_up"),
    [
        (_openai, 3, 3),
        (_anthropic, 3, 1),
        (_groq, 3, 1),
        (_bedrock, 3, 1),
        (_gemini, 1, 1),
        (_gemini_async, 2, 1),
        (_mistral, 1, 1),
        (_cohere, 1, 1),
    ],
)
def test_hidden_retries(
    provider: MeteredProvider,
    ask: Callable[[MeteredProvider], None],
    dropped: int,
    used_up: int,
) -> None:
    """One call whose answer is lost is billed as often as its SDK likes, with its defaults.

    OpenAI's SDK asks again even where the account has no money.
    """
    provider.fail("outline", drop(), times=None)
    with pytest.raises(Exception, match=r"(?i)connect|disconnect|closed"):
        ask(provider)
    assert provider.billed("outline") == dropped
    provider.heal()
    provider.fail("outline", insufficient_quota(), times=None)
    before = provider.received()
    with pytest.raises(Exception, match=r"(?i)error|4\d\d|told"):
        ask(provider)
    assert provider.received() - before == used_up
    assert provider.billed("outline") == dropped
