"""What the tests of the provider share: a provider, and a client of each SDK that never retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from botocore.config import Config
from google import genai

from payonce.testing import MeteredProvider


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """A provider in this process."""
    with MeteredProvider() as provider:
        yield provider


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
