"""What a hunt for broken promises found: each case once went wrong."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import random
import signal
import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.journal.making import opened
from tests.journal.stores import Clock
from tests.path.looking import calls, only_run, states

from payonce import Busy, Parked, Payonce, RetryLater
from payonce.delivery import receiving
from payonce.journal import journal_at
from payonce.journal.sqlite_file import SqliteFile
from payonce.journal.writer import Writer
from payonce.model import Delivery
from payonce.policy import Doubt, Limits, backoff

FULL = """
CREATE TRIGGER IF NOT EXISTS full BEFORE INSERT ON payonce_payloads
BEGIN SELECT RAISE(ABORT, 'full'); END
"""


def _late(app: Payonce, clock: Clock, in_doubt: Doubt) -> tuple[Any, Any, list[str]]:
    """An attempt that is stuck in its paid call, and has lost its lease meanwhile."""
    sent: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    @app.step(in_doubt=in_doubt)
    def ask() -> str:
        sent.append("sent")
        if len(sent) == 1:
            inside.set()
            go_on.wait(10)
        return "answer"

    @app.job(key="k", name="generate", wait=0)
    def job() -> str:
        if before:
            before.pop()()
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

    def again(hook: Any) -> str:
        before.append(hook)
        return job()

    return again, receipt, sent


def test_a_receipt_that_comes_late_is_not_paid_for_again(app: Payonce, clock: Clock) -> None:
    """The attempt that took over finds a receipt that was written after it had begun."""
    job, receipt, sent = _late(app, clock, "retry")
    assert job(receipt) == "answer"
    assert (sent, states(app)) == (["sent"], ["paid"])


def test_a_receipt_that_comes_late_wakes_its_run(app: Payonce, clock: Clock) -> None:
    """A run that parked because a call was in doubt goes on once its receipt is there."""
    job, receipt, sent = _late(app, clock, "park")
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
        if len(live.journal.history(1).attempts) == 1:
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

    def start() -> None:
        context.append(contextvars.copy_context())
        thread_start()

    thread_start, thread.start = thread.start, start  # type: ignore[method-assign]
    assert job() == "done"
    assert states(app) == ["in_doubt"]
    go_on.set()
    thread.join(10)
    assert (states(app), only_run(app).state) == (["paid"], "done")


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
    """A migration between the failure and its record: the queue delivers again, and it is done."""
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


class Interrupted(BaseException):
    """What a signal handler raises, as worker pools do when time is up."""


def test_signals_that_raise_lose_no_write(tmp_path: Path) -> None:
    """Whatever moment of a write a signal comes in: nothing hangs, and what was told is there."""
    file = SqliteFile(tmp_path / "file.db", time.time, 10, create=True)
    writer = Writer(file)
    writer.write(lambda db: db.execute("CREATE TABLE told (n INTEGER PRIMARY KEY)")).now()
    told: set[int] = set()

    def write(n: int) -> None:
        writer.write(lambda db: db.execute("INSERT INTO told VALUES (?)", (n,))).now()
        told.add(n)

    def others() -> None:
        for n in itertools.takewhile(lambda n: not done.is_set(), itertools.count(10_000)):
            write(n)

    def interrupt(*_: object) -> None:
        raise Interrupted

    chance, done, thread = random.Random(1), threading.Event(), threading.Thread(target=others)
    before = signal.signal(signal.SIGALRM, interrupt)
    thread.start()
    for n in range(300):
        with suppress(Interrupted):
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00001, 0.002))
            try:
                write(n)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    done.set()
    thread.join(10)
    writer.flush()
    with closing(sqlite3.connect(tmp_path / "file.db")) as db:
        assert told <= {n for (n,) in db.execute("SELECT n FROM told")}
    assert not thread.is_alive()
    file.close()


def test_a_signal_handler_may_close_the_app_in_the_middle_of_a_write(tmp_path: Path) -> None:
    """It does not wait for the very write that it came into."""
    file = SqliteFile(tmp_path / "file.db", time.time, 10, create=True)
    writer = Writer(file)
    before = signal.signal(signal.SIGALRM, lambda *_: writer.flush())

    def slow(db: sqlite3.Connection) -> str:
        signal.raise_signal(signal.SIGALRM)
        return "written"

    assert writer.write(slow).now() == "written"
    signal.signal(signal.SIGALRM, before)
    file.close()


def test_a_process_that_ran_out_of_threads_writes_all_the_same(
    app: Payonce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started just now, a later one is, and no write waits for ever."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    @app.job(key="k", wait=0)
    def job() -> str:
        return "done"

    assert job() == "done"
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert job() == "done"
    assert job() == "done"
    app.close()
    assert [a.answer for a in app.journal.history(1).arrivals] == ["done"] * 3


def test_a_wait_of_ages_ends_within_a_month() -> None:
    """A provider that asks to come back in a thousand years is asked earlier."""
    assert backoff(1, Limits(), 0.5, at_least=1e12) == 30 * 86_400


def test_a_clock_that_jumps_back_makes_nobody_wait(app: Payonce, clock: Clock) -> None:
    """A delivery at the door waits for `wait` seconds at most, whatever the clock says."""

    @app.job(key="k", wait=1)
    def job() -> None:
        raise ConnectionResetError("later")

    with pytest.raises(RetryLater):
        job()
    real = app.journal.find

    def find(name: str, key: str) -> Any:
        clock.move(-3600)
        return real(name, key)

    app.journal.find = find  # type: ignore[method-assign]
    with pytest.raises(RetryLater):
        job()


def test_an_attempt_of_a_removed_journal_moves_no_other_run(tmp_path: Path) -> None:
    """Another run that has got its numbers in the new file keeps its own end."""
    store = f"sqlite:///{tmp_path}/journal.db"
    one, other = (Payonce(store, version="1") for _ in range(2))

    @one.step
    def ask() -> str:
        for file in tmp_path.glob("journal.db*"):
            file.unlink()
        runs.append(opened(other.journal, "other"))
        return "answer"

    @one.job(key="k", name="generate")
    def job() -> str:
        return ask()

    runs: list[Any] = []
    with pytest.raises(RetryLater, match="removed"):
        job()
    assert runs[0].id == 1
    assert only_run(other) == runs[0]
    assert calls(other) == []
    one.close()
    other.close()
