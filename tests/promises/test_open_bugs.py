"""What does not hold yet; each test moves to the file of its promise when it passes."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest
from tests.promises.asking import ask, outcome, word
from tests.promises.test_secrets_stay_out import everything

import payonce
from payonce.testing import MeteredProvider, status


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
