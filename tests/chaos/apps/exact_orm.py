"""The course by SQLAlchemy, completed in the transaction of its last write; then it dies."""

import os
import signal

from llm import ask
from school import IS_SQLITE, STORE, engine_url
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from told import main

from payonce import Payonce

engine = create_engine(engine_url())
app = Payonce(STORE)
if IS_SQLITE:
    app.watch(engine)


@app.step(cost="0.02 USD", in_doubt="retry")
def write(part: str, course_id: int) -> str:
    return ask(f"[{part}] of course {course_id}")


@app.job(key="course:{course_id}", budget="9 USD")
def generate(course_id: int) -> list[str]:
    texts = [write(part, course_id) for part in ("one", "two", "three", "four", "five")]
    with Session(engine) as db:
        insert = text("INSERT INTO courses (id, outline) VALUES (:id, :outline)")
        db.execute(insert, {"id": course_id, "outline": texts[0]})
        app.complete(db, texts)
        db.commit()
    os.kill(os.getpid(), signal.SIGKILL)
    return texts


if __name__ == "__main__":
    main(app, generate, 42)
