"""What the endpoints of all test apps do: real jobs, and words that a real one says rarely."""

from __future__ import annotations

import contextvars
import json
import sqlite3
import tempfile
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from payonce import Payonce
from payonce.delivery import current
from payonce.errors import Busy, KeyReused, NotDone, Parked, RetryLater
from payonce.model import Verdict

QUEUES = ("cloud-tasks", "pubsub", "qstash", "http")
released = threading.Event()
meeting = threading.Barrier(2, timeout=10)


def parked(hold: bool = False) -> Parked:
    return Parked(
        'column "x" does not exist',
        job="generate_course",
        run_key="course:42",
        kind="deterministic",
        fingerprint="f00d",
        paid="yes",
        hold=hold,
        todo="Run the migration.",
    )


def later() -> RetryLater:
    return RetryLater(
        "connection reset", job="j", run_key="course:42", paid="no", after=6.2, todo="Wait."
    )


app = Payonce(f"sqlite:///{tempfile.mkdtemp()}/payonce.db", version="1")


@app.job(key="course:{course}")
def write_course(course: str) -> str:
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE courses (id)")
        db.execute("INSERT INTO courses (outline) VALUES ('a plan')")
    return course


@app.job(key="course:{course}", on_park="hold")
def write_course_held(course: str) -> str:
    raise KeyError(course)


@app.job(key="course:{course}")
def reset_by_peer(course: str) -> str:
    raise ConnectionResetError("reset by peer")


JOBS = {"job-park": write_course, "job-hold": write_course_held, "job-retry": reset_by_peer}


def job(scenario: str) -> str:
    """Ends as `scenario` says: by a real job, or noting the verdict that one would note."""
    if scenario in JOBS:
        return JOBS[scenario](uuid.uuid4().hex)
    ends: dict[str, tuple[Verdict | None, Exception]] = {
        "park": (Verdict("park"), parked()),
        "hold": (Verdict("park", hold=True), parked(hold=True)),
        "retry": (Verdict("retry", after=6.2), later()),
        "busy": (Verdict("busy", after=3), Busy(job="j", run_key="k", owner="w1", after=3)),
        "reused": (Verdict("park"), KeyReused("j", "course:42", ("tenant",))),
        "unnoted": (None, parked()),
        "beside": (Verdict("park"), ValueError("the handler's own")),
        "bug": (None, ValueError("the handler's own")),
        "done-bug": (Verdict("done"), ValueError("the handler's own")),
    }
    if scenario == "noted":
        current().note(Verdict("park"))
    if scenario not in ends:
        return json.dumps({"message": current().delivery.message})
    verdict, error = ends[scenario]
    if verdict is not None:
        current().note(verdict)
    raise error


def threaded(scenario: str) -> str:
    """The job in a worker thread that got a copy of the context."""
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(context.run, job, scenario).result()


def caught(scenario: str) -> str:
    """The handler's own words for what the job raised."""
    try:
        return job(scenario)
    except NotDone as error:
        return f"own words: {type(error).__name__}"


def met() -> str:
    """Waits for a second request, then tells which delivery this is."""
    meeting.wait()
    return json.dumps({"message": current().delivery.message})


def stream() -> Iterator[bytes]:
    """A first chunk at once, the second when `released` is set."""
    yield b"first;"
    released.wait(10)
    yield f"second of {current().delivery.message}".encode()


def torn() -> Iterator[bytes]:
    """A job that parks after the response has begun."""
    yield b"begun;"
    job("park")


def unbegun() -> Iterator[bytes]:
    """A job that parks before the first chunk of a stream."""
    job("park")
    yield b"never"
