"""Edge, inside `otel`, pure: a captured call in the words of the GenAI conventions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from payonce.model import Call

# By the name that a captured call's step begins with.
_PROVIDERS = {
    "anthropic": "anthropic",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "gemini": "gcp.gemini",
    "groq": "groq",
    "mistral": "mistral_ai",
    "openai": "openai",
    "together": "together_ai",
}
# By how a path ends; the first that fits.
_OPERATIONS = (
    *(("/chat/completions", "chat"), ("/agents/completions", "chat"), ("/messages", "chat")),
    *(("/completions", "text_completion"), ("/responses", "chat"), ("/compact", "chat")),
    *(("/chat", "chat"), ("/converse", "chat"), ("/converse-stream", "chat"), ("/invoke", "chat")),
    *(("/invoke-with-response-stream", "chat"), ("awPredict", "chat"), ("/interactions", "chat")),
    *(
        ("/conversations", "chat"),
        ("/generate", "text_completion"),
        ("/embeddings", "embeddings"),
        ("/embed", "embeddings"),
    ),
    *((":embedContent", "embeddings"), (":batchEmbedContents", "embeddings")),
    *((":generateContent", "generate_content"), (":streamGenerateContent", "generate_content")),
)
_WITH_IDS = "/conversations/"


@dataclass(frozen=True, slots=True)
class GenAI:
    """Who was asked for what; few values, fit for metrics."""

    provider: str
    operation: str


def described(call: Call) -> GenAI | None:
    """A captured call of a known provider, else None."""
    return _described(call.name) if call.source == "capture" else None


def host_of(call: Call) -> str:
    """The host that another captured call goes to: its name begins with it."""
    return call.name.partition(" ")[0]


@lru_cache(maxsize=1000)
def _described(name: str) -> GenAI | None:
    wire, _, request = name.partition(" ")
    path = request.partition(" ")[2]
    provider = _PROVIDERS.get(wire)
    if provider is None:
        return None
    if provider == "openai" and "/openai/deployments/" in path:
        provider = "azure.ai.openai"
    if provider == "gcp.gemini" and "/publishers/" in path:
        provider = "gcp.vertex_ai"
    if _WITH_IDS in path:
        return GenAI(provider, "chat")
    known = (word for ending, word in _OPERATIONS if path.endswith(ending))
    return GenAI(provider, next(known, None) or path.rpartition("/")[2].rpartition(":")[2])
