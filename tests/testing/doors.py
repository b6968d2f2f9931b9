"""One way to ask each provider through its SDK, whole and streamed, without retries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import anthropic
import boto3
import cohere
import groq
import httpx
import httpx2
import openai
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cohere.core import ApiError
from google import genai
from google.genai import errors as gemini_errors
from mistralai.client import Mistral
from mistralai.client import errors as mistral_errors
from urllib3.exceptions import HTTPError

from payonce.testing import MeteredProvider

PROMPT = "[outline] of a book on bees"
MESSAGES: Any = [{"role": "user", "content": PROMPT}]


@dataclass(frozen=True)
class Door:
    """`ask` yields what came, one thing or the events of a stream; `raises` are its SDK's errors.

    A `silent` SDK hands an error event over as any other.
    """

    name: str
    ask: Callable[[MeteredProvider, bool, float], Iterator[Any]]
    raises: tuple[type[Exception], ...]
    silent: bool = False

    def __repr__(self) -> str:
        return self.name


def _chat(provider: MeteredProvider, stream: bool, patience: float) -> Iterator[Any]:
    url = provider.openai_url
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0, timeout=patience) as client:
        answer: Any = client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
        yield from answer if stream else [answer]


def _response(provider: MeteredProvider, stream: bool, patience: float) -> Iterator[Any]:
    url = provider.openai_url
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0, timeout=patience) as client:
        answer: Any = client.responses.create(model="m", input=PROMPT, stream=stream)
        yield from answer if stream else [answer]


def _message(provider: MeteredProvider, stream: bool, patience: float) -> Iterator[Any]:
    url = provider.anthropic_url
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0, timeout=patience) as client:
        answer: Any = client.messages.create(
            model="m", max_tokens=9, messages=MESSAGES, stream=stream
        )
        yield from answer if stream else [answer]


def _gemini(provider: MeteredProvider, stream: bool, patience: float) -> Iterator[Any]:
    options = genai.types.HttpOptions(base_url=provider.gemini_url, timeout=int(patience * 1000))
    with genai.Client(api_key="k", http_options=options) as client:
        if stream:
            yield from client.models.generate_content_stream(model="m", contents=PROMPT)
        else:
            yield client.models.generate_content(model="m", contents=PROMPT)


def _bedrock(provider: MeteredProvider, stream: bool, patience: float) -> Iterator[Any]:
    keys = {"aws_access_key_id": "AKIAMETERED", "aws_secret_access_key": "metered"}
    config = Config(retries={"total_max_attempts": 1}, read_timeout=patience)
    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=provider.bedrock_url,
        config=config,
        **keys,
    )
    messages = [{"role": "user", "content": [{"text": PROMPT}]}]
    with closing(made) as client:
        if stream:
            with closing(
                client.converse_stream(modelId="m", messages=messages)["stream"]
            ) as events:
                yield from events
        else:
            yield client.converse(modelId="m", messages=messages)


def _mistral(provider: MeteredProvider, stream: bool, patience: float) -> Iterator[Any]:
    url, late = provider.mistral_url, int(patience * 1000)
    with Mistral(server_url=url, api_key="k", timeout_ms=late) as client:
        if stream:
            with client.chat.stream(model="m", messages=MESSAGES) as events:
                yield from events
        else:
            yield client.chat.complete(model="m", messages=MESSAGES)


def _cohere(provider: MeteredProvider, stream: bool, patience: float) -> Iterator[Any]:
    once: Any = {"max_retries": 0}
    ask: Any = {"model": "m", "messages": MESSAGES, "request_options": once}
    with cohere.ClientV2(base_url=provider.cohere_url, api_key="k", timeout=patience) as client:
        if stream:
            yield from client.chat_stream(**ask)
        else:
            yield client.chat(**ask)


def _groq(provider: MeteredProvider, stream: bool, patience: float) -> Iterator[Any]:
    url = provider.groq_url
    with groq.Groq(base_url=url, api_key="k", max_retries=0, timeout=patience) as client:
        answer: Any = client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
        yield from answer if stream else [answer]


def _together(provider: MeteredProvider, stream: bool, patience: float) -> Iterator[Any]:
    url = f"{provider.together_url}/v1"
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0, timeout=patience) as client:
        answer: Any = client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
        yield from answer if stream else [answer]


def _rest(provider: MeteredProvider, stream: bool, patience: float) -> Iterator[Any]:
    body = {"text": PROMPT, "stream": stream}
    url = f"{provider.rest_url}/v1/reports"
    with requests.post(url, json=body, timeout=patience, stream=stream) as answer:
        answer.raise_for_status()
        yield from map(json.loads, answer.iter_lines()) if stream else [answer.json()]


DOORS = {
    "openai": Door("openai", _chat, (openai.APIError,)),
    "responses": Door("responses", _response, (openai.APIError,), silent=True),
    "anthropic": Door("anthropic", _message, (anthropic.APIError, httpx2.HTTPError)),
    "gemini": Door("gemini", _gemini, (gemini_errors.APIError, httpx2.HTTPError)),
    "bedrock": Door("bedrock", _bedrock, (BotoCoreError, ClientError, HTTPError)),
    "mistral": Door("mistral", _mistral, (mistral_errors.MistralError, httpx2.HTTPError)),
    "cohere": Door("cohere", _cohere, (ApiError, httpx.HTTPError), silent=True),
    "groq": Door("groq", _groq, (groq.APIError, httpx.HTTPError)),
    "together": Door("together", _together, (openai.APIError,)),
    "rest": Door("rest", _rest, (requests.RequestException,), silent=True),
}
