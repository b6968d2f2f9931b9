"""Testing: which format a path is asked in.

OpenAI's and Anthropic's paths stand at the provider's root, those of every other under its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from payonce.testing.anthropic import Messages
from payonce.testing.bedrock import BedrockErrors, Converse
from payonce.testing.bedrock_invoke import InvokeModel
from payonce.testing.gemini import GeminiErrors, GenerateContent
from payonce.testing.gemini_embeddings import EmbedContents
from payonce.testing.openai import ChatCompletions, OpenAIErrors
from payonce.testing.openai_embeddings import Embeddings
from payonce.testing.openai_responses import Responses
from payonce.testing.wire import Wire, Words

_WIRES: Mapping[str, Wire] = {
    r"/v1/chat/completions": ChatCompletions(),
    r"/v1/responses": Responses(),
    r"/v1/embeddings": Embeddings(),
    r"/v1/messages": Messages(),
    r"/bedrock/model/(?P<model>[^/]+)/(?P<verb>converse|converse-stream)": Converse(),
    r"/bedrock/model/(?P<model>[^/]+)/(?P<verb>invoke|invoke-with-response-stream)": InvokeModel(),
    r"/gemini/.+/(?P<model>[^/]+):(?P<verb>generateContent|streamGenerateContent)": (
        GenerateContent()
    ),
    r"/gemini/.+/(?P<model>[^/]+):(?P<verb>embedContent|batchEmbedContents)": EmbedContents(),
}
_ROUTES = [(re.compile(path), wire) for path, wire in _WIRES.items()]
_WORDS: Mapping[str, Words] = {
    "bedrock": BedrockErrors(),
    "gemini": GeminiErrors(),
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
    return _WORDS.get(path.split("/")[1], OpenAIErrors())
