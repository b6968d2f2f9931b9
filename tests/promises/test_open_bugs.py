"""What does not hold yet; each test moves to the file of its promise when it passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openai
import pytest
from tests.chaos.site import Site
from tests.promises.asking import ask, outcome, word
from tests.promises.test_secrets_stay_out import everything

import payonce
from payonce.model import Call, Run
from payonce.testing import MeteredProvider, status


def test_a_call_that_a_person_says_has_happened_is_not_made_again(
    app: payonce.Payonce, calls: Callable[[], list[Call]], run: Callable[[], Run]
) -> None:
    """Promise 3. Given a charge in doubt, when a person says that it happened, and has no answer
    to hand in, then it is not made a second time."""
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
    assert app.journal.resolve(call.id, "happened", "seen at the bank", None).now()
    assert app.journal.wake(run()).now()
    outcome(work)
    assert len(charges) == 1


@pytest.mark.parametrize("key", ["7f3e9ab2c4d84e0f9d1b6a5c3e2f1a0b", "tok-acme-9911223344"])
@pytest.mark.parametrize("said", ["Invalid API key: {}", "Access denied for token '{}'"])
def test_a_key_of_no_known_shape_is_masked_in_an_error(
    app: payonce.Payonce, provider: MeteredProvider, store: Path, key: str, said: str
) -> None:
    """Promise 10. Given a gateway whose keys look like nothing, when its error repeats the key
    that the request carried, then it is kept neither in the journal nor in what is raised."""
    provider.fail("one", status(401, message=said.format(key)), times=None)
    with openai.OpenAI(base_url=provider.openai_url, api_key=key) as client:

        @app.job(key="course")
        def work() -> str:
            return ask(client, "one")

        told = outcome(work)
    app.close()
    assert key not in str(told)
    assert key.encode() not in everything(store.parent)


def test_a_journal_that_was_deleted_is_no_journal(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider, store: Path
) -> None:
    """Promise 4. Given a journal whose file is removed while an attempt works, then no further
    call is made on the file that nobody will find again."""

    @app.job(key="course", backoff=0.001)
    def work() -> str:
        ask(gpt, "one")
        for path in store.parent.glob("journal.db*"):
            path.unlink()
        return ask(gpt, "two")

    assert word(work) == "RetryLater"
    assert provider.received("two") == 0


DYING = """
import os, signal
from payonce import Payonce
from told import count, main

app = Payonce()

@app.step
def plan() -> str:
    return "a plan"

@app.job(key="course", attempts=50)
def generate() -> str:
    plan()
    count("renders")
    os.kill(os.getpid(), signal.SIGKILL)

main(app, generate)
"""


def test_deaths_after_a_step_are_counted_from_the_first(site: Site) -> None:
    """Promise 6. Given a job that kills its process after a step that is replayed from then on,
    when it has died three times, then it parks and names that step, not "before its first"."""
    (site.folder / "course.py").write_text(DYING)
    assert [site.start().died() for _ in range(3)] == [True] * 3
    told = site.deliver()
    assert told.word == "Parked"
    assert "course.plan" in told.text
    assert site.count("renders") == 3
