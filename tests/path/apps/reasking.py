"""A job over a library that asks a model again by itself; delivered until it is done."""

import json
import sys
from typing import Any

import openai
import pydantic

import payonce
from payonce.journal.protocol import RunFilter

library, store, url, fails = sys.argv[1:]
left = int(fails)
app = payonce.Payonce(store, version="1")
app.capture()


class Outline(pydantic.BaseModel):
    """What the model is to answer."""

    chapters: int


def by_instructor(client: openai.OpenAI) -> Any:
    import instructor

    asking = instructor.from_openai(client, mode=instructor.Mode.JSON)
    messages: Any = [{"role": "user", "content": "[outline]"}]
    create = asking.chat.completions.create
    return create(model="gpt-5", response_model=Outline, messages=messages, max_retries=2)


def by_pydantic_ai(client: openai.OpenAI) -> Any:
    from pydantic_ai import Agent, PromptedOutput
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    asking = openai.AsyncOpenAI(base_url=client.base_url, api_key="sk-metered")
    model = OpenAIChatModel("gpt-5", provider=OpenAIProvider(openai_client=asking))
    return Agent(model, output_type=PromptedOutput(Outline), retries=1).run_sync("[outline]").output


@app.job(key="course:{course}", backoff=0.001)
def course(course: int) -> str:
    global left
    with openai.OpenAI(base_url=url, api_key="sk-metered") as client:
        made = {"instructor": by_instructor, "pydantic_ai": by_pydantic_ai}[library](client)
    left -= 1
    if left >= 0:
        raise TimeoutError("the database is slow")
    return str(made)


told = []
for _ in sys.stdin:
    try:
        told.append(course(1))
    except payonce.PayonceError as exc:
        told.append(type(exc).__name__)
    (found,) = app.journal.runs(RunFilter())
    rejected = sum(call.rejected for call in app.journal.calls(found.run.id))
    print(json.dumps([told[-1], rejected]), flush=True)
