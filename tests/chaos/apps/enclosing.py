"""A step around two captured texts, which then writes to a store whose connection is lost."""

import os
from pathlib import Path

import openai
from told import count, main

from payonce import Payonce
from payonce.testing import Price
from payonce.testing.prices import tell

app = Payonce(lease=float(os.environ.get("LEASE", "30")))
app.capture()
tell(app.prices, {"*": Price("0", "0", call="0.02")})
client = openai.OpenAI()


def ask(part: str) -> str:
    return client.responses.create(model="gpt-5", input=f"[{part}] of a course").output_text


@app.step(in_doubt=os.environ.get("IN_DOUBT"), ceiling=os.environ.get("CEILING"))
def write() -> list[str]:
    texts = [ask("one"), ask("two")]
    count("writes")
    if os.environ.get("DIES"):
        os.kill(os.getpid(), 9)
    if not Path("up").exists():
        raise ConnectionResetError("the store closed the connection")
    return texts


@app.job(key="course:{course_id}", budget="9 USD", backoff=0.001, attempts=9)
def generate(course_id: int) -> list[str]:
    return write()


if __name__ == "__main__":
    main(app, generate, 42)
