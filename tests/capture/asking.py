"""One way to ask each endpoint of a provider, through its SDK."""

from __future__ import annotations

from typing import Any

from payonce.testing import MeteredProvider

PROMPT = "[outline] Write the outline of a course."
MODEL = "gpt-4o-mini"
CLAUDE = "claude-opus-5"


def chat(client: Any, prompt: str = PROMPT, **more: Any) -> Any:
    """A chat completion; awaitable if the client is."""
    messages = [{"role": "user", "content": prompt}]
    return client.chat.completions.create(model=MODEL, messages=messages, **more)


def respond(client: Any, prompt: str = PROMPT, **more: Any) -> Any:
    """A response."""
    return client.responses.create(model=MODEL, input=prompt, **more)


def embed(client: Any, prompt: str = PROMPT, **more: Any) -> Any:
    """An embedding."""
    return client.embeddings.create(model="text-embedding-3-small", input=prompt, **more)


def message(client: Any, prompt: str = PROMPT, **more: Any) -> Any:
    """A message of Anthropic's."""
    messages = [{"role": "user", "content": prompt}]
    return client.messages.create(model=CLAUDE, max_tokens=100, messages=messages, **more)


def plain(answer: Any) -> Any:
    """An SDK's answer as plain data."""
    return answer.model_dump()


ASK = {"chat": chat, "responses": respond, "embeddings": embed, "messages": message}


def client_for(endpoint: str, provider: MeteredProvider, *, awaits: bool = False) -> Any:
    """A client of the SDK that knows an endpoint."""
    import anthropic
    import openai

    if endpoint == "messages":
        kind = anthropic.AsyncAnthropic if awaits else anthropic.Anthropic
        return kind(base_url=provider.anthropic_url, api_key="sk-ant-metered")
    kind = openai.AsyncOpenAI if awaits else openai.OpenAI
    return kind(base_url=provider.openai_url, api_key="sk-metered")
