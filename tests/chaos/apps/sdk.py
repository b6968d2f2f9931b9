"""The course by OpenAI's SDK, captured."""

import os
import sqlite3
from contextlib import closing

import openai
from told import count, main

from payonce import Payonce
from payonce.testing import Price
from payonce.testing.prices import tell

app = Payonce(lease=float(os.environ.get("LEASE", "30")))
app.capture()
tell(app.prices, {"*": Price("0", "0", call="0.02")})
app.watch("sqlite:///school.db")
client = openai.OpenAI()


@app.job(key="course:{course_id}", budget="9 USD", backoff=0.01)
def generate(course_id: int) -> list[str]:
    texts = []
    for part in ("one", "two", "three", "four", "five"):
        answer = client.responses.create(model="gpt-5", input=f"[{part}] of course {course_id}")
        texts.append(answer.output_text)
    count("writes")
    with closing(sqlite3.connect("school.db", timeout=0.1)) as db, db:
        db.execute("INSERT INTO courses (id, outline) VALUES (?, ?)", (course_id, texts[0]))
    return texts


if __name__ == "__main__":
    main(app, generate, 42)
