"""The course, with places between its calls at which a test can hold it."""

import os
import time
from pathlib import Path

from llm import ask
from told import main

from payonce import Payonce

app = Payonce(lease=float(os.environ.get("LEASE", "30")), version="1")


@app.step(cost="0.02 USD", in_doubt="retry")
def write(part: str, course_id: int) -> str:
    return ask(f"[{part}] of course {course_id}")


@app.job(
    key="course:{course_id}", budget="9 USD", backoff=0.01, wait=float(os.environ.get("WAIT", "10"))
)
def generate(course_id: int) -> list[str]:
    texts = [write("one", course_id)]
    halt("between")
    texts += [write(part, course_id) for part in ("two", "three")]
    halt("before-close")
    return texts


def halt(place: str) -> None:
    if os.environ.get("HALT") == place:
        Path("halted").touch()
        while not Path("go").exists():
            time.sleep(0.005)


if __name__ == "__main__":
    main(app, generate, 42)
