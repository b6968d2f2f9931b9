"""What a hunt for broken promises found: each case once went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.journal.making import opened
from tests.journal.programs import ended, started
from tests.journal.stores import Clock
from tests.path.looking import calls, only_run, states

from payonce import Busy, ConfigError, Parked, Payonce, PayonceError, RetryLater
from payonce.delivery import receiving
from payonce.journal import journal_at
from payonce.model import Delivery


class Unspeakable(Exception):
    """An error whose text can't be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Unprintable:
    """A value that can't be shown or told."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def test_a_cost_that_cannot_be_told_loses_no_receipt(app: Payonce) -> None:
    """A `cost=` function that raises leaves the cost unknown; the answer was paid for."""

    @app.step(cost=lambda answer: answer["usage"]["cost"])  # type: ignore[no-any-return]
    def ask() -> dict[str, str]:
        return {"text": "answer"}

    @app.job(key="k")
    def job() -> dict[str, str]:
        return ask()

    assert job() == {"text": "answer"}
    assert [(c.state, c.cost_nanos) for c in calls(app)] == [("paid", None)]


def test_an_answer_that_cannot_be_shown_loses_no_receipt(app: Payonce) -> None:
    """An answer whose `repr` raises is kept as a description of its class."""

    @app.step
    def ask() -> Any:
        return Unprintable()

    @app.job(key="k")
    def job() -> str:
        return type(ask()).__name__

    assert job() == "Unprintable"
    assert states(app) == ["paid"]


def test_an_error_without_a_text_is_an_error_as_any(app: Payonce) -> None:
    """A step's exception whose `str` raises reaches its caller, and ends its call."""

    @app.step
    def ask() -> None:
        raise Unspeakable

    @app.job(key="k")
    def job() -> str:
        with pytest.raises(Unspeakable):
            ask()
        return "done"

    assert job() == "done"
    assert states(app) == ["in_doubt"]


def test_a_check_without_a_text_rejects(app: Payonce) -> None:
    """A `check=` that raises what can't be told still says no."""
    answers = iter(["bad", "good"])

    def check(answer: str) -> None:
        if answer == "bad":
            raise Unspeakable

    @app.step(check=check)
    def ask() -> str:
        return next(answers)

    @app.job(key="k")
    def job() -> str:
        return ask()

    assert job() == "good"


def test_an_argument_without_a_text_ends_no_attempt_badly(app: Payonce) -> None:
    """An ignored argument whose `str` raises doesn't keep a failed run from being closed."""

    @app.job(key="k", ignore_args=["session"])
    def job(session: Any) -> None:
        raise ValueError("bug")

    with pytest.raises((Parked, RetryLater)):
        job(Unprintable())
    assert only_run(app).lease_owner is None


def test_an_error_that_is_no_unicode_is_recorded(app: Payonce) -> None:
    """A lone surrogate, as JSON answers and file names have them, doesn't keep a run from parking."""

    @app.step
    def ask() -> None:
        raise ConnectionResetError("cut \ud83d off")

    @app.job(key="k")
    def job() -> None:
        with suppress(ConnectionResetError):
            ask()
        raise ValueError("half an emoji: \ud83d")

    with pytest.raises(PayonceError, match="emoji"):
        job()
    assert (only_run(app).lease_owner, states(app)) == (None, ["in_doubt"])


def _late(app: Payonce, clock: Clock, *, slow: str) -> tuple[Any, Any, list[str]]:
    """An attempt that is stuck in its paid call, and has lost its lease meanwhile."""
    sent: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    @app.step(in_doubt="retry" if slow == "retry" else "park")
    def ask() -> str:
        sent.append("sent")
        if len(sent) == 1:
            inside.set()
            go_on.wait(10)
        return "answer"

    @app.job(key="k", name="generate", wait=0)
    def job(hook: Any = None) -> str:
        before.pop()() if before else None
        return ask()

    before: list[Any] = []

    def late() -> None:
        with suppress(Busy):
            job()

    thread = threading.Thread(target=late)
    thread.start()
    assert inside.wait(10)
    clock.move(3600)

    def receipt() -> None:
        go_on.set()
        thread.join(10)

    return lambda hook: (before.append(hook), job())[1], receipt, sent


def test_a_receipt_that_comes_late_is_not_paid_for_again(app: Payonce, clock: Clock) -> None:
    """The attempt that took over finds a receipt that was written after it had begun."""
    job, receipt, sent = _late(app, clock, slow="retry")
    assert job(receipt) == "answer"
    assert (sent, states(app)) == (["sent"], ["paid"])


def test_a_receipt_that_comes_late_wakes_its_run(app: Payonce, clock: Clock) -> None:
    """A run that parked because a call was in doubt goes on once its receipt is there."""
    job, receipt, sent = _late(app, clock, slow="park")
    with pytest.raises(Parked, match="in doubt"):
        job(lambda: None)
    receipt()
    assert job(lambda: None) == "answer"
    assert (sent, states(app)) == (["sent"], ["paid"])


@pytest.mark.parametrize("place", ["open", "calls"])
def test_a_delivery_cancelled_at_the_door_leaves_it_open(live: Payonce, place: str) -> None:
    """Cancelled while it takes the lease, it gives it back: the next delivery needn't wait."""

    @live.job(key="k", wait=0, backoff=0)
    async def job() -> str:
        if len(live.journal.attempts(1)) == 1:
            raise ConnectionResetError("try again")
        return "done"

    async def cancelled() -> None:
        with pytest.raises(RetryLater):
            await job()  # type: ignore[misc]
        with pytest.MonkeyPatch.context() as patch:
            real = live.journal.open
            task: Any = None

            def opening(it: Any) -> Any:
                if place == "open":
                    task.cancel()
                return real(it)

            def read(run_id: int) -> Any:
                loop.call_soon_threadsafe(task.cancel)
                cancelling.wait(10)
                return []

            loop, cancelling = asyncio.get_running_loop(), threading.Event()
            patch.setattr(live.journal, "open", opening)
            if place == "calls":
                patch.setattr(live.journal, "calls", read)
            task = asyncio.ensure_future(job())  # type: ignore[arg-type]
            await asyncio.wait([task])
            cancelling.set()
            assert task.cancelled()

    asyncio.run(cancelled())
    live.close()
    assert (only_run(live).state, only_run(live).lease_owner) == ("waiting", None)
    assert asyncio.run(job()) == "done"  # type: ignore[arg-type]
    assert only_run(live).kills == 0


def test_a_call_that_outlives_its_run_is_in_doubt(app: Payonce) -> None:
    """A thread that nobody waits for leaves a call in doubt, until its receipt comes."""
    inside, go_on = threading.Event(), threading.Event()

    @app.step
    def ask() -> str:
        inside.set()
        go_on.wait(10)
        return "answer"

    @app.job(key="k")
    def job() -> str:
        thread.start()
        inside.wait(10)
        return "done"

    context: list[contextvars.Context] = []
    thread = threading.Thread(target=lambda: context[0].run(ask))

    @app.job(key="outer")
    def outer() -> None: ...

    def start() -> None:
        context.append(contextvars.copy_context())
        thread_start()

    thread_start, thread.start = thread.start, start  # type: ignore[method-assign]
    assert job() == "done"
    assert states(app) == ["in_doubt"]
    go_on.set()
    thread.join(10)
    assert (states(app), only_run(app).state) == (["paid"], "done")


@pytest.mark.xfail(reason="only app.capture() carries a run into threads", strict=True)
def test_a_pool_belongs_to_the_run_without_capture(app: Payonce, clock: Clock) -> None:
    """A step in a `ThreadPoolExecutor` gets its receipt, whether `app.capture()` was called or not."""
    sent: list[int] = []

    @app.step
    def ask(n: int) -> int:
        sent.append(n)
        return n

    @app.job(key="k", backoff=0)
    def job() -> list[int]:
        with ThreadPoolExecutor(2) as threads:
            found = list(threads.map(ask, range(3)))
        if only_run(app).attempt == 1:
            raise ConnectionResetError("later")
        return found

    with pytest.raises(RetryLater):
        job()
    clock.move(3600)
    assert job() == [0, 1, 2]
    assert (sorted(sent), states(app)) == ([0, 1, 2], ["paid"] * 3)


def test_a_value_after_complete_outlives_a_renewal(tmp_path: Path) -> None:
    """A job that works on after its transaction has completed the run still returns its value."""
    app = Payonce(f"sqlite:///{tmp_path}/journal.db", version="1", lease=0.15)

    @app.job(key="k")
    def job() -> str:
        with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
            app.complete(db)
            db.commit()
        renewed.wait(10)
        return "saved"

    renewed = threading.Event()
    real = app.journal.renew

    def renew(run_id: int, attempt: int, lease: float) -> Any:
        write = real(run_id, attempt, lease)
        write.unwanted(lambda kept: None if kept else later.start())
        return write

    later = threading.Timer(0.05, renewed.set)
    app.journal.renew = renew  # type: ignore[method-assign]
    assert job() == "saved"
    assert job() == "saved"
    app.close()


def test_a_lease_that_ran_out_unnoticed_is_no_death(app: Payonce, clock: Clock) -> None:
    """A machine that slept: nobody took the run over, so its attempt ends as one that failed."""

    @app.step
    def ask() -> str:
        return "answer"

    @app.job(key="k")
    def job() -> str:
        if only_run(app).attempt == 1:
            clock.move(3600)
        return ask()

    with pytest.raises(RetryLater):
        job()
    assert only_run(app).lease_owner is None
    clock.move(3600)
    assert job() == "answer"
    assert only_run(app).kills == 0


def test_an_interrupt_of_a_lost_attempt_goes_on(app: Payonce, clock: Clock) -> None:
    """`KeyboardInterrupt` reaches the caller, whatever became of the lease."""
    later = Clock()
    later.now = clock.now + 3600
    other = journal_at(app.store, clock=later)

    @app.step
    def ask() -> None: ...

    @app.job(key="k", name="generate")
    def job() -> None:
        opened(other, "k", owner="other")
        with suppress(BaseException):
            ask()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job()
    other.stop()


def test_a_cancellation_of_a_lost_attempt_goes_on(app: Payonce, clock: Clock) -> None:
    """A task whose lease was lost is cancelled like any other."""
    later = Clock()
    later.now = clock.now + 3600
    other = journal_at(app.store, clock=later)

    @app.step
    async def ask() -> None: ...

    @app.job(key="k", name="generate")
    async def job() -> None:
        opened(other, "k", owner="other")
        with suppress(BaseException):
            await ask()
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(job())  # type: ignore[arg-type]
    other.stop()


def test_a_world_that_changed_meanwhile_is_not_missed(app: Payonce, tmp_path: Path) -> None:
    """A migration between the failure and the park: the queue delivers again, and the run is done."""
    school = tmp_path / "school.db"
    with closing(sqlite3.connect(school)) as db:
        db.execute("CREATE TABLE courses (id INTEGER)")
    app.watch(f"sqlite:///{school}")

    @app.job(key="k", backoff=0)
    def job() -> str:
        with closing(sqlite3.connect(school)) as db:
            try:
                db.execute("INSERT INTO courses (outline) VALUES ('x')")
            finally:
                with suppress(sqlite3.OperationalError):
                    db.execute("ALTER TABLE courses ADD COLUMN outline TEXT")
        return "done"

    with pytest.raises(RetryLater):
        job()
    assert job() == "done"


def test_a_job_inside_a_job_says_nothing_to_the_queue(app: Payonce) -> None:
    """What became of an inner job is the outer one's to judge."""

    @app.job(key="inner")
    def inner() -> None:
        raise KeyError("bug")

    @app.job(key="outer")
    def outer() -> str:
        with suppress(Parked):
            inner()
        return "without it"

    with receiving(Delivery()) as heard:
        assert outer() == "without it"
    assert heard.verdict is not None
    assert heard.verdict.word == "done"


def test_a_job_that_calls_itself_under_its_own_key_parks(live: Payonce) -> None:
    """It would wait for itself; that is a bug, and found at once."""

    @live.job(key="k", wait=1)
    def job() -> None:
        job()

    with pytest.raises(Parked, match="calls itself"):
        job()


def test_a_generator_is_no_step_and_no_job(app: Payonce) -> None:
    """What only begins to work when it is read would have its receipt before its call."""

    def lazily() -> Any:
        yield 1

    async def alazily() -> Any:
        yield 1

    for function in (lazily, alazily):
        with pytest.raises(ConfigError, match="generator"):
            app.step(function)
        with pytest.raises(ConfigError, match="generator"):
            app.job(key="k")(function)


def test_a_step_that_returns_a_coroutine_was_not_called(app: Payonce) -> None:
    """A plain wrapper around an async function gets no receipt for work that has not begun."""

    async def really() -> str:
        return "answer"

    @app.step
    def ask() -> Any:
        return really()

    @app.job(key="k")
    async def job() -> Any:
        return await ask()

    with pytest.raises(Parked, match="coroutine"):
        asyncio.run(job())
    assert states(app) == ["released"]


def test_a_step_around_a_job_is_not_in_doubt(app: Payonce, clock: Clock) -> None:
    """A job inside a step says itself what was paid: its failure asks nobody for a word."""

    @app.job(key="inner", backoff=0)
    def inner() -> str:
        if not gone:
            gone.append(1)
            raise ConnectionResetError("try again")
        return "answer"

    gone: list[int] = []

    @app.step
    def ask() -> str:
        return inner()

    @app.job(key="outer", backoff=0, name="outer")
    def outer() -> str:
        return ask()

    with pytest.raises(RetryLater):
        outer()
    clock.move(3600)
    assert outer() == "answer"


def test_no_attempt_begins_without_its_spilled_receipt(app: Payonce, clock: Clock) -> None:
    """While a receipt can't be merged, the step that it is for isn't asked again."""
    sent = []

    @app.step(in_doubt="retry")
    def ask() -> str:
        sent.append(1)
        execute(
            "CREATE TRIGGER full BEFORE INSERT ON payonce_payloads "
            "BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        return "answer"

    @app.job(key="k", backoff=0)
    def job() -> str:
        text = ask()
        if only_run(app).attempt == 1:
            raise ConnectionResetError("later")
        return text

    def execute(sql: str) -> None:
        with closing(sqlite3.connect(app.store.removeprefix("sqlite:///"))) as db:
            db.execute(sql)

    for _ in range(2):
        with pytest.raises(RetryLater):
            job()
        clock.move(3600)
    execute("DROP TRIGGER full")
    assert job() == "answer"
    assert (sent, states(app)) == ([1], ["paid"])
