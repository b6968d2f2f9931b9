"""A run goes along into the threads that its code starts, and not beyond its end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
from tests.capture.asking import chat
from tests.capture.conftest import Batch

import payonce
from payonce.scope import current
from payonce.testing import MeteredProvider


def test_calls_in_a_pool_are_captured(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """Each task of a pool finds its run, also where prompts are equal."""

    def work() -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return sorted(pool.map(lambda _: chat(gpt).id, range(8)))

    first, second = Batch(app, work).twice()
    assert provider.billed("outline") == 8
    assert first == second


def test_calls_in_a_thread_are_captured(
    app: payonce.Payonce, provider: MeteredProvider, gpt: openai.OpenAI
) -> None:
    """So does a plain thread, and one whose class overrides `run`."""

    class Asking(threading.Thread):
        def run(self) -> None:
            chat(gpt)

    def work() -> None:
        threads: list[Any] = [threading.Thread(target=chat, args=(gpt,)), Asking()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    Batch(app, work).twice()
    assert provider.billed("outline") == 2


def test_a_pools_threads_forget_the_run(app: payonce.Payonce) -> None:
    """A pool's thread that was started inside a run works for nobody afterwards."""
    with ThreadPoolExecutor(1) as pool:

        def work() -> None:
            assert pool.submit(current).result() is current()

        assert Batch(app, work, failures=0).deliver() is None
        assert pool.submit(current).result() is None
