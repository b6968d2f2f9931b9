"""A course of three paid texts under Celery, whose broker gives a message out again after a second.

Started by Celery's own command, a process for each worker. What became of each delivery is written
into the file `told`.
"""

import json
import os
from pathlib import Path
from urllib.request import Request, urlopen

import guard
from celery import Celery, Task

from payonce import Busy, Parked, Payonce, RetryLater
from payonce.delivery import receiving
from payonce.model import Delivery

guard.die_with(int(os.environ["PARENT_PID"]))

queue = Celery("course", broker=os.environ["BROKER"])
queue.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={
        "visibility_timeout": 1,
        "unacked_restore_interval": 1,  # seconds between two looks; by default each tenth of
        "unacked_restore_throttle": 1,  # one in ten seconds is made, the first at the start
    },
    broker_connection_retry_on_startup=True,
)
app = Payonce(version="1", lease=3, look_every=None)


@app.step(cost="0.02 USD", in_doubt="retry")
def write(part: str) -> str:
    body = json.dumps({"model": "gpt-5", "input": f"[{part}] of a course"}).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"{os.environ['OPENAI_BASE_URL']}/responses", body, headers)
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)["output"][-1]["content"][0]["text"]


@app.job(key="course:{course_id}", backoff=0.01, wait=0.05)
def generate(course_id: int) -> list[str]:
    return [write(part) for part in ("one", "two", "three")]


@queue.task(bind=True, name="generate", max_retries=None)
def deliver(task: Task, course_id: int) -> None:
    try:
        with receiving(Delivery(queue="celery", message=task.request.id)):
            generate(course_id)
    except (Busy, RetryLater) as told:
        tell(type(told).__name__)
        raise task.retry(countdown=min(told.after, 1.0)) from None
    except Parked as told:
        tell(type(told).__name__)
    else:
        tell("done")


def tell(word: str) -> None:
    with Path("told").open("a") as file:
        file.write(f"{os.getpid()} {word}\n")
