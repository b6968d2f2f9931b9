"""Testing: which format a path is asked in.

OpenAI's and Anthropic's paths stand at the provider's root, those of every other under its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from payonce.testing.anthropic import AnthropicErrors, Messages, VertexMessages
from payonce.testing.batches import Batches, MessageBatches
from payonce.testing.bedrock import BedrockErrors, Converse
from payonce.testing.bedrock_invoke import InvokeModel
from payonce.testing.cohere import CohereChat, CohereEmbed, CohereErrors, CohereRerank
from payonce.testing.gemini import GeminiErrors, GenerateContent
from payonce.testing.gemini_embeddings import EmbedContents
from payonce.testing.groq import GroqChat, GroqErrors, GroqTranscriptions
from payonce.testing.mistral import MistralChat, MistralEmbeddings, MistralErrors
from payonce.testing.openai import ChatCompletions, OpenAIErrors
from payonce.testing.openai_audio import Speech, Transcriptions
from payonce.testing.openai_completions import Completions
from payonce.testing.openai_embeddings import Embeddings
from payonce.testing.openai_images import ImageEdits, Images
from payonce.testing.openai_responses import Responses
from payonce.testing.rest import ROOT, Rest, RestErrors
from payonce.testing.together import (
    TogetherChat,
    TogetherEmbeddings,
    TogetherErrors,
    TogetherImages,
)
from payonce.testing.wire import Wire, Words

# Azure has OpenAI's paths, with or without the name of a deployment.
_OPENAI = r"(?:/v1|/azure/openai(?:/v1|/deployments/[^/]+)?)"
_SPOKEN = r"audio/(transcriptions|translations)"
_GEMINI = r"/gemini/.+/(?P<model>[^/]+):"
_BEDROCK = r"/bedrock/model/(?P<model>[^/]+)/"
_WIRES: Mapping[str, Wire] = {
    rf"{_OPENAI}/chat/completions": ChatCompletions(),
    rf"{_OPENAI}/completions": Completions(),
    rf"{_OPENAI}/responses": Responses(),
    rf"{_OPENAI}/embeddings": Embeddings(),
    rf"{_OPENAI}/images/generations": Images(),
    rf"{_OPENAI}/images/edits": ImageEdits(),
    rf"{_OPENAI}/audio/speech": Speech(),
    rf"{_OPENAI}/{_SPOKEN}": Transcriptions(),
    rf"{_OPENAI}/batches": Batches(),
    r"/v1/messages": Messages(),
    r"/v1/messages/batches": MessageBatches(),
    r"/vertex/.+/(?P<model>[^/]+):(rawPredict|streamRawPredict)": VertexMessages(),
    rf"{_BEDROCK}(?P<verb>converse|converse-stream)": Converse(),
    rf"{_BEDROCK}(?P<verb>invoke|invoke-with-response-stream)": InvokeModel(),
    rf"{_GEMINI}(?P<verb>generateContent|streamGenerateContent)": GenerateContent(),
    rf"{_GEMINI}(?P<verb>embedContent|batchEmbedContents)": EmbedContents(),
    r"/mistral/v1/chat/completions": MistralChat(),
    r"/mistral/v1/embeddings": MistralEmbeddings(),
    r"/cohere/v2/chat": CohereChat(),
    r"/cohere/v2/embed": CohereEmbed(),
    r"/cohere/v2/rerank": CohereRerank(),
    r"/groq/openai/v1/chat/completions": GroqChat(),
    rf"/groq/openai/v1/{_SPOKEN}": GroqTranscriptions(),
    r"/together/v1/chat/completions": TogetherChat(),
    r"/together/v1/embeddings": TogetherEmbeddings(),
    r"/together/v1/images/generations": TogetherImages(),
    rf"{ROOT}(.+/)?(?P<collection>[^/]+)": Rest(),
}
_ROUTES = [(re.compile(path), wire) for path, wire in _WIRES.items()]
_WORDS: Mapping[str, Words] = {
    "bedrock": BedrockErrors(),
    "cohere": CohereErrors(),
    "gemini": GeminiErrors(),
    "groq": GroqErrors(),
    "mistral": MistralErrors(),
    "rest": RestErrors(),
    "together": TogetherErrors(),
    "vertex": AnthropicErrors(),
}


class Route(NamedTuple):
    """The format of a path, and what stands in its places."""

    wire: Wire
    names: Mapping[str, str]


def route_of(path: str) -> Route | None:
    """The route of a path without its query; None where nothing is sold."""
    for pattern, wire in _ROUTES:
        match = pattern.fullmatch(path)
        if match is not None:
            return Route(wire, match.groupdict())
    return None


def words_at(path: str) -> Words:
    """In whose words an unknown path is refused."""
    if path.startswith("/v1/messages"):
        return AnthropicErrors()
    return _WORDS.get(path.split("/")[1], OpenAIErrors())
