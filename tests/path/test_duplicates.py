"""At the door: of deliveries that come together, one works; the others wait or come back."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.journal.making import opened
from tests.journal.programs import ended, started
from tests.journal.stores import Clock
from tests.path.looking import only_run

from payonce import Busy, KeyReused, Parked, Payonce, RetryLater
from payonce.delivery import receiving
from payonce.model import Delivery

TWIN = """
import sys
from payonce import Payonce
app = Payonce(sys.argv[1], version="1")

@app.step
def pay() -> str:
    with open(sys.argv[2], "a") as bill:
        bill.write("x")
    sys.stdin.readline()
    return "answer"

@app.job(key="k", name="twin", wait=15)
def job() -> str:
    return pay()

print("ready", flush=True)
sys.stdin.readline()
print(job(), flush=True)
"""


def test_duplicates_in_one_process_share_one_attempt(live: Payonce) -> None:
    """Of many threads that deliver the same at once, one works and all are answered."""
    sent, arrived = [], threading.Barrier(6)

    @live.step
    def pay() -> str:
        sent.append(1)
        return "answer"

    @live.job(key="k")
    def job() -> str:
        return pay()

    def deliver() -> str:
        arrived.wait(10)
        return job()

    with ThreadPoolExecutor(6) as threads:
        assert {f.result(15) for f in [threads.submit(deliver) for _ in range(6)]} == {"answer"}
    run = only_run(live)
    live.close()
    assert (len(sent), run.attempt, len(live.journal.history(run.id).arrivals)) == (1, 1, 6)


def test_duplicates_in_two_processes_share_one_attempt(tmp_path: Path) -> None:
    """Both processes print the answer; the provider was asked once."""
    store, bill = f"sqlite:///{tmp_path}/journal.db", tmp_path / "bill"
    processes = [started(TWIN, store, str(bill)) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\nanswer\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "answer\n"
    assert [ended(process) for process in processes] == [0, 0]
    assert bill.read_text() == "x"


def test_duplicates_in_one_event_loop_share_one_attempt(live: Payonce) -> None:
    """Tasks that wait for the one that works leave it the loop."""
    sent = []

    @live.step
    async def pay() -> str:
        sent.append(1)
        await asyncio.sleep(0.02)
        return "answer"

    @live.job(key="k")
    async def job() -> str:
        return await pay()

    async def deliver() -> list[Any]:
        return await asyncio.gather(*[job() for _ in range(4)])

    assert asyncio.run(deliver()) == ["answer"] * 4
    assert (len(sent), only_run(live).attempt) == (1, 1)


def test_a_duplicate_that_may_not_wait_is_told_busy(app: Payonce) -> None:
    """It hears who works, and for how long at least; it is noted as a delivery."""

    @app.job(key="k", name="generate", wait=0)
    def job() -> None:
        raise AssertionError("nobody may come here")

    arguments = app.jobs["generate"].bind((), {}).fingerprint
    opened(app.journal, "k", owner="host/1/2/3", arguments_fingerprint=arguments)
    with receiving(Delivery("sqs", "m7")) as heard, pytest.raises(Busy) as busy:
        job()
    assert (busy.value.owner, busy.value.after, busy.value.paid) == ("host/1/2/3", 30.0, "no")
    assert heard.verdict is not None
    assert (heard.verdict.word, heard.verdict.after) == ("busy", 30.0)
    app.close()
    assert [a.answer for a in app.journal.history(only_run(app).id).arrivals] == ["none", "busy"]


def test_a_delivery_before_its_time_is_sent_back(app: Payonce, clock: Clock) -> None:
    """Until the back-off is over no attempt begins; then one does."""
    sent = []

    @app.job(key="k", wait=0, backoff=100)
    def job() -> str:
        sent.append(1)
        if len(sent) == 1:
            raise ConnectionResetError("reset")
        return "done"

    with pytest.raises(RetryLater) as first:
        job()
    with pytest.raises(RetryLater) as early:
        job()
    assert early.value.after == pytest.approx(first.value.after)
    assert (len(sent), only_run(app).attempt) == (1, 1)
    clock.move(first.value.after)
    assert job() == "done"


def test_other_arguments_under_the_same_key_are_refused(app: Payonce) -> None:
    """The refusal names what differs, is recorded, and the run goes on as it was."""

    @app.job(key="course:{course_id}")
    def job(course_id: int, level: str, size: int = 3) -> str:
        return f"{course_id} {level} {size}"

    assert job(1, "easy") == "1 easy 3"
    with receiving(Delivery("sqs", "m2")) as heard, pytest.raises(KeyReused) as reused:
        job(1, "hard", size=4)
    assert (reused.value.names, reused.value.paid) == (("level", "size"), "no")
    assert heard.verdict is not None
    assert heard.verdict.word == "park"
    assert job(1, level="easy", size=3) == "1 easy 3"
    app.close()
    assert [a.answer for a in app.journal.history(only_run(app).id).arrivals] == [
        "done",
        "refused",
        "done",
    ]


def test_ignored_arguments_may_differ(app: Payonce) -> None:
    """What `ignore_args` names makes no other run of it, and need not be kept."""

    @app.job(key="course:{course_id}", ignore_args=["trace"])
    def job(course_id: int, trace: object = None) -> int:
        return course_id

    assert [job(1, "a"), job(1, "b"), job(1, threading.Lock())] == [1, 1, 1]


def test_deliveries_of_a_parked_run_do_nothing(app: Payonce) -> None:
    """In the same world no user code runs, and each is told the same reason."""
    sent = []

    @app.job(key="k", on_park="hold")
    def job() -> None:
        sent.append(1)
        raise KeyError("outline")

    told = []
    for _ in range(3):
        with receiving(Delivery("sqs")) as heard, pytest.raises(Parked) as parked:
            job()
        told.append(parked.value.reason)
        assert heard.verdict is not None
        assert (heard.verdict.word, heard.verdict.hold) == ("park", True)
    assert (len(sent), len(set(told))) == (1, 1)
