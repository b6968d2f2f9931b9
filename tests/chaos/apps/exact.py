"""The course, whose run is completed in the transaction of its last write; then it dies."""

import os
import signal

from llm import ask
from school import STORE, insert, transaction
from told import count, main

from payonce import Payonce

app = Payonce(STORE, lease=float(os.environ.get("LEASE", "30")))


@app.step(cost="0.02 USD", in_doubt="retry")
def write(part: str, course_id: int) -> str:
    return ask(f"[{part}] of course {course_id}")


@app.job(
    key="course:{course_id}", budget="9 USD", backoff=0.01, wait=float(os.environ.get("WAIT", "10"))
)
def generate(course_id: int) -> list[str]:
    texts = [write(part, course_id) for part in ("one", "two", "three", "four", "five")]
    count("writes")
    with transaction() as db:
        insert(db, course_id, texts[0])
        app.complete(db, texts)
    os.kill(os.getpid(), signal.SIGKILL)
    return texts


if __name__ == "__main__":
    main(app, generate, 42)
