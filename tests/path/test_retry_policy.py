"""How failures that pass are tried again: as late as was asked for, and never given up too soon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import openai
import pytest
from tests.decisions.records import records
from tests.promises.asking import ask, outcome, word

import payonce
from payonce.failure import classify
from payonce.journal.protocol import RunFilter
from payonce.model import Kind, Run
from payonce.testing import MeteredProvider, stand_in, status

FILES = ("corpus", "libraries", "more_libraries")
ATTEMPTS = 3


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """The witness."""
    with MeteredProvider() as provider:
        yield provider


@pytest.fixture
def app(tmp_path: Path) -> Iterator[payonce.Payonce]:
    """An app that captures."""
    app = payonce.Payonce(f"sqlite:///{tmp_path}/journal.db", version="1")
    with app.capture():
        yield app
    app.close()


@pytest.fixture
def gpt(provider: MeteredProvider) -> Iterator[openai.OpenAI]:
    """OpenAI's client, without retries of its own."""
    url = provider.openai_url
    with openai.OpenAI(base_url=url, api_key="sk-metered", max_retries=0) as client:
        yield client


def _run(app: payonce.Payonce) -> Run:
    (found,) = app.journal.runs(RunFilter())
    return found.run


def test_retry_after_is_obeyed_in_seconds_and_as_a_date(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """The run isn't tried before its time, whatever its own back-off says."""

    @app.job(key="course:{course}", backoff=0.001, wait=0.0)
    def course(course: int) -> str:
        return ask(gpt, "outline")

    provider.fail("outline", status(429, retry_after=40))
    told = outcome(course, 1)
    assert isinstance(told, payonce.RetryLater)
    assert 40 <= told.after <= 41
    early = outcome(course, 1)
    assert isinstance(early, payonce.RetryLater)
    assert early.after > 20
    date = formatdate(time.time() + 90, usegmt=True)
    provider.fail("outline", status(503, headers={"retry-after": date}))
    told = outcome(course, 2)
    assert isinstance(told, payonce.RetryLater)
    assert 60 <= told.after <= 91
    assert provider.billed() == 0


def test_throttling_is_told_apart(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """A rate limit waits, an empty account parks at once: the same status."""

    @app.job(key="course:{course}", backoff=0.001, attempts=ATTEMPTS)
    def course(course: int) -> str:
        return ask(gpt, "outline")

    provider.fail("outline", status(429, code="rate_limit_exceeded"), times=ATTEMPTS)
    assert word(course, 1) == "RetryLater"
    assert _run(app).kind is Kind.THROTTLED
    assert [word(course, 1) for _ in range(2)] == ["RetryLater", "Parked"]
    provider.heal()
    provider.fail("outline", status(429, code="insufficient_quota"))
    assert word(course, 2) == "Parked"
    assert provider.billed() == 0


def test_what_passes_is_never_parked_before_the_cap(app: payonce.Payonce) -> None:
    """Each recorded deadlock, failover, restart and limit is tried as often as is allowed."""
    passing = [
        each
        for file in FILES
        for each in records(file)
        if each["label"] == "transient"
        and isinstance(stand_in(each), Exception)
        and classify(stand_in(each)).kind in (Kind.TRANSIENT, Kind.THROTTLED)
        and not classify(stand_in(each)).after
    ]
    assert len(passing) >= 250

    @app.job(key="failure:{number}", backoff=0.0001, attempts=ATTEMPTS)
    def failing(number: int) -> None:
        raise stand_in(passing[number])

    told = {
        each["name"]: [word(failing, number) for _ in range(ATTEMPTS)]
        for number, each in enumerate(passing)
    }
    expected = ["RetryLater"] * (ATTEMPTS - 1) + ["Parked"]
    assert {name: words for name, words in told.items() if words != expected} == {}


def test_what_is_unknown_is_parked_when_it_comes_back(app: payonce.Payonce) -> None:
    """The same fingerprint twice in the same world; another failure in between is not the same."""
    raised = iter([RuntimeError("odd 17"), RuntimeError("other"), RuntimeError("odd 18")] * 3)

    @app.job(key="{name}", backoff=0.0001, attempts=9)
    def odd(name: str) -> None:
        raise (
            RuntimeError(f"odd {len(app.journal.runs(RunFilter()))}")
            if name == "a"
            else next(raised)
        )

    assert [word(odd, "a"), word(odd, "a")] == ["RetryLater", "Parked"]
    assert [word(odd, "b") for _ in range(3)] == ["RetryLater"] * 3
