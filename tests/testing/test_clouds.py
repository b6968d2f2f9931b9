"""The same formats at other places: Azure, Vertex, older completions, and batches of requests."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from payonce.testing import MeteredProvider, status

MESSAGES: Any = [{"role": "user", "content": "[outline] of a book on bees"}]


def test_azure(provider: MeteredProvider) -> None:
    """OpenAI's client of Azure finds a deployment's chat and embeddings, and responses."""
    with openai.AzureOpenAI(
        azure_endpoint=provider.azure_url, api_key="k", api_version="2025-04-01-preview"
    ) as client:
        client.chat.completions.create(model="my-gpt", messages=MESSAGES)
        client.embeddings.create(model="my-vectors", input="[vector]")
        client.responses.create(model="my-gpt", input="[answer]")
    assert [(call.model, call.label) for call in provider.bill] == [
        ("my-gpt", "outline"),
        ("my-vectors", "vector"),
        ("my-gpt", "answer"),
    ]
    assert provider.bill[0].path == "/azure/openai/deployments/my-gpt/chat/completions"


def test_vertex(provider: MeteredProvider) -> None:
    """Anthropic's client of Vertex gets messages, whole and streamed, by the model in the path."""
    ask: Any = {"model": "claude-opus-5", "max_tokens": 99, "messages": MESSAGES}
    with anthropic.AnthropicVertex(
        region="europe-west1",
        project_id="p",
        access_token="t",
        base_url=provider.vertex_url,
        max_retries=0,
    ) as client:
        assert client.messages.create(**ask).stop_reason == "end_turn"
        with client.messages.stream(**ask) as stream:
            assert stream.get_final_message().stop_reason == "end_turn"
        provider.fail("outline", status(429))
        with pytest.raises(anthropic.RateLimitError):
            client.messages.create(**ask)
    assert [(call.provider, call.model) for call in provider.bill] == [
        ("vertex", "claude-opus-5"),
        ("vertex", "claude-opus-5"),
    ]


def test_older_completions(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """The older completions are there for whoever still asks for them."""
    ask: Any = {"model": "gpt-3.5-turbo-instruct", "prompt": "[outline] of a book on bees"}
    whole = client.completions.create(**ask)
    assert whole.usage is not None
    assert whole.usage.completion_tokens == provider.bill[0].output_tokens
    chunks = list(client.completions.create(**ask, stream=True))
    text = "".join(chunk.choices[0].text for chunk in chunks)
    assert text == whole.choices[0].text.replace("1", "2", 1)
    with pytest.raises(openai.BadRequestError, match="prompt"):
        client.post("/completions", cast_to=object, body={"model": "m"})


def test_batches(
    provider: MeteredProvider, client: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    """Creating a batch is billed, and polling it isn't."""
    batch = client.batches.create(
        input_file_id="file-1",
        endpoint="/v1/responses",
        completion_window="24h",
        metadata={"name": "[night]"},
    )
    assert client.batches.retrieve(batch.id).id == batch.id
    made = claude.messages.batches.create(
        requests=[
            {
                "custom_id": "one",
                "params": {"model": "m", "max_tokens": 9, "messages": MESSAGES},
            }
        ]
    )
    assert claude.messages.batches.retrieve(made.id).processing_status == "in_progress"
    assert [call.label for call in provider.bill] == ["night", "outline"]
    assert provider.received() == 4
