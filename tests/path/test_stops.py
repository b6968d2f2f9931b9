"""What ends an attempt from the inside can't be swallowed, and leaves nothing untold."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.journal.making import opened
from tests.journal.stores import Clock
from tests.path.looking import calls, only_run, states

from payonce import Busy, Parked, Payonce, RetryLater, Stop
from payonce.journal import journal_at


def _doubtful(app: Payonce, clock: Clock, work: Any) -> Any:
    """A job whose step is in doubt, and whose second attempt does `work(step)`."""

    @app.step
    def charge() -> None:
        raise ConnectionResetError("cut")

    @app.job(key="k", backoff=1)
    def job() -> Any:
        if only_run(app).attempt == 1:
            charge()
        return work(charge)

    with pytest.raises(RetryLater):
        job()
    clock.move(3600)
    return job


def _swallowed(step: Any) -> str:
    with contextlib.suppress(BaseException):
        step()
    return "all is well"


def _in_a_thread(step: Any) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(contextvars.copy_context().run, step).result()


def _in_a_lost_thread(step: Any) -> str:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(contextvars.copy_context().run, step)
    return "nobody asked the thread"


def _in_a_group(step: Any) -> None:
    try:
        step()
    except BaseException as exc:
        raise BaseExceptionGroup("many", [ValueError("one"), exc]) from None


def _as_another(step: Any) -> None:
    try:
        step()
    except BaseException as exc:
        raise ConnectionResetError("try again, please") from exc


@pytest.mark.parametrize(
    "work", [_swallowed, _in_a_thread, _in_a_lost_thread, _in_a_group, _as_another]
)
def test_a_stop_stops(app: Payonce, clock: Clock, work: Any) -> None:
    """Swallowed, in a thread, in a group or turned into something else: the run parks with it."""
    with pytest.raises(Parked, match="in doubt"):
        _doubtful(app, clock, work)()
    assert len(calls(app)) == 1


def test_except_exception_does_not_see_a_stop(app: Payonce, clock: Clock) -> None:
    """A retry loop of user code can't go on after it."""
    seen = []

    def work(step: Any) -> None:
        for _ in range(5):
            try:
                step()
            except Exception as exc:
                seen.append(exc)
            except Stop as exc:
                seen.append(exc)
                raise

    with pytest.raises(Parked):
        _doubtful(app, clock, work)()
    assert [type(exc).__name__ for exc in seen] == ["InDoubt"]


def test_after_a_stop_no_step_begins(app: Payonce, clock: Clock) -> None:
    """User code that goes on regardless pays for nothing more."""
    sent = []

    @app.step
    def other() -> None:
        sent.append(1)

    def work(step: Any) -> None:
        with contextlib.suppress(BaseException):
            step()
        with contextlib.suppress(BaseException):
            other()

    with pytest.raises(Parked):
        _doubtful(app, clock, work)()
    assert sent == []


def test_a_stop_comes_out_of_a_task_group(app: Payonce, clock: Clock) -> None:
    """One task of a group stops the attempt, whatever the others were doing."""

    @app.step
    async def charge() -> None:
        raise ConnectionResetError("cut")

    @app.job(key="k", backoff=1)
    async def job() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(30))
            group.create_task(charge())

    with pytest.raises(RetryLater):
        asyncio.run(job())  # type: ignore[arg-type]
    clock.move(3600)
    with pytest.raises(Parked, match="in doubt"):
        asyncio.run(job())  # type: ignore[arg-type]


def test_a_lost_lease_ends_the_attempt_but_keeps_its_receipt(app: Payonce, clock: Clock) -> None:
    """The late receipt is kept, the next step refused, and only the new attempt moves the run."""
    sent: list[str] = []
    later = Clock()
    later.now = clock.now + 3600
    other = journal_at(app.store, clock=later)

    @app.step
    def first() -> str:
        sent.append("first")
        opened_by_other.append(opened(other, "k", owner="other"))
        return "late"

    @app.step
    def second() -> str:
        sent.append("second")
        return "never"

    opened_by_other: list[Any] = []

    @app.job(key="k", name="generate")
    def job() -> str:
        return first() + second()

    with pytest.raises(Busy, match="other"):
        job()
    assert sent == ["first"]
    assert only_run(app) == opened_by_other[0]
    assert states(app) == ["paid"]
    assert [a.outcome for a in app.journal.history(1).attempts] == ["lost", None]
    other.stop()


def test_a_job_that_lost_its_lease_at_the_very_end_moves_nothing(
    app: Payonce, clock: Clock
) -> None:
    """The value of an attempt that was taken over from is not the run's."""
    later = Clock()
    later.now = clock.now + 3600
    other = journal_at(app.store, clock=later)

    @app.job(key="k", name="generate")
    def job() -> str:
        opened(other, "k", owner="other")
        return "too late"

    with pytest.raises(Busy):
        job()
    assert (only_run(app).state, only_run(app).result) == ("running", None)
    other.stop()


def test_a_cancelled_step_is_in_doubt(live: Payonce) -> None:
    """Cancelling a task in the middle of a call marks the call, and is passed on."""
    reached = asyncio.Event

    @live.step
    async def ask() -> None:
        inside.set()
        await asyncio.sleep(60)

    @live.job(key="k")
    async def job() -> None:
        await ask()

    async def cancel() -> None:
        task = asyncio.ensure_future(job())  # type: ignore[arg-type]
        await asyncio.wait_for(inside.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    inside = reached()
    asyncio.run(cancel())
    live.close()
    assert states(live) == ["in_doubt"]
    assert (only_run(live).state, only_run(live).lease_owner) == ("waiting", None)


def test_an_interrupt_ends_the_run_and_goes_on(app: Payonce) -> None:
    """`KeyboardInterrupt` is recorded as an end, and reaches the caller as it was."""

    @app.job(key="k")
    def job() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job()
    assert (only_run(app).state, only_run(app).lease_owner) == ("waiting", None)


def test_a_job_in_a_thread_is_a_job(app: Payonce) -> None:
    """A delivery may be handled in any thread."""

    @app.job(key="k")
    def job() -> int:
        return os.getpid()

    values: list[int] = []
    thread = threading.Thread(target=lambda: values.append(job()))
    thread.start()
    thread.join(10)
    assert values == [os.getpid()]
