"""Programs over openai-agents."""

from __future__ import annotations

from typing import Any

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from tests.capture.sdks.task import At

set_tracing_disabled(True)


async def run(at: At) -> Any:
    return (await Runner.run(Agent(name="Author", model="gpt-4o-mini"), at.prompt)).final_output


async def run_chat(at: At) -> Any:
    model = OpenAIChatCompletionsModel("gpt-4o-mini", AsyncOpenAI(timeout=at.timeout))
    return (await Runner.run(Agent(name="Author", model=model), at.prompt)).final_output


async def run_streamed(at: At) -> Any:
    result = Runner.run_streamed(Agent(name="Author", model="gpt-4o-mini"), at.prompt)
    kinds = [event.type async for event in result.stream_events()]
    return kinds, result.final_output


async def run_tools(at: At) -> Any:
    saved: list[str] = []

    @function_tool
    def save(title: str) -> str:
        """Save an outline."""
        saved.append(title)
        return "saved"

    agent = Agent(name="Author", model="gpt-4o-mini", tools=[save])
    answer = await Runner.run(agent, at.prompt)
    assert saved
    return answer.final_output, saved
