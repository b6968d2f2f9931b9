"""What a hunt for broken promises found in steps and their errors: each once went wrong."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from tests.journal.stores import Clock
from tests.path.looking import calls, only_run, states

from payonce import ConfigError, Parked, Payonce, PayonceError, RetryLater
from payonce.resolving import resolve


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


def test_an_error_that_is_no_unicode_is_recorded(
    app: Payonce, caplog: pytest.LogCaptureFixture
) -> None:
    """A lone surrogate, as broken JSON and file names have them, keeps no run from its end."""

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
    assert b"half an emoji: ?" in caplog.text.encode()


def test_a_pool_belongs_to_the_run_without_capture(app: Payonce, clock: Clock) -> None:
    """A step in a `ThreadPoolExecutor` gets its receipt, with `app.capture()` or without."""
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


def test_a_nested_step_that_is_in_doubt_asks_one_question(app: Payonce, clock: Clock) -> None:
    """A person's word on the inner step lets the outer one, which it had stopped, go on."""
    cut = [True]

    @app.step
    def charge() -> str:
        if cut:
            cut.clear()
            raise ConnectionResetError("cut")
        return "charged"

    @app.step
    def order() -> str:
        return charge()

    @app.job(key="k", backoff=0)
    def job() -> str:
        return order()

    with pytest.raises(RetryLater):
        job()
    clock.move(3600)
    with pytest.raises(Parked, match="charge"):
        job()
    inner = next(call for call in calls(app) if "charge" in call.name)
    assert resolve(app.journal, inner.id, "did_not_happen").woken
    assert job() == "charged"
