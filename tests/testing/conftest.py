"""What the tests of the provider share: a provider, and a client of each SDK that never retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import anthropic
import boto3
import cohere
import groq
import openai
import pytest
from botocore.config import Config
from google import genai
from mistralai.client import Mistral

from payonce.testing import MeteredProvider


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """A provider in this process."""
    with MeteredProvider() as provider:
        yield provider


@pytest.fixture
def client(provider: MeteredProvider) -> Iterator[openai.OpenAI]:
    """OpenAI's client."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(provider: MeteredProvider) -> Iterator[anthropic.Anthropic]:
    """Anthropic's client."""
    url = provider.anthropic_url
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def bedrock(provider: MeteredProvider) -> Iterator[Any]:
    """boto3's client of Bedrock's runtime."""
    keys = {"aws_access_key_id": "AKIAMETERED", "aws_secret_access_key": "metered"}
    config = Config(retries={"total_max_attempts": 1}, read_timeout=20)
    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=provider.bedrock_url,
        config=config,
        **keys,
    )
    with closing(made) as client:
        yield client


@pytest.fixture
def gemini(provider: MeteredProvider) -> Iterator[genai.Client]:
    """google-genai's client."""
    options = genai.types.HttpOptions(base_url=provider.gemini_url)
    with genai.Client(api_key="k", http_options=options) as client:
        yield client


@pytest.fixture
def mistral(provider: MeteredProvider) -> Iterator[Mistral]:
    """mistralai's client, which retries only when told to."""
    with Mistral(server_url=provider.mistral_url, api_key="k") as client:
        yield client


@pytest.fixture
def command(provider: MeteredProvider) -> Iterator[cohere.ClientV2]:
    """Cohere's client of its second version; retries are turned off call by call."""
    with cohere.ClientV2(base_url=provider.cohere_url, api_key="k") as client:
        yield client


@pytest.fixture
def llama(provider: MeteredProvider) -> Iterator[groq.Groq]:
    """Groq's client."""
    with groq.Groq(base_url=provider.groq_url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def together(provider: MeteredProvider) -> Iterator[openai.OpenAI]:
    """OpenAI's client, which Together's documentation tells one to use as well."""
    url = f"{provider.together_url}/v1"
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
        yield client
