"""The course, with a new text before all others."""

import os
import sqlite3
from contextlib import closing

from llm import ask
from told import count, main

from payonce import Payonce

app = Payonce(lease=float(os.environ.get("LEASE", "30")))
app.watch("sqlite:///school.db")


@app.step(cost="0.02 USD", in_doubt="retry")
def write(part: str, course_id: int) -> str:
    return ask(f"[{part}] of course {course_id}")


@app.job(
    key="course:{course_id}", budget="9 USD", backoff=0.01, wait=float(os.environ.get("WAIT", "10"))
)
def generate(course_id: int) -> list[str]:
    texts = [write(part, course_id) for part in ("zero", "one", "two", "three", "four", "five")]
    count("writes")
    with closing(sqlite3.connect("school.db", timeout=0.1)) as db, db:
        db.execute("INSERT INTO courses (id, outline) VALUES (?, ?)", (course_id, texts[1]))
    return texts


if __name__ == "__main__":
    main(app, generate, 42)
