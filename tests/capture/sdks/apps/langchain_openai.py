"""Programs over langchain-openai."""

from __future__ import annotations

from typing import Any

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from tests.capture.sdks.task import At


class Outline(BaseModel):
    """The outline of a course."""

    title: str


@tool
def save(title: str) -> str:
    """Save an outline."""
    return title


def model(at: At) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", timeout=at.timeout)


def plain(message: Any) -> Any:
    """All but the id, which langchain makes up itself."""
    return message.model_dump(exclude={"id"})


def invoke(at: At) -> Any:
    return plain(model(at).invoke(at.prompt))


def stream(at: At) -> Any:
    return [plain(chunk) for chunk in model(at).stream(at.prompt)]


async def ainvoke(at: At) -> Any:
    return plain(await model(at).ainvoke(at.prompt))


async def astream(at: At) -> Any:
    return [plain(chunk) async for chunk in model(at).astream(at.prompt)]


def batch(at: At) -> Any:
    prompts = [f"{at.prompt} Part {part}." for part in range(3)]
    return [answer.content for answer in model(at).batch(prompts)]


def tools(at: At) -> Any:
    answer = model(at).bind_tools([save], tool_choice="required").invoke(at.prompt)
    assert answer.tool_calls
    return answer.tool_calls


def structured(at: At) -> Any:
    answer = model(at).with_structured_output(Outline).invoke(at.prompt)
    assert isinstance(answer, Outline)
    return answer.model_dump()


def embeddings(at: At) -> Any:
    asked = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
    return asked.embed_query(at.prompt)
