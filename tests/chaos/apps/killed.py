"""Takes deliveries of some courses, over and over, until it is killed or nothing is left to do."""

import asyncio
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from llm import ask

from payonce import Busy, Parked, Payonce, RetryLater

app = Payonce(version="1", lease=float(sys.argv[3]))
app.capture()
PARTS = ("one", "two", "three")


def text(course: str, part: str) -> str:
    time.sleep(random.uniform(0, 0.02))
    try:
        return ask(f"[{course}-{part}] a text")
    finally:
        time.sleep(random.uniform(0, 0.04))


async def atext(course: str, part: str) -> str:
    return await asyncio.to_thread(text, course, part)


write = {part: app.step(name=part, in_doubt="retry")(text) for part in PARTS}
awrite = {part: app.step(name=part, in_doubt="retry")(atext) for part in PARTS}


@app.step(name="charge")
def charge(course: str) -> str:
    return text(course, "charge")


@app.job(key="{course}", name="one_by_one", backoff=0, wait=0)
def one_by_one(course: str) -> str:
    return "".join(write[part](course, part) for part in PARTS) + charge(course)


@app.job(key="{course}", name="in_threads", backoff=0, wait=0)
def in_threads(course: str) -> str:
    with ThreadPoolExecutor(3) as threads:
        texts = list(threads.map(lambda part: write[part](course, part), PARTS))
    return "".join(texts) + charge(course)


@app.job(key="{course}", name="in_tasks", backoff=0, wait=0)
async def in_tasks(course: str) -> str:
    texts = await asyncio.gather(*(awrite[part](course, part) for part in PARTS))
    return "".join(texts) + charge(course)


def deliver(n: int) -> bool:
    """Whether nothing is left to do for this course."""
    job = (one_by_one, in_threads, in_tasks)[n % 3]
    try:
        value = job(f"course-{n}")
        if asyncio.iscoroutine(value):
            asyncio.run(value)
    except (RetryLater, Busy):
        return False
    except Parked:
        return True
    return True


def main() -> None:
    chance, courses = random.Random(int(sys.argv[1])), int(sys.argv[2])
    print("ready", flush=True)
    left = list(range(courses))
    while left:
        n = chance.choice(left)
        if deliver(n):
            left.remove(n)
    app.close()


with suppress(KeyboardInterrupt):
    main()
os._exit(0)
