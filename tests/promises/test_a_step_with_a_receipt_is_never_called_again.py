"""Promise 2: whatever comes in between, what was paid for under a run key is replayed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from tests.chaos.site import Site
from tests.promises.asking import ask, outcome, word

import payonce
from payonce.testing import MeteredProvider

PARTS = ("one", "two", "three", "four", "five")
ONCE = dict.fromkeys(PARTS, 1)


@pytest.mark.parametrize(
    "failure", [ConnectionResetError("reset"), RuntimeError("who knows"), KeyError("outline")]
)
def test_not_after_an_exception(
    make_app: Callable[..., payonce.Payonce],
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    failure: Exception,
) -> None:
    """Given a run that failed after two paid calls, when it is delivered again, in the world it
    failed in or in another, then both answers are the ones that were paid."""
    texts: list[list[str]] = []
    for version in ("1", "1", "2", "3"):
        app = make_app(version=version)

        @app.job(key="course", name="course", backoff=0.001)
        def work() -> list[str]:
            texts.append([ask(gpt, "one"), ask(gpt, "two")])
            if len(texts) < 3:
                raise failure
            return texts[-1]

        with app.capture():
            told = outcome(work)
    assert told == texts[0] == texts[1] == texts[2]
    assert len(texts) == 3
    assert (provider.billed("one"), provider.billed("two")) == (1, 1)


def test_not_in_a_loop_that_asks_the_same_twice(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Given equal questions in a loop: each has its own answer, paid once, in its own place."""
    texts: list[list[str]] = []

    @app.job(key="course", backoff=0.001)
    def work() -> None:
        texts.append([ask(gpt, "joke") for _ in range(3)])
        if len(texts) == 1:
            raise ConnectionResetError

    assert [word(work), word(work)] == ["RetryLater", "done"]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 3
    assert provider.billed("joke") == 3


def test_not_after_kill_9(site: Site) -> None:
    """Given three receipts and a fourth call in flight, when the process is killed, then only
    the fourth may be paid again."""
    site.migrate()
    site.killed_in("four")
    assert site.deliver().word == "done"
    assert site.bill() == ONCE | {"four": 2}


def test_not_after_a_deploy_of_changed_code(site: Site) -> None:
    """Given a parked run, when new code asks in another order, then nothing is paid again."""
    assert site.deliver().word == "Parked"
    site.migrate()
    site.deploy("swapped")
    assert site.deliver().word == "done"
    assert site.bill() == ONCE


def test_not_by_many_workers_at_once(site: Site) -> None:
    """Given four processes that get the same message, then one pays and all are answered."""
    site.migrate()
    workers = [site.start(wait=20) for _ in range(4)]
    told = [worker.told() for worker in workers]
    assert {answer.word for answer in told} == {"done"}
    assert all(answer == told[0] for answer in told)
    assert site.bill() == ONCE


def test_not_by_many_threads_of_one_run(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Given a job that asks from eight threads, then its second attempt pays for none of them."""
    texts: list[list[str]] = []

    @app.job(key="course", backoff=0.001)
    def work() -> None:
        with ThreadPoolExecutor(8) as pool:
            texts.append(list(pool.map(lambda n: ask(gpt, f"part {n}"), range(8))))
        if len(texts) == 1:
            raise ConnectionResetError

    assert [word(work), word(work)] == ["RetryLater", "done"]
    assert texts[0] == texts[1]
    assert provider.billed() == 8


def test_but_another_run_key_pays_for_itself(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Receipts belong to a run: the same question for another course is another call."""

    @app.job(key="course:{n}")
    def work(n: int) -> str:
        return ask(gpt, "one")

    assert work(1) == work(1) != work(2)
    assert provider.billed("one") == 2
