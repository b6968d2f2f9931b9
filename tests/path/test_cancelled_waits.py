"""A call that is given up while it waits for a budget was never made, and is in nobody's way."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from tests.journal.making import intent, opened
from tests.journal.stores import Clock

from payonce import Payonce, RetryLater, budget
from payonce.journal.protocol import RunFilter
from payonce.model import CallState, Intent
from payonce.money import NANOS, Budget

ALL = Budget("app", "*", "total", NANOS)


def _held_by_another(app: Payonce) -> tuple[int, Intent]:
    run = opened(app.journal)
    allowances = budget.allowances(run, (ALL,), (), "USD", app.journal.now())
    asked = replace(intent(run), allowances=allowances, ceiling_nanos=NANOS)
    call_id = app.journal.intend(asked).now()
    assert isinstance(call_id, int)
    return call_id, asked


def test_a_run_goes_on_after_a_wait_that_was_cancelled(app: Payonce, clock: Clock) -> None:
    """The next attempt sends what the last one sent in the place of the call that it gave up."""
    app.budget("1 USD")
    fails = [True]

    @app.step(cost="1 USD")
    async def pay() -> int:
        if fails:
            raise ConnectionRefusedError(111, "refused")
        return 1

    async def give_up_waiting() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await pay()

    @app.job(key="k", backoff=0.001)
    async def job() -> int:
        if fails:
            call_id, asked = _held_by_another(app)
            await give_up_waiting()
            app.journal.end(call_id, asked, CallState.RELEASED, "").now()
        return await pay()

    async def twice() -> int:
        with pytest.raises(RetryLater):
            await job()
        fails.clear()
        clock.move(1)
        return await job()

    assert asyncio.run(twice()) == 1
    [run] = [each.run for each in app.journal.runs(RunFilter(key="k"))]
    assert [call.send for call in app.journal.calls(run.id)] == [2, 3]
