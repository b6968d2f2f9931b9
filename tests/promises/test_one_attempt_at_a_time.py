"""Promise 9: a duplicate waits or is told `busy`; who has lost the lease moves nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from tests.promises.asking import ask, outcome

import payonce
from payonce.model import CallState, Run
from payonce.testing import MeteredProvider

Made = Callable[..., payonce.Payonce]


def test_a_duplicate_waits_for_the_result(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider, run: Callable[[], Run]
) -> None:
    """Given eight deliveries at once, then one attempt works, and all eight get its value."""
    start = threading.Barrier(8, timeout=10)

    @app.job(key="course")
    def work() -> str:
        return ask(gpt, "one")

    def delivered() -> str:
        start.wait()
        return work()

    with ThreadPoolExecutor(8) as pool:
        texts = [future.result(20) for future in [pool.submit(delivered) for _ in range(8)]]
    assert len(set(texts)) == 1
    assert (provider.billed("one"), run().attempt) == (1, 1)


def test_a_duplicate_waits_on_an_event_loop_too(
    app: payonce.Payonce, provider: MeteredProvider, run: Callable[[], Run]
) -> None:
    """The same for eight tasks of one event loop, which goes on turning while they wait."""

    @app.job(key="course")
    async def work() -> str:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="sk-metered") as client:
            answer = await client.responses.create(model="gpt-5", input="[one]")
        return answer.output_text

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*[work() for _ in range(8)])

    assert len(set(asyncio.run(all_at_once()))) == 1
    assert (provider.billed("one"), run().attempt) == (1, 1)


def test_a_duplicate_that_may_not_wait_is_told_busy(
    app: payonce.Payonce, make_app: Made, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Given an attempt in the middle of a call, when a duplicate that doesn't wait comes to
    another worker, then it hears `Busy`, who works, and that nothing was paid."""

    def defined(app: payonce.Payonce) -> Callable[[], str]:
        @app.job(key="course", name="course", wait=0)
        def work() -> str:
            return ask(gpt, "one")

        return work

    first, second = defined(app), defined(make_app())
    with ThreadPoolExecutor(1) as pool:
        with provider.hold("one") as held:
            working = pool.submit(first)
            assert held.arrived.wait(10)
            told = outcome(second)
        text = working.result(10)
    assert isinstance(told, payonce.Busy)
    assert (told.paid, told.after > 0) == ("no", True)
    assert second() == text
    assert provider.billed("one") == 1


class Overtaken:
    """A worker that stops in the middle of a job, and another one that takes its run over."""

    def __init__(self, app: payonce.Payonce, make_app: Made) -> None:
        self.paused, self.go_on = threading.Event(), threading.Event()
        self.late = app
        self.next = make_app(clock=lambda: app.journal.now() + 3600)

    def jobs(
        self, late: Callable[[], str], rest: Callable[[], str]
    ) -> tuple[Callable[[], str], Callable[[], str]]:
        """The job as the late worker has it, which does `rest` after its pause, and as the next
        one has it."""

        @self.late.job(key="course", name="course")
        def first() -> str:
            late()
            self.paused.set()
            assert self.go_on.wait(10)
            return rest()

        @self.next.job(key="course", name="course")
        def second() -> str:
            return late() + " by the next"

        return first, second

    def meet(self, first: Callable[[], str], second: Callable[[], str]) -> tuple[object, str]:
        """What the two deliveries end with."""
        with ThreadPoolExecutor(1) as pool, self.next.capture():
            late = pool.submit(outcome, first)
            assert self.paused.wait(10)
            result = second()
            self.go_on.set()
            return late.result(10), result


@pytest.fixture
def overtaken(app: payonce.Payonce, make_app: Made) -> Overtaken:
    """Two workers on one run, the first of which sleeps through its lease."""
    return Overtaken(app, make_app)


def test_who_lost_the_lease_makes_no_further_call(
    overtaken: Overtaken, gpt: openai.OpenAI, provider: MeteredProvider, run: Callable[[], Run]
) -> None:
    """Given a worker whose lease ran out, when it wakes up and asks for its next text, then the
    call is not made, and its delivery gets the result of the attempt that took over."""
    first, second = overtaken.jobs(lambda: ask(gpt, "one"), lambda: ask(gpt, "two"))
    told, result = overtaken.meet(first, second)
    assert told == result
    assert (provider.billed("one"), provider.received("two")) == (1, 0)
    assert (run().state, run().attempt) == ("done", 2)
    assert second() == result


@pytest.mark.parametrize("failure", [None, KeyError("outline"), ConnectionResetError()])
def test_who_lost_the_lease_cannot_move_the_run(
    overtaken: Overtaken,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    run: Callable[[], Run],
    failure: Exception | None,
) -> None:
    """Given the same, when it wakes up and returns, or fails in whatever way, then the run stays
    as the next attempt left it."""

    def end() -> str:
        if failure is not None:
            raise failure
        return "too late"

    first, second = overtaken.jobs(lambda: ask(gpt, "one"), end)
    told, result = overtaken.meet(first, second)
    assert told == result
    assert (run().state, run().attempt, run().reason) == ("done", 2, None)
    assert second() == result
    assert result.endswith("by the next")
    outcomes = [a.outcome for a in overtaken.late.journal.history(run().id).attempts]
    assert outcomes == ["lost", "done"]
    assert provider.billed("one") == 1


def test_the_lease_of_one_that_works_is_renewed(
    make_app: Made, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Given a lease that is shorter than a call, when the call takes three times as long, then
    nobody else gets the run."""
    app, other = make_app(lease=1.5), make_app(lease=1.5)

    def defined(app: payonce.Payonce) -> Callable[[], str]:
        @app.job(key="course", name="course", wait=10)
        def work() -> str:
            return ask(gpt, "one")

        return work

    first, second = defined(app), defined(other)
    renewed = threading.Event()
    renewals: list[int] = []
    renew = app.journal.renew

    def counted(run_id: int, attempt: int, lease: float) -> object:
        renewals.append(attempt)
        if len(renewals) == 6:
            renewed.set()
        return renew(run_id, attempt, lease)

    app.journal.renew = counted  # type: ignore[method-assign, assignment]
    with app.capture(), other.capture(), ThreadPoolExecutor(2) as pool:
        with provider.hold("one") as held:
            working = pool.submit(first)
            assert held.arrived.wait(10)
            waiting = pool.submit(second)
            assert renewed.wait(15)
        assert working.result(10) == waiting.result(10)
    assert provider.billed("one") == 1
    (call,) = app.journal.calls(1)
    assert (call.state, call.attempt) == (CallState.PAID, 1)
