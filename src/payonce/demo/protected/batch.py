"""Front of the demo, the user's part: a batch of three paid calls and one write."""

from __future__ import annotations

from anthropic import Anthropic
from openai import OpenAI
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, insert

from payonce import Payonce

app = Payonce("sqlite:///payonce.db")
app.capture()
engine = create_engine("sqlite:///courses.db")
app.watch(engine)
openai, anthropic = OpenAI(), Anthropic()
courses = Table(
    "courses",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("tenant", Text),
    Column("outline", Text),
    Column("chapter", Text),
    Column("review", Text),
)


@app.job(key="course:{course_id}", tenant="{tenant}")
def generate_course(course_id: int, tenant: str) -> str:
    """Have a course written and reviewed, then save it; three calls are billed."""
    outline = openai.responses.create(
        model="gpt-5-mini", input=f"Outline course {course_id}, an introduction to beekeeping."
    ).output_text

    chapter = ""
    for chunk in openai.chat.completions.create(
        model="gpt-5-mini",
        messages=[{"role": "user", "content": f"Write the first chapter of: {outline}"}],
        stream=True,
        stream_options={"include_usage": True},
    ):
        chapter += "".join(choice.delta.content or "" for choice in chunk.choices)

    message = anthropic.messages.create(
        model="claude-opus-5",
        max_tokens=500,
        messages=[{"role": "user", "content": f"Review this chapter: {chapter}"}],
    )
    review = "".join(block.text for block in message.content if block.type == "text")

    with engine.begin() as db:
        db.execute(
            insert(courses).values(
                id=course_id, tenant=tenant, outline=outline, chapter=chapter, review=review
            )
        )
    return outline
