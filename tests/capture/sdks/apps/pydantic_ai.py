"""Programs over pydantic-ai."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.settings import ModelSettings
from tests.capture.sdks.task import At

CHAT, RESPONSES, CLAUDE = (
    "openai-chat:gpt-4o-mini",
    "openai-responses:gpt-4o-mini",
    "anthropic:claude-opus-5",
)


class Outline(BaseModel):
    """The outline of a course."""

    title: str


def settings(at: At) -> ModelSettings:
    return ModelSettings(timeout=at.timeout)


def run_sync(at: At) -> Any:
    return Agent(CHAT).run_sync(at.prompt, model_settings=settings(at)).output


async def run(at: At) -> Any:
    return (await Agent(CHAT).run(at.prompt, model_settings=settings(at))).output


async def run_responses(at: At) -> Any:
    return (await Agent(RESPONSES).run(at.prompt)).output


async def run_anthropic(at: At) -> Any:
    return (await Agent(CLAUDE).run(at.prompt)).output


async def run_stream(at: At) -> Any:
    async with Agent(CHAT).run_stream(at.prompt) as answer:
        return [text async for text in answer.stream_text(delta=True, debounce_by=None)]


async def run_structured(at: At) -> Any:
    answer = await Agent(CHAT, output_type=Outline).run(at.prompt)
    assert isinstance(answer.output, Outline)
    return answer.output.model_dump()


async def run_tools(at: At) -> Any:
    saved: list[str] = []

    def save(title: str) -> str:
        """Save an outline."""
        saved.append(title)
        return "saved"

    answer = await Agent(CHAT, tools=[save]).run(at.prompt)
    assert saved
    return answer.output, saved
