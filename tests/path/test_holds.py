"""Whatever ends a call, or keeps it from beginning, leaves no hold that refuses good work."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.journal.sums import Sums, add_up
from tests.path.looking import only_run

from payonce import Parked, Payonce, RetryLater, reject
from payonce.errors import PayonceError
from payonce.journal.protocol import RunFilter
from payonce.model import CallState, RunState
from payonce.money import NANOS


@pytest.fixture
def sums(live: Payonce, tmp_path: Path) -> Callable[[], Sums]:
    """What the journal's money adds up to, once all is written."""

    def read() -> Sums:
        live.close()
        with closing(sqlite3.connect(tmp_path / "live.db")) as db:
            return add_up(lambda sql: db.execute(sql).fetchall())

    return read


class Refused(Exception):
    """The provider's no."""

    status_code = 400


class Unanswered(Exception):
    """The provider may have billed it."""

    status_code = 500


@pytest.mark.parametrize(
    ("failure", "doubted"),
    [
        (Refused(), 0),
        (ConnectionRefusedError(111, "refused"), 0),
        (Unanswered(), 1),
        (ConnectionResetError(104, "reset"), 1),
        (ValueError("odd"), 1),
        (KeyboardInterrupt(), 1),
        (SystemExit(1), 1),
        (asyncio.CancelledError(), 1),
        (ExceptionGroup("several", [ValueError("odd"), Refused()]), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_call_that_raises_holds_nothing(
    live: Payonce, sums: Callable[[], Sums], failure: BaseException, doubted: int
) -> None:
    """It was surely not billed and the budget has it back, or it may have been, and counts."""

    @live.step(cost="1 USD")
    def pay() -> None:
        raise failure

    @live.job(key="k", budget="9 USD", backoff=0)
    def job() -> None:
        pay()

    with pytest.raises((PayonceError, KeyboardInterrupt, SystemExit, asyncio.CancelledError)):
        job()
    told = sums()
    assert (told.spent, told.held) == (0, 0)
    assert list(told.doubts.values()) == [NANOS] * doubted


def test_a_task_that_is_cancelled_holds_nothing(live: Payonce, sums: Callable[[], Sums]) -> None:
    """Neither one whose call is in flight, which is in doubt, nor one that waits for its hold."""
    begun = threading.Event()

    @live.step(cost="1 USD")
    async def pay(n: int) -> None:
        begun.set()
        await asyncio.sleep(60)

    @live.job(key="k", budget="1 USD")
    async def job() -> None:
        await asyncio.gather(pay(1), pay(2))

    async def cancelled() -> None:
        task = asyncio.create_task(job())
        while not begun.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    told = sums()
    assert (told.spent, told.held, list(told.doubts.values())) == (0, 0, [NANOS])


def test_an_answer_that_was_rejected_is_paid_and_asked_again_within_the_budget(
    live: Payonce, sums: Callable[[], Sums]
) -> None:
    """Each answer costs; the one that the budget has no room for is not asked for."""
    asked: list[int] = []

    @live.step(cost="1 USD", resamples=9)
    def pay() -> int:
        asked.append(1)
        return len(asked)

    @live.job(key="k", budget="3 USD")
    def job() -> None:
        while True:
            reject(pay())

    with pytest.raises(Parked, match=r"3\.00 USD paid"):
        job()
    assert len(asked) == 3
    assert sums() == Sums(spent=3 * NANOS, held=0, doubts={})


def test_who_has_waited_too_often_goes_on_once_there_is_room(live: Payonce) -> None:
    """Calls in flight that hold all use attempts up; the run goes on when they have ended."""
    gate, begun = threading.Event(), threading.Event()

    @live.step(cost=lambda _: "1 USD", ceiling="3 USD")
    def pay(n: int) -> int:
        begun.set()
        gate.wait(60)
        return n

    @live.job(key="k:{n}", wait=0.05, attempts=2, backoff=0.01)
    def job(n: int) -> int:
        return pay(n)

    live.budget("4 USD")
    worker = threading.Thread(target=job, args=(1,))
    worker.start()
    assert begun.wait(30)
    told: list[type[Any]] = []
    for _ in range(3):
        with pytest.raises((RetryLater, Parked)) as stopped:
            job(2)
        told.append(stopped.type)
        _let_come_again(live)
    assert Parked in told
    gate.set()
    worker.join(60)
    _let_come_again(live)
    assert job(2) == 2


def _let_come_again(app: Payonce) -> None:
    """Let the time pass that a run was told to wait."""
    for summary in app.journal.runs(RunFilter()):
        assert summary.run.state is not RunState.PARKED or summary.run.retry_at is not None
    with closing(sqlite3.connect(app.store.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE payonce_runs SET retry_at = 0 WHERE retry_at IS NOT NULL")


def test_a_pruned_doubt_counts_and_holds_nothing(live: Payonce, tmp_path: Path) -> None:
    """What nobody found out any more may have been billed."""

    @live.step(cost="1 USD")
    def pay() -> None:
        raise Unanswered

    @live.job(key="k:{n}", budget="9 USD", attempts=1)
    def job(n: int) -> None:
        pay()

    live.budget("2 USD")
    for n in range(2):
        with pytest.raises(PayonceError):
            job(n)
    live.journal.stop()
    assert {c.state for c in live.journal.calls(1)} == {CallState.IN_DOUBT}
    assert live.journal.prune(live.journal.now() + 1, parked=True).runs == 1
    balance = next(b for b in live.journal.ledger.balances() if b.scope == "app")
    assert (balance.held, balance.doubt) == (0, 2 * NANOS)
    assert only_run(live).key == "k:1"
    with closing(sqlite3.connect(tmp_path / "live.db")) as db:
        add_up(lambda sql: db.execute(sql).fetchall(), pruned=True)
