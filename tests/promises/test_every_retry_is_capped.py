"""Promise 6: per run and per step, hidden retries and deaths without a word included; what the
queue says of itself is recorded, never trusted."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import openai
import pytest
from tests.chaos.site import Site
from tests.promises.asking import ask, outcome, word

import payonce
from payonce.model import Call, CallState, Run
from payonce.queues.wsgi import DeliveryMiddleware
from payonce.testing import MeteredProvider, status


def test_attempts_per_run(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Given a failure that time should mend and never does, when ten deliveries come, then the
    job is attempted as often as it may be, and parks."""
    times: list[str] = []

    @app.job(key="course", attempts=3, backoff=0.001)
    def work() -> None:
        times.append(ask(gpt, "one"))
        raise ConnectionResetError("reset by peer")

    assert [word(work) for _ in range(10)] == ["RetryLater"] * 2 + ["Parked"] * 8
    assert (len(times), provider.billed("one")) == (3, 1)


def test_an_unknown_failure_gets_one_more_attempt(app: payonce.Payonce) -> None:
    """Given a failure that nobody knows, when it comes back unchanged, then the run parks."""
    times: list[int] = []

    @app.job(key="course", backoff=0.001)
    def work() -> None:
        times.append(1)
        raise RuntimeError("the moon is full")

    assert [word(work) for _ in range(5)] == ["RetryLater"] + ["Parked"] * 4
    assert len(times) == 2


def test_sends_per_step(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Given a provider that refuses for ever, when an SDK without retries asks once in each
    delivery, then the step is sent as often as it may be, however many attempts are left."""
    provider.fail("one", status(503, retry_after=0.001), times=None)
    client = gpt.with_options(max_retries=0)

    @app.job(key="course", attempts=50, sends=4, backoff=0.001)
    def work() -> str:
        return ask(client, "one")

    told = [outcome(work) for _ in range(8)]
    assert [type(answer).__name__ for answer in told] == ["RetryLater"] * 4 + ["Parked"] * 4
    assert "was sent 4 times" in str(told[-1])
    assert provider.received("one") == 4


def test_the_hidden_retries_of_an_sdk_are_sends(
    app: payonce.Payonce,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    calls: Callable[[], list[Call]],
) -> None:
    """Given an SDK that repeats a 429 five times on its own, then each physical send is a call in
    the journal, and the cap ends the SDK's loop from within."""
    provider.fail("one", status(429, retry_after=0.001), times=None)
    client = gpt.with_options(max_retries=5)

    @app.job(key="course", sends=4, backoff=0.001)
    def work() -> str:
        return ask(client, "one")

    told = outcome(work)
    assert isinstance(told, payonce.Parked)
    assert "was sent 4 times" in str(told)
    assert provider.received("one") == 4
    assert [(call.send, call.state) for call in calls()] == [
        (send, CallState.RELEASED) for send in (1, 2, 3, 4)
    ]


def test_code_that_swallows_everything_is_stopped_all_the_same(
    app: payonce.Payonce, gpt: openai.OpenAI, provider: MeteredProvider
) -> None:
    """Given a user's own retry loop around the SDK's, which catches every exception, then the cap
    still holds."""
    provider.fail("one", status(503, retry_after=0.001), times=None)

    @app.job(key="course", sends=4, backoff=0.001)
    def work() -> str | None:
        for _ in range(100):
            try:
                return ask(gpt, "one")
            except Exception:  # as seen in the wild
                continue
        return None

    assert word(work) == "Parked"
    assert provider.received("one") == 4


def test_answers_that_are_rejected(app: payonce.Payonce, provider: MeteredProvider) -> None:
    """Given a check that no answer passes, then it is asked again as often as `resamples` says,
    once for all deliveries."""
    asked: list[int] = []

    @app.step(check=lambda text: False, resamples=2)
    def text() -> str:
        asked.append(1)
        return "no JSON"

    @app.job(key="course", backoff=0.001)
    def work() -> str:
        return text()

    assert {word(work) for _ in range(5)} <= {"Parked", "RetryLater"}
    assert word(work) == "Parked"
    assert len(asked) == 3


KILLED = """
import os, signal
from payonce import NOT_PAID, Payonce
from told import count, main

app = Payonce()

@app.step
def plan() -> str:
    count("plans")
    return "a plan"

@app.step(verify=lambda: NOT_PAID)
def render() -> str:
    count("renders")
    os.kill(os.getpid(), signal.SIGKILL)

@app.job(key="course", attempts=50)
def generate() -> str:
    plan()
    return render()

main(app, generate)
"""


def test_deaths_without_a_word(site: Site) -> None:
    """Given a step that kills its process before it pays, when its process has died three times,
    then the run parks and names the step."""
    (site.folder / "course.py").write_text(KILLED)
    assert [site.start().died() for _ in range(3)] == [True] * 3
    told = [site.deliver() for _ in range(3)]
    assert [answer.word for answer in told] == ["Parked"] * 3
    assert "died 3 times in a row" in told[0].text
    assert "course.render" in told[0].text
    assert (site.count("plans"), site.count("renders")) == (1, 3)


def test_deaths_before_the_first_step(site: Site) -> None:
    """Given a job that kills its process before it has done anything, then it is tried three
    times, and the park says where it was."""
    before = KILLED.replace("    plan()\n    return render()", "    render.__wrapped__()")
    (site.folder / "course.py").write_text(before)
    assert [site.start().died() for _ in range(3)] == [True] * 3
    assert "before its first step" in site.deliver().text
    assert (site.count("plans"), site.count("renders")) == (0, 3)


BETWEEN = """
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
    """Given a job that kills its process after a step that is replayed from then on,
    when it has died three times, then it parks and names that step, not "before its first"."""
    (site.folder / "course.py").write_text(BETWEEN)
    assert [site.start().died() for _ in range(3)] == [True] * 3
    told = site.deliver()
    assert told.word == "Parked"
    assert "course.plan" in told.text
    assert site.count("renders") == 3


@contextmanager
def served(app: payonce.Payonce, job: Callable[[], Any]) -> Iterator[int]:
    """The job behind a real server; its port."""

    def handler(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = str(job()).encode()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    wrapped = DeliveryMiddleware(handler, app=app, queue="cloud-tasks")
    with make_server("127.0.0.1", 0, wrapped, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(10)


@pytest.mark.parametrize("counts", [[0] * 6, [9999] * 6, [3, 2, 1, 0, 7, -5]])
def test_what_the_queue_counts_is_recorded_and_changes_nothing(
    app: payonce.Payonce,
    gpt: openai.OpenAI,
    provider: MeteredProvider,
    run: Callable[[], Run],
    counts: list[int],
) -> None:
    """Given a queue whose retry counter lies in one way or another, then the caps are the same,
    and what it said is on record."""

    @app.job(key="course", attempts=3, backoff=0.001)
    def work() -> None:
        ask(gpt, "one")
        raise ConnectionResetError("reset by peer")

    statuses = []
    with served(app, work) as port:
        for n, said in enumerate(counts):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            headers = {
                "X-CloudTasks-TaskRetryCount": str(said),
                "X-CloudTasks-TaskName": f"another-name-{n}",
                "X-CloudTasks-QueueName": "batches",
            }
            connection.request("POST", "/", b"", headers)
            statuses.append(connection.getresponse().status)
            connection.close()
    app.journal.stop()
    assert [code >= 300 for code in statuses] == [True, True, False, False, False, False]
    assert (run().state, run().attempt) == ("parked", 3)
    assert provider.billed("one") == 1
    arrivals = app.journal.history(run().id).arrivals
    assert [a.delivery.retry_count for a in arrivals] == [c if c >= 0 else None for c in counts]
