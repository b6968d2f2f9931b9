"""Testing: what every provider's wire format is read into and written from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Finish = Literal["stop", "length", "content_filter"]
Body = Mapping[str, Any]
_MARKER = re.compile(r"\[([\w-]+)\]")
_LABEL_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, whatever format it came in.

    `label` is the first `[marker]` in the user's and system texts, or the first 40 characters.
    """

    provider: str
    model: str
    prompt: str
    label: str
    stream: bool
    body: Body

    @classmethod
    def of(cls, provider: str, body: Body, texts: list[str]) -> Ask:
        """Read what all formats share; `texts` are the user's and system texts in order."""
        prompt = "\n".join(texts)
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise ValueError("you must provide a model parameter")
        return cls(provider, model, prompt, label_of(prompt), bool(body.get("stream")), body)

    @property
    def input_tokens(self) -> int:
        """About four characters a token."""
        return tokens_in(self.prompt)

    @property
    def prompt_sha(self) -> str:
        """The SHA-256 of the prompt, in hex."""
        return hashlib.sha256(self.prompt.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before it is written in a format; `n` is the number of the billed call."""

    ask: Ask
    n: int
    text: str
    finish: Finish
    created: int

    @property
    def output_tokens(self) -> int:
        """About four characters a token."""
        return tokens_in(self.text)

    @property
    def id(self) -> str:
        """Unique per billed call, and the same for the same call of a repeated test."""
        return f"{self.n:06d}{self.ask.prompt_sha[:18]}"

    @property
    def pieces(self) -> list[str]:
        """The text as a stream delivers it: word by word."""
        return re.findall(r"\s+|\S+\s*", self.text) or [self.text]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as the provider words it."""

    status: int
    body: Body


class Wire(Protocol):
    """One provider's format of one endpoint."""

    @property
    def provider(self) -> str:
        """The provider's name on the bill."""

    def read(self, body: Body) -> Ask:
        """Read a request; ValueError says what is wrong with it."""

    def whole(self, answer: Answer) -> Body:
        """The answer in one piece."""

    def events(self, answer: Answer) -> Iterator[bytes]:
        """The answer as server-sent events."""

    def output_tokens(self, answer: Answer) -> int:
        """The output tokens that are billed."""

    def refusal(self, status: int, code: str | None, message: str | None, id: str) -> Refusal:
        """An error in this provider's words; the status may differ from the one asked for."""

    def error_event(self, code: str | None, message: str | None, id: str) -> bytes:
        """An error that comes inside a stream, after status 200."""


def label_of(prompt: str) -> str:
    """The short name by which tests count calls."""
    marker = _MARKER.search(prompt)
    return marker[1] if marker else prompt[:_LABEL_LENGTH]


def tokens_in(text: str) -> int:
    """A plausible number of tokens: four characters each, at least one."""
    return max(1, -(-len(text) // 4))


def texts_in(content: Any) -> list[str]:
    """The texts of a message's content: a string, or a list of parts with a `text`."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    return [str(part["text"]) for part in content if isinstance(part, dict) and "text" in part]


def asked_texts(messages: Any) -> list[str]:
    """The user's, system's and developer's texts of a list of messages, in order."""
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list that is not empty")
    asked = [m for m in messages if isinstance(m, dict) and m.get("role") != "assistant"]
    return [text for message in asked for text in texts_in(message.get("content"))]


def event(data: Body, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
