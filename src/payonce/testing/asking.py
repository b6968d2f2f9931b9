"""Testing: a request, whatever format it came in, and its answer before it is written in one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from payonce.testing.example import example
from payonce.testing.form import Form, read_form

Finish = Literal["stop", "length", "content_filter", "tool_calls"]
Body = Mapping[str, Any]
_MARKER = re.compile(r"\[([\w-]+)\]")
_LABEL_LENGTH = 40
_FRAGMENT = 12


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: header names are in lower case, `names` are what its path says."""

    path: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The body's JSON object; ValueError says that it is none."""
        value = json.loads(self.content or b"null")
        if not isinstance(value, dict):
            raise ValueError("the request's body must be a JSON object")
        return value

    def form(self) -> Form:
        """The body's fields and files; ValueError says that it is no form."""
        return read_form(self.headers.get("content-type", ""), self.content)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a request demands, with the JSON schema of its arguments."""

    name: str
    schema: Body


@dataclass(frozen=True, slots=True)
class ToolCall:
    """An answer that calls a tool; `arguments` is JSON text, well formed or not."""

    name: str
    arguments: str

    def parsed(self) -> Any:
        """The arguments as a value, for formats that carry no text; {} where they are no JSON."""
        try:
            return json.loads(self.arguments)
        except ValueError:
            return {}

    @property
    def pieces(self) -> list[str]:
        """The arguments as a stream delivers them."""
        return [
            self.arguments[at : at + _FRAGMENT] for at in range(0, len(self.arguments), _FRAGMENT)
        ]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for.

    `label` is the first `[marker]` in the user's and system texts, or the first 40 characters;
    `tool` is the tool that it demands, `schema` the JSON schema that its answer has to follow.
    """

    provider: str
    model: str
    prompt: str
    label: str
    stream: bool
    body: Body
    tool: Tool | None = None
    schema: Body | None = None

    @classmethod
    def of(
        cls,
        provider: str,
        body: Body,
        texts: list[str],
        *,
        tool: Tool | None = None,
        schema: Body | None = None,
    ) -> Ask:
        """Read what all formats share; `texts` are the user's and system texts in order."""
        prompt = "\n".join(texts)
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise ValueError("you must provide a model parameter")
        for wanted in (schema, tool and tool.schema):
            example(wanted or {}, "")
        stream = bool(body.get("stream"))
        return cls(provider, model, prompt, label_of(prompt), stream, body, tool, schema)

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
    tool_call: ToolCall | None = None

    @property
    def output_tokens(self) -> int:
        """About four characters a token."""
        return tokens_in(self.text if self.tool_call is None else self.tool_call.arguments)

    @property
    def id(self) -> str:
        """Unique per billed call, and the same for the same call of a repeated test."""
        return f"{self.n:06d}{self.ask.prompt_sha[:18]}"

    @property
    def pieces(self) -> list[str]:
        """The text as a stream delivers it: word by word."""
        return re.findall(r"\s+|\S+\s*", self.text) or [self.text]


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


def demanded(tools: Mapping[str, Body], name: Any, *, any_tool: bool) -> Tool | None:
    """The tool that a request demands: the one it names, or the last where it leaves the choice.

    `tools` are the schemas of the tools that it offers, by name. Frameworks that wrap an answer
    in a tool offer theirs last.
    """
    if isinstance(name, str):
        return Tool(name, tools.get(name, {}))
    if any_tool and tools:
        return Tool(*list(tools.items())[-1])
    return None
