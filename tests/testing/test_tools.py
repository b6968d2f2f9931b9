"""Tools and structured answers of OpenAI and Anthropic, as agents and parsers use them."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from payonce.testing import MeteredProvider, call_tool, reply
from payonce.testing.example import example

PROMPT = "[outline] of a book on bees"
PARAMETERS: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
RESPONSE_TOOL: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS}
CLAUDE_TOOL: Any = {"name": "weather", "input_schema": PARAMETERS}
OSLO = {"city": "Oslo", "days": 3}


class Chapter(BaseModel):
    """A part of a structured answer."""

    title: str
    pages: int | None


class Course(BaseModel):
    """A structured answer."""

    chapters: list[Chapter]


def test_agent_loop_of_chat(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A chat calls the tool that a test wants, once; with the tool's word it ends in a text."""
    provider.fail("outline", call_tool("weather", OSLO))
    messages: list[Any] = [{"role": "user", "content": PROMPT}]
    ask: Any = {"model": "gpt-5", "messages": messages, "tools": [CHAT_TOOL]}
    choice = client.chat.completions.create(**ask).choices[0]
    [call] = choice.message.tool_calls or []
    assert choice.finish_reason == "tool_calls"
    assert isinstance(call, openai.types.chat.ChatCompletionMessageFunctionToolCall)
    assert json.loads(call.function.arguments) == OSLO
    messages += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    assert client.chat.completions.create(**ask).choices[0].message.content
    assert provider.billed("outline") == 2


def test_streamed_tool_of_chat(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """The SDK's accumulator puts a streamed call together."""
    provider.fail("outline", call_tool("weather", OSLO))
    ask: Any = {"model": "gpt-5", "messages": [{"role": "user", "content": PROMPT}]}
    with client.chat.completions.stream(**ask, tools=[CHAT_TOOL]) as stream:
        message = stream.get_final_completion().choices[0].message
    [call] = message.tool_calls or []
    assert json.loads(call.function.arguments) == OSLO


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
def test_demanded_tool_of_chat(client: openai.OpenAI, choice: Any) -> None:
    """A tool that the request demands is called with arguments that its schema allows."""
    answer = client.chat.completions.create(
        model="gpt-5",
        messages=[{"role": "user", "content": PROMPT}],
        tools=[CHAT_TOOL],
        tool_choice=choice,
    )
    [call] = answer.choices[0].message.tool_calls or []
    assert isinstance(call, openai.types.chat.ChatCompletionMessageFunctionToolCall)
    assert json.loads(call.function.arguments)["days"] == 2


def test_structured_chat(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A chat follows the schema of a model; a text that a test gives goes out as it is."""
    ask: Any = {"model": "gpt-5", "messages": [{"role": "user", "content": PROMPT}]}
    first, second = (
        client.chat.completions.parse(**ask, response_format=Course).choices[0].message.parsed
        for _ in range(2)
    )
    assert first is not None
    assert first.chapters[0].pages == 1
    assert first != second
    provider.fail("outline", reply("{no json"))
    text = client.chat.completions.create(**ask, response_format={"type": "json_object"})
    assert text.choices[0].message.content == "{no json"


def test_agent_loop_of_responses(provider: MeteredProvider, client: openai.OpenAI) -> None:
    """A response calls a function, whole or streamed, and ends in a text."""
    provider.fail("outline", call_tool("weather", OSLO), times=2)
    ask: Any = {"model": "gpt-5", "tools": [RESPONSE_TOOL]}
    whole = client.responses.create(**ask, input=PROMPT)
    with client.responses.stream(**ask, input=PROMPT) as stream:
        streamed = stream.get_final_response()
    for response in (whole, streamed):
        [item] = response.output
        assert item.type == "function_call"
        assert json.loads(item.arguments) == OSLO
    [called] = whole.output
    given: Any = [
        {"role": "user", "content": PROMPT},
        called.model_dump(),
        {"type": "function_call_output", "call_id": called.call_id, "output": "rain"},  # type: ignore
    ]
    assert client.responses.create(**ask, input=given).output_text
    assert provider.billed("outline") == 3


def test_structured_response(client: openai.OpenAI) -> None:
    """A response follows the schema of a model, and calls a demanded function."""
    parsed = client.responses.parse(model="gpt-5", input=PROMPT, text_format=Course).output_parsed
    assert parsed is not None
    assert parsed.chapters[0].title
    demanded: Any = {"type": "function", "name": "weather"}
    [item] = client.responses.create(
        model="gpt-5", input=PROMPT, tools=[RESPONSE_TOOL], tool_choice=demanded
    ).output
    assert item.type == "function_call"


def test_tools_of_messages(provider: MeteredProvider, claude: anthropic.Anthropic) -> None:
    """A message uses a tool, whole or streamed, where it is wanted or demanded."""
    ask: Any = {
        "model": "claude-opus-5",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": PROMPT}],
        "tools": [CLAUDE_TOOL],
    }
    provider.fail("outline", call_tool("weather", OSLO), times=2)
    whole = claude.messages.create(**ask)
    with claude.messages.stream(**ask) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        [block] = message.content
        assert block.type == "tool_use"
        assert (block.input, message.stop_reason) == (OSLO, "tool_use")
    assert claude.messages.create(**ask).content[0].type == "text"
    for choice in ({"type": "any"}, {"type": "tool", "name": "weather"}):
        [block] = claude.messages.create(**ask, tool_choice=choice).content
        assert block.type == "tool_use"
        assert block.input["days"] == 2


def test_structured_message(claude: anthropic.Anthropic) -> None:
    """A message follows the schema of a model."""
    message = claude.messages.parse(
        model="claude-opus-5",
        max_tokens=99,
        messages=[{"role": "user", "content": PROMPT}],
        output_format=Course,
    )
    assert message.parsed_output is not None
    assert message.parsed_output.chapters[0].title


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "minLength": 3}, "ab."),
        ({"type": "string", "maxLength": 1}, "a"),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"enum": ["red", "blue"]}, "red"),
        ({"const": 7}, 7),
        ({"type": ["null", "number"], "exclusiveMinimum": 4}, 5),
        ({"type": "ARRAY", "items": {"type": "BOOLEAN"}, "minItems": 2}, [True, True]),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"type": "object"}]}, {"a": 1}),
        ({"properties": {"a": {"type": "null"}, "b": {}}, "required": ["a"]}, {"a": None}),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, 1),
    ],
)
def test_example_follows_its_schema(schema: Any, value: Any) -> None:
    """The made-up value is one that the schema allows."""
    assert example(schema, "ab") == value


def test_example_of_a_tree_ends() -> None:
    """A schema that may refer to itself is followed some levels deep."""
    leaf = {"anyOf": [{"$ref": "#"}, {"type": "null"}]}
    tree = {"properties": {"left": leaf, "more": {"type": "array", "items": {"$ref": "#"}}}}
    made = example({"type": "object", **tree}, "")
    assert "null" in json.dumps(made)
    assert "[]" in json.dumps(made)


def test_schema_that_requires_itself_is_refused(
    provider: MeteredProvider, client: openai.OpenAI
) -> None:
    """A schema that no finite value follows is the request's fault, and is not billed."""
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    with pytest.raises(openai.BadRequestError, match="requires itself"):
        client.responses.create(
            model="gpt-5",
            input=PROMPT,
            text={"format": {"type": "json_schema", "name": "n", "schema": endless}},
        )
    assert provider.billed() == 0
