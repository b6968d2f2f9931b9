"""Programs over instructor."""

from __future__ import annotations

from typing import Any

import anthropic
import instructor
import openai
from pydantic import BaseModel, field_validator
from tests.capture.sdks.task import At


class Outline(BaseModel):
    """The outline of a course."""

    title: str


class Picky(BaseModel):
    """One that isn't content with the first answer."""

    title: str

    @field_validator("title")
    @classmethod
    def _second(cls, title: str) -> str:
        if title.startswith("Answer ") and not Picky.seen:
            Picky.seen.append(title)
            raise ValueError("not this one")
        return title


Picky.seen = []  # type: ignore[attr-defined]


def messages(at: At) -> Any:
    return [{"role": "user", "content": at.prompt}]


def create(at: At) -> Any:
    client = instructor.from_openai(openai.OpenAI(timeout=at.timeout))
    return client.chat.completions.create(
        model="gpt-4o-mini", messages=messages(at), response_model=Outline
    ).model_dump()


async def acreate(at: At) -> Any:
    client = instructor.from_openai(openai.AsyncOpenAI())
    answer = await client.chat.completions.create(
        model="gpt-4o-mini", messages=messages(at), response_model=Outline
    )
    return answer.model_dump()


def create_asking_again(at: At) -> Any:
    Picky.seen = []  # type: ignore[attr-defined]
    client = instructor.from_openai(openai.OpenAI())
    answer = client.chat.completions.create(
        model="gpt-4o-mini", messages=messages(at), response_model=Picky, max_retries=3
    )
    return answer.model_dump(), Picky.seen  # type: ignore[attr-defined]


def create_anthropic(at: At) -> Any:
    client = instructor.from_anthropic(anthropic.Anthropic())
    answer = client.messages.create(
        model="claude-opus-5", max_tokens=100, messages=messages(at), response_model=Outline
    )
    return answer.model_dump()
