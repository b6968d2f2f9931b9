"""One step: begin, the call, complete; once per run, whatever happens around it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.journal.stores import Clock
from tests.path.looking import calls, only_run, states

from payonce import NOT_PAID, OutsideRun, Parked, Payonce, Rejected, RetryLater, reject


def _again(clock: Clock) -> None:
    clock.move(3600)


class Broken(ConnectionError):
    """Something that time mends."""


def test_a_step_outside_of_a_run_is_the_plain_function(app: Payonce, tmp_path: Path) -> None:
    """Without a run nothing is journaled, and no idempotency key is made up."""

    @app.step
    def pay(n: int, idempotency_key: str = "none") -> str:
        return f"{n} {idempotency_key}"

    assert [pay(1), pay(1)] == ["1 none", "1 none"]
    assert not (tmp_path / "journal.db").exists()


def test_two_apps_do_not_mix(app: Payonce, live: Payonce) -> None:
    """A step of one app inside a run of another is a plain function there."""
    sent = []

    @live.step
    def pay() -> None:
        sent.append(1)

    @app.job(key="k")
    def job() -> None:
        pay()

    job()
    assert (len(sent), calls(app)) == (1, [])


def test_equal_calls_are_told_apart_by_their_occurrence(app: Payonce, clock: Clock) -> None:
    """A loop that asks the same three times has three receipts, and replays each in its place."""
    sent: list[int] = []

    @app.step
    def draw(seed: int) -> int:
        sent.append(seed)
        return len(sent)

    @app.job(key="k", backoff=1)
    def job() -> list[int]:
        drawn = [draw(7) for _ in range(3)] + [draw(8)]
        if only_run(app).attempt == 1:
            raise Broken("reset")
        return drawn

    with pytest.raises(RetryLater):
        job()
    _again(clock)
    assert job() == [1, 2, 3, 4]
    assert sent == [7, 7, 7, 8]
    assert [c.occurrence for c in calls(app)] == [0, 1, 2, 0]


def test_a_failed_send_does_not_use_up_an_occurrence(app: Payonce) -> None:
    """A call that surely wasn't billed is sent again, in the same attempt and place."""
    sent = []

    @app.step
    def pay() -> str:
        sent.append(1)
        if len(sent) < 3:
            raise ConnectionRefusedError("nobody listens")
        return "done"

    @app.job(key="k")
    def job() -> str:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                pay()
        return pay()

    assert job() == "done"
    assert states(app) == ["released", "released", "paid"]
    assert [(c.occurrence, c.send) for c in calls(app)] == [(0, 1), (0, 2), (0, 3)]


def test_the_receipt_is_durable_before_the_caller_has_the_answer(app: Payonce) -> None:
    """When the job sees a step's value, another connection sees its receipt."""

    @app.step(cost="0.02 USD")
    def pay() -> str:
        assert states(app) == ["intended"]
        return "answer"

    @app.job(key="k")
    def job() -> None:
        pay()
        assert states(app) == ["paid"]

    job()
    assert calls(app)[0].cost_nanos == 20_000_000


@pytest.mark.parametrize(
    ("cost", "nanos", "currency"),
    [
        (None, None, "USD"),
        ("1.5 EUR", 1_500_000_000, "EUR"),
        (lambda n: f"0.{n} USD", 700_000_000, "USD"),
    ],
)
def test_a_cost_is_told_or_computed(
    app: Payonce, cost: Any, nanos: int | None, currency: str
) -> None:
    """`cost=` is an amount or a function of the answer; without it the cost is unknown."""

    @app.step(cost=cost)
    def pay() -> int:
        return 7

    @app.job(key="k")
    def job() -> int:
        return pay()

    job()
    assert (calls(app)[0].cost_nanos, calls(app)[0].currency) == (nanos, currency)


def test_a_check_asks_again(app: Payonce) -> None:
    """An answer that `check=` refuses is waste, and the next one is used and replayed."""
    answers = iter(["bad", "worse", "good"])

    def check(answer: str) -> bool:
        if answer == "worse":
            raise ValueError("too short")
        return answer == "good"

    @app.step(cost="1 USD", check=check)
    def ask() -> str:
        return next(answers)

    @app.job(key="k")
    def job() -> str:
        return ask()

    assert (job(), job()) == ("good", "good")
    told = [(c.rejected, c.reason) for c in calls(app)]
    assert told == [(True, "check= said no"), (True, "ValueError: too short"), (False, None)]
    assert [c.cost_nanos for c in calls(app)] == [1_000_000_000] * 3


def test_resamples_are_capped_over_attempts(app: Payonce) -> None:
    """After `resamples` further answers the step says so, and no attempt asks again."""
    sent = []

    @app.step(check=lambda _: False, resamples=1)
    def ask() -> None:
        sent.append(1)

    @app.job(key="k")
    def job() -> None:
        ask()

    with pytest.raises(Parked) as parked:
        job()
    assert isinstance(parked.value.__cause__, Rejected)
    app.journal.wake(only_run(app)).now()
    with pytest.raises(Parked):
        job()
    assert (len(sent), parked.value.paid) == (2, "yes")


def test_a_job_rejects_an_answer(app: Payonce) -> None:
    """`reject` makes waste of the very answer that it is given; the next equal call asks again."""
    sent = []

    @app.step
    def ask() -> list[int]:
        sent.append(1)
        return [len(sent)]

    @app.job(key="k")
    def job() -> list[int]:
        first, second = ask(), ask()
        reject(second, "no verb")
        return first + second + ask()

    assert job() == [1, 2, 3]
    assert [(c.occurrence, c.send, c.rejected) for c in calls(app)] == [
        (0, 1, False),
        (1, 1, True),
        (1, 2, False),
    ]


def test_only_a_paid_answer_can_be_rejected(app: Payonce) -> None:
    """A value that no step of this attempt returned is refused, and so is any outside a run."""

    @app.job(key="k")
    def job() -> None:
        reject("never seen before, by nobody")

    with pytest.raises(OutsideRun):
        reject("anything")
    with pytest.raises(Parked) as parked:
        job()
    assert isinstance(parked.value.__cause__, LookupError)


def test_the_idempotency_key_stays_with_the_call(app: Payonce, clock: Clock) -> None:
    """It is the same for each repetition of one call, and another one for each other call."""
    keys: list[str] = []
    fails = [True]

    @app.step(check=lambda value: value != 2)
    def pay(n: int, *, idempotency_key: str = "") -> int:
        keys.append(idempotency_key)
        if fails and fails.pop():
            raise Broken("read timed out")
        return len(keys)

    @app.job(key="k:{n}", backoff=1)
    def job(n: int) -> None:
        pay(1)
        pay(1)
        pay(2)

    with pytest.raises(RetryLater):
        job(1)
    _again(clock)
    job(1)
    job(2)
    repeated, asked_again = keys[0], keys[2]
    assert keys[1] == repeated
    assert asked_again != repeated
    assert len(set(keys)) == len(keys) - 1
    assert all(key.startswith("payonce-") for key in keys)
    first = calls_of(app, "k:1")
    assert [c.idempotency_key for c in first if c.occurrence == 0][:2] == [repeated, repeated]


def calls_of(app: Payonce, key: str) -> list[Any]:
    """The calls of one of several runs."""
    [job] = app.jobs
    run = app.journal.find(job, key)
    assert run is not None
    return sorted(app.journal.calls(run.id), key=lambda call: call.id)


@pytest.mark.parametrize("found", ["billed", NOT_PAID])
def test_verify_settles_a_doubt(app: Payonce, clock: Clock, found: Any) -> None:
    """A call in doubt is looked up by its arguments and key, and sent only if it did not happen."""
    sent, asked = [], []

    def look(n: int, *, idempotency_key: str) -> Any:
        asked.append((n, idempotency_key))
        return found

    @app.step(cost="1 USD", verify=look)
    def pay(n: int) -> str:
        sent.append(n)
        if len(sent) == 1:
            raise Broken("cut")
        return "sent again"

    @app.job(key="k", backoff=1)
    def job() -> str:
        return pay(3)

    with pytest.raises(RetryLater) as retry:
        job()
    assert (retry.value.paid, states(app)) == ("unknown", ["in_doubt"])
    _again(clock)
    assert job() == ("sent again" if found is NOT_PAID else "billed")
    assert asked == [(3, calls(app)[0].idempotency_key)]
    assert states(app) == (["released", "paid"] if found is NOT_PAID else ["paid"])
    assert calls(app)[-1].cost_nanos == 1_000_000_000


def test_a_verify_that_fails_pays_nothing(app: Payonce, clock: Clock) -> None:
    """Where the look-up itself fails, the call stays in doubt and is not sent."""
    sent = []

    def look() -> str:
        raise Broken("the look-up is down")

    @app.step(verify=look)
    def pay() -> None:
        sent.append(1)
        raise Broken("cut")

    @app.job(key="k", backoff=1, attempts=3)
    def job() -> None:
        pay()

    for _ in range(2):
        with pytest.raises(RetryLater):
            job()
        _again(clock)
    assert (len(sent), states(app)) == (1, ["in_doubt"])


def test_a_doubt_without_a_way_out_parks(app: Payonce, clock: Clock) -> None:
    """A step that can't be repeated safely is not repeated; the message names the command."""
    sent = []

    @app.step
    def charge() -> None:
        sent.append(1)
        raise Broken("cut")

    @app.job(key="k", backoff=1)
    def job() -> None:
        charge()

    with pytest.raises(RetryLater):
        job()
    _again(clock)
    with pytest.raises(Parked, match=f"payonce resolve {calls(app)[0].id}") as parked:
        job()
    assert (len(sent), parked.value.paid) == (1, "unknown")


def test_a_doubt_that_may_be_repeated_is_repeated_once(app: Payonce, clock: Clock) -> None:
    """`in_doubt="retry"` repeats a silent call in the next attempt, and only there, once."""
    sent = []

    @app.step(in_doubt="retry")
    def ask() -> None:
        sent.append(1)
        raise Broken("cut")

    @app.job(key="k", backoff=1)
    def job() -> None:
        for _ in range(2):
            try:
                ask()
            except Broken:
                continue

    with pytest.raises(RetryLater):
        job()
    assert len(sent) == 1
    _again(clock)
    with pytest.raises(Parked):
        job()
    assert (len(sent), states(app)) == (2, ["in_doubt", "in_doubt"])


def test_an_answer_that_cannot_be_rebuilt_is_never_paid_again(app: Payonce, clock: Clock) -> None:
    """It is kept as a description; the next attempt parks instead of asking again."""
    sent = []

    @app.step(in_doubt="retry")
    def connect() -> Any:
        sent.append(1)
        return threading.Lock()

    @app.job(key="k", backoff=1)
    def job() -> None:
        assert not connect().locked()
        raise Broken("reset")

    with pytest.raises(RetryLater):
        job()
    assert states(app) == ["paid"]
    _again(clock)
    with pytest.raises(Parked, match="_thread:lock") as parked:
        job()
    assert (len(sent), parked.value.paid) == (1, "yes")


def test_async_steps_of_an_async_job_run_together(app: Payonce, clock: Clock) -> None:
    """Steps that are gathered have their own occurrences, and all are replayed."""
    sent: list[int] = []

    @app.step
    async def ask(n: int) -> int:
        sent.append(n)
        await asyncio.sleep(0)
        return n * 10

    @app.step
    def sync(n: int) -> int:
        sent.append(n)
        return n

    @app.job(key="k", backoff=1)
    async def job() -> list[int]:
        answers = await asyncio.gather(*[ask(n % 3) for n in range(9)])
        if only_run(app).attempt == 1:
            raise Broken("reset")
        return [*answers, sync(5)]

    with pytest.raises(RetryLater):
        asyncio.run(job())  # type: ignore[arg-type]
    _again(clock)
    expected = [n % 3 * 10 for n in range(9)] + [5]
    assert asyncio.run(job()) == expected  # type: ignore[arg-type]
    assert asyncio.run(job()) == expected  # type: ignore[arg-type]
    assert len(sent) == 10


def test_a_job_inside_a_job_has_a_run_of_its_own(app: Payonce, clock: Clock) -> None:
    """The inner job's steps belong to the inner run, which is finished only once."""
    sent = []

    @app.step
    def ask(n: int) -> int:
        sent.append(n)
        return n

    @app.job(key="inner:{n}")
    def inner(n: int) -> int:
        return ask(n)

    @app.job(key="outer", backoff=1)
    def outer() -> int:
        total = ask(1) + inner(1) + ask(1)
        run = app.journal.find(f"{__name__}.{outer.__qualname__}", "outer")
        assert run is not None
        if run.attempt == 1:
            raise Broken("reset")
        return total

    with pytest.raises(RetryLater):
        outer()
    _again(clock)
    assert outer() == 3
    assert sent == [1, 1, 1]


def test_an_inner_job_that_parks_parks_the_outer_one(app: Payonce) -> None:
    """The outer run's reason names the inner run."""

    @app.job(key="inner")
    def inner() -> None:
        raise KeyError("missing")

    @app.job(key="outer")
    def outer() -> None:
        inner()

    with pytest.raises(Parked, match=r"'outer' .*'inner'") as parked:
        outer()
    assert isinstance(parked.value.__cause__, Parked)
