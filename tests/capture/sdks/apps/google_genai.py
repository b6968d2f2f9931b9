"""Programs over google-genai."""

from __future__ import annotations

from typing import Any

from google import genai
from google.genai import types
from tests.capture.sdks.task import At

MODEL = "gemini-2.5-flash"
RETRIED = (429, 503, 504)


def options(at: At, *, retries: bool = False) -> types.HttpOptions:
    """Milliseconds, and no retries by default."""
    again = types.HttpRetryOptions(
        attempts=3, initial_delay=0.01, max_delay=0.1, http_status_codes=list(RETRIED)
    )
    return types.HttpOptions(
        timeout=round(at.timeout * 1000), retry_options=again if retries else None
    )


def plain(answer: Any) -> Any:
    return answer.model_dump(mode="json", exclude={"sdk_http_response", "parsed"})


def generate(at: At) -> Any:
    with genai.Client(http_options=options(at)) as client:
        return plain(client.models.generate_content(model=MODEL, contents=at.prompt))


def generate_retrying(at: At) -> Any:
    with genai.Client(http_options=options(at, retries=True)) as client:
        return plain(client.models.generate_content(model=MODEL, contents=at.prompt))


async def agenerate(at: At) -> Any:
    async with genai.Client(http_options=options(at)).aio as client:
        return plain(await client.models.generate_content(model=MODEL, contents=at.prompt))


def generate_stream(at: At) -> Any:
    with genai.Client() as client:
        chunks = client.models.generate_content_stream(model=MODEL, contents=at.prompt)
        return [plain(chunk) for chunk in chunks]


async def agenerate_stream(at: At) -> Any:
    async with genai.Client().aio as client:
        chunks = await client.models.generate_content_stream(model=MODEL, contents=at.prompt)
        return [plain(chunk) async for chunk in chunks]


def embed(at: At) -> Any:
    with genai.Client() as client:
        return plain(client.models.embed_content(model="gemini-embedding-001", contents=at.prompt))


def structured(at: At) -> Any:
    schema = {"type": "OBJECT", "properties": {"title": {"type": "STRING"}}}
    config: Any = {"response_mime_type": "application/json", "response_schema": schema}
    with genai.Client() as client:
        answer = client.models.generate_content(model=MODEL, contents=at.prompt, config=config)
        return plain(answer)
