"""What real SDKs send has a ceiling, and no call that is billed passes it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

import payonce
from payonce.model import Call
from payonce.testing import MeteredProvider

PROMPT = "[chapter] Write one chapter of a course about budgets."
SYSTEM = "You write courses."
ASKED: list[Any] = [{"role": "user", "content": PROMPT}]
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
FUNCTION = {"name": "save", "description": "Saves a chapter.", "parameters": SCHEMA}
HAIKU = "anthropic.claude-3-haiku-20240307-v1:0"
Calls = Callable[[], list[Call]]


def chat() -> None:
    """OpenAI's chat with a tool."""
    from openai import OpenAI

    tools: list[Any] = [{"type": "function", "function": FUNCTION}]
    with OpenAI() as client:
        client.chat.completions.create(
            model="gpt-5-mini",
            messages=[{"role": "developer", "content": SYSTEM}, *ASKED],
            tools=tools,
            tool_choice="auto",
            reasoning_effort="low",
            max_completion_tokens=200,
            seed=1,
            user="u",
        )


def chat_by_schema() -> None:
    """The same by a schema, streamed."""
    from openai import OpenAI

    wanted: Any = {
        "type": "json_schema",
        "json_schema": {"name": "chapter", "schema": SCHEMA, "strict": True},
    }
    with OpenAI() as client:
        list(
            client.chat.completions.create(
                model="gpt-4o",
                messages=ASKED,
                max_tokens=200,
                temperature=0.3,
                response_format=wanted,
                stream=True,
                stream_options={"include_usage": True},
            )
        )


def responses() -> None:
    """OpenAI's responses: a tool's result is among what it reads."""
    from openai import OpenAI

    told: Any = [
        *ASKED,
        {"type": "function_call", "call_id": "c", "name": "save", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "saved"},
    ]
    with OpenAI() as client:
        client.responses.create(
            model="gpt-5-mini",
            input=told,
            instructions=SYSTEM,
            tools=[{"type": "function", "strict": True, **FUNCTION}],
            reasoning={"effort": "low"},
            text={"verbosity": "low"},
            max_output_tokens=200,
            store=False,
            metadata={"course": "42"},
        )


def embeddings() -> None:
    """OpenAI's embeddings, which write nothing."""
    from openai import OpenAI

    with OpenAI() as client:
        client.embeddings.create(model="text-embedding-3-small", input=[PROMPT, SYSTEM])


def message() -> None:
    """Anthropic's message: a tool, a cache, and some thinking."""
    from anthropic import Anthropic

    with Anthropic() as client:
        client.messages.create(
            model="claude-opus-5",
            max_tokens=1000,
            system=[{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}],
            messages=ASKED,
            tools=[{"name": "save", "description": "Saves.", "input_schema": SCHEMA}],
            thinking={"type": "adaptive"},
            stop_sequences=["END"],
        )


def gemini() -> None:
    """Google's, with all its settings in one place."""
    from google import genai
    from google.genai import types

    with genai.Client() as client:
        client.models.generate_content(
            model="gemini-2.5-flash",
            contents=PROMPT,
            config=types.GenerateContentConfig(
                system_instruction=SYSTEM,
                temperature=0.2,
                max_output_tokens=200,
                response_mime_type="application/json",
                response_schema=SCHEMA,
                thinking_config=types.ThinkingConfig(thinking_budget=100),
                safety_settings=[],
            ),
        )


def converse() -> None:
    """Bedrock's, with a tool."""
    import boto3

    tool = {"name": "save", "description": "Saves.", "inputSchema": {"json": SCHEMA}}
    with closing(boto3.client("bedrock-runtime")) as client:
        client.converse(
            modelId=HAIKU,
            system=[{"text": SYSTEM}],
            messages=[{"role": "user", "content": [{"text": PROMPT}]}],
            inferenceConfig={"maxTokens": 200, "temperature": 0.5, "stopSequences": ["END"]},
            toolConfig={"tools": [{"toolSpec": tool}], "toolChoice": {"auto": {}}},
        )


def invoke() -> None:
    """Bedrock's invocation of Anthropic's model."""
    import boto3

    asked = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": ASKED}
    with closing(boto3.client("bedrock-runtime")) as client:
        client.invoke_model(modelId=HAIKU, body=json.dumps(asked))["body"].read()


def mistral() -> None:
    """Mistral's."""
    from mistralai.client import Mistral

    with Mistral(api_key="metered", server_url=os.environ["MISTRAL_SERVER_URL"]) as client:
        client.chat.complete(
            model="mistral-small-latest", messages=ASKED, max_tokens=200, random_seed=1
        )


def cohere() -> None:
    """Cohere's."""
    import cohere
    import httpx

    with httpx.Client() as http:
        client = cohere.ClientV2(base_url=os.environ["CO_API_URL"], httpx_client=http)
        client.chat(model="command-a-03-2025", messages=ASKED, max_tokens=200, temperature=0.1)


def groq() -> None:
    """Groq's."""
    from groq import Groq

    with Groq() as client:
        client.chat.completions.create(
            model="openai/gpt-oss-20b", messages=ASKED, max_completion_tokens=200
        )


WAYS = [
    *(chat, chat_by_schema, responses, embeddings, message, gemini, converse, invoke),
    *(mistral, cohere, groq),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("table", ["own", "lists"])
def test_what_an_sdk_sends_has_a_ceiling(
    app: payonce.Payonce,
    provider: MeteredProvider,
    calls: Calls,
    way: Callable[[], None],
    table: str,
) -> None:
    """With the settings that people use, by their own prices and by the public lists."""
    if table == "own":
        provider.tell(app.prices)

    @app.job(key="held", budget="5 USD")
    def held() -> None:
        way()

    held()
    (call,) = calls()
    assert call.ceiling_nanos is not None
    assert call.cost_nanos is not None
    assert 0 < call.cost_nanos <= call.ceiling_nanos
    assert call.ceiling_nanos < 50_000_000


def test_another_billed_api_is_held_and_paid_at_its_price(
    app: payonce.Payonce, provider: MeteredProvider, calls: Calls
) -> None:
    """A call that is no model's costs what was told for its host, before and after."""
    import httpx

    app.prices.add("*", provider="127.0.0.1", call="0.05 USD")

    @app.job(key="charged", budget="0.12 USD", attempts=1)
    def charged() -> None:
        for n in range(3):
            httpx.post(f"{provider.rest_url}/v1/charges", json={"n": n}).raise_for_status()

    here = provider.url.removeprefix("http://")
    with app.capture(hosts=[here]), pytest.raises(payonce.Parked, match="budget of run"):
        charged()
    assert [call.cost_nanos for call in calls()] == [50_000_000] * 2
    assert provider.cost.nanos == 100_000_000
