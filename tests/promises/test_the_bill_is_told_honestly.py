"""Promise 3: each call that was billed has a receipt or is in doubt, and nothing is paid twice
in silence."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from tests.promises.asking import ask, outcome, word

import payonce
from payonce.model import Call, CallState, Payload, Receipt, Run
from payonce.testing import (
    Fault,
    MeteredProvider,
    cut,
    drop,
    error_event,
    insufficient_quota,
    reply,
    stall,
    status,
)

FAULTS = {
    "answer": reply("fine"),
    "401": status(401),
    "409": status(409),
    "429": status(429, retry_after=0.001),
    "500, billed": status(500, billed=True),
    "502, billed": status(502, billed=True),
    "503": status(503, retry_after=0.001),
    "cut body": cut(),
    "dropped, billed": drop(),
    "dropped": drop(billed=False),
    "error in the answer": error_event("server_error"),
    "out of quota": insufficient_quota(),
    "read timeout": stall(0.6),
}


def _accounted(calls: list[Call]) -> int:
    return sum(call.state in (CallState.PAID, CallState.IN_DOUBT) for call in calls)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_billed_call_is_a_receipt_or_in_doubt(
    app: payonce.Payonce,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    calls: Callable[[], list[Call]],
    fault: Fault,
    stream: bool,
) -> None:
    """Given a provider that fails in some way, twice in a row, when the run is delivered until
    its end, then the journal never knows of fewer calls than the provider billed, physical
    requests are counted, and what was repeated stays on record."""
    provider.fail("one", fault, times=2)
    client = gpt.with_options(timeout=0.3)

    @app.job(key="course", backoff=0.001, attempts=20)
    def work() -> str:
        if not stream:
            return ask(client, "one")
        with client.responses.create(model="gpt-5", input="[one]", stream=True) as events:
            return "".join(e.type for e in events)

    for _ in range(6):
        told = outcome(work)
        assert provider.received("one") == len(calls())
        assert provider.billed("one") <= _accounted(calls())
        if not isinstance(told, payonce.RetryLater):
            break
    sends = [call.send for call in calls()]
    assert sends == list(range(1, len(sends) + 1))


def test_a_step_that_was_repeated_is_shown_with_its_amount(
    app: payonce.Payonce, provider: MeteredProvider, calls: Callable[[], list[Call]]
) -> None:
    """Given a call that is repeated on a person's word after its answer was rejected, then both
    receipts stand in the journal, with what each cost."""
    asked: list[int] = []

    @app.step(cost="0.02 USD", check=lambda text: text != "bad")
    def text() -> str:
        asked.append(1)
        return "bad" if len(asked) == 1 else "good"

    @app.job(key="course")
    def work() -> str:
        return text()

    assert work() == "good"
    assert [(c.cost_nanos, c.rejected) for c in calls()] == [
        (20_000_000, True),
        (20_000_000, False),
    ]


def test_a_receipt_that_comes_after_the_lease_is_kept(
    app: payonce.Payonce,
    make_app: Callable[..., payonce.Payonce],
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    calls: Callable[[], list[Call]],
    run: Callable[[], Run],
) -> None:
    """Given an attempt whose lease ran out in the middle of a call, when another one took over
    and the answer comes all the same, then its receipt is kept, beside that of the repetition,
    and the late attempt hears that it is not its run any more."""
    later = make_app(clock=lambda: app.journal.now() + 3600)

    def defined(app: payonce.Payonce) -> Callable[[], str]:
        @app.job(key="course", name="course")
        def work() -> str:
            return ask(gpt, "one")

        return work

    first, second = defined(app), defined(later)
    with ThreadPoolExecutor(1) as pool, later.capture():
        with provider.hold("one") as held:
            late = pool.submit(outcome, first)
            assert held.arrived.wait(10)
            result = second()
        told = late.result(10)
    assert told == result
    assert (result.partition(" · ")[0], run().attempt) == ("Answer 2", 2)
    assert [(c.state, c.attempt) for c in calls()] == [(CallState.PAID, 1), (CallState.PAID, 2)]
    assert provider.billed("one") == 2


def test_a_call_in_doubt_is_told_to_the_caller(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """Given a call that may have been billed, then what the job raises says `paid: unknown`."""
    provider.fail("one", drop())

    @app.job(key="course")
    def work() -> str:
        return ask(gpt, "one")

    told = outcome(work)
    assert isinstance(told, payonce.RetryLater)
    assert told.paid == "unknown"
    assert word(work) == "done"


def test_a_call_that_a_person_says_has_happened_is_not_made_again(
    app: payonce.Payonce, calls: Callable[[], list[Call]], run: Callable[[], Run]
) -> None:
    """Given a charge in doubt, when a person says that it happened, and what its answer was, then
    that is its receipt, and the run goes on with it."""
    charges: list[int] = []

    @app.step
    def charge() -> str:
        charges.append(1)
        raise TimeoutError("no answer")

    @app.job(key="course", backoff=0.001)
    def work() -> str:
        return charge()

    assert [word(work), word(work)] == ["RetryLater", "Parked"]
    (call,) = calls()
    told = Receipt(Payload("json", b'"charge 4711"'))
    assert app.journal.resolve(call.id, "happened", "seen at the bank", told).now()
    assert app.journal.wake(run()).now()
    assert work() == "charge 4711"
    assert len(charges) == 1


def test_a_call_whose_task_was_cancelled_is_in_doubt(
    app: payonce.Payonce, provider: MeteredProvider, calls: Callable[[], list[Call]]
) -> None:
    """Given a task that is cancelled in the middle of a call, as a queue's deadline does it, then
    the call is in doubt, and the next delivery repeats it once."""

    @app.job(key="course", backoff=0.001)
    async def work() -> str:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="sk-metered") as client:
            answer = await client.responses.create(model="gpt-5", input="[one]")
        return answer.output_text

    async def cancelled() -> None:
        with provider.hold("one") as held:
            task = asyncio.create_task(work())
            assert await asyncio.to_thread(held.arrived.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())
    assert [call.state for call in calls()] == [CallState.IN_DOUBT]
    assert asyncio.run(work()).startswith("Answer 2")
    assert [call.state for call in calls()] == [CallState.IN_DOUBT, CallState.PAID]
    assert provider.billed("one") == 2


def test_the_journal_never_counts_less_than_the_provider(
    app: payonce.Payonce, provider: MeteredProvider, calls: Callable[[], list[Call]]
) -> None:
    """Given eight threads that ask while the provider drops, refuses and answers in turn, then
    the bill is accounted for in the end."""
    for n in range(8):
        provider.fail(f"part {n}", (drop(), status(503, retry_after=0.001), cut())[n % 3])
    gate = threading.Barrier(8, timeout=10)

    @app.job(key="course", backoff=0.001, attempts=20)
    def work() -> None:
        with openai.OpenAI(base_url=provider.openai_url, api_key="sk-metered") as client:

            def one(n: int) -> None:
                gate.wait()
                ask(client, f"part {n}")

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(one, range(8)))

    words = [word(work) for _ in range(3)]
    assert words[-1] == "done"
    assert provider.billed() <= _accounted(calls())
    assert provider.received() == len(calls())


def test_a_step_that_was_refused_inside_and_paid_another_way_has_its_cost(
    app: payonce.Payonce,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    calls: Callable[[], list[Call]],
) -> None:
    """Given a step that costs what it is told to, when the captured call in it is refused and it
    goes another way, then its receipt has that cost; where that call was paid, it has not."""

    @app.step(cost="0.50 USD")
    def text(label: str) -> str:
        try:
            return ask(gpt, label)
        except openai.BadRequestError:
            return "drawn by another engine"

    @app.job(key="course")
    def work() -> None:
        text("refused")
        text("fine")

    provider.fail("refused", status(400))
    work()
    costs = {call.step_key: call.cost_nanos for call in calls() if call.source == "step"}
    assert sorted(costs.values(), key=bool) == [None, 500_000_000]
