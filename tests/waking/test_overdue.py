"""Runs that no queue will bring again go on by themselves, too: late, but never twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.journal.programs import ended, started
from tests.journal.stores import Clock, Store
from tests.waking.conftest import School
from tests.waking.telling import runs, until, word

from payonce import Payonce
from payonce.delivery import receiving
from payonce.model import Delivery, Kind, RunState
from payonce.waking import wake

LONG = 900.0
"""Seconds after which a delivery that a queue may still have is taken for lost."""


class Passing:
    """A job that pays, then meets what passes, until it is `well`; attempts are counted."""

    def __init__(self, app: Payonce, **options: Any) -> None:
        self.app, self.well, self.tried, self.paid = app, False, 0, 0

        @app.step(name="pay")
        def pay() -> str:
            self.paid += 1
            return "paid"

        @app.job(key="{name}", name="passing", backoff=0.0, **options)
        def job(name: str) -> str:
            self.tried += 1
            pay()
            if not self.well:
                raise ConnectionResetError("the other side is away")
            return name

        self.job = job

    def look(self) -> None:
        """One look, which ends when all that it called has ended."""
        self.app.lookout.look(self.app, threading.Event())


def test_a_run_whose_message_is_lost_goes_on_when_it_is_overdue(app: Payonce, clock: Clock) -> None:
    """Given a run that waits to be tried again, when no delivery comes for a quarter of an hour,
    then a look calls it; not earlier, for the queue may have the message still."""
    passing = Passing(app)
    assert word(passing.job, "a") == "RetryLater"
    passing.well = True
    clock.move(LONG - 1)
    passing.look()
    assert passing.tried == 1
    clock.move(1)
    passing.look()
    assert runs(app)["a"].state is RunState.DONE
    assert (passing.tried, passing.paid) == (2, 1)


def test_a_run_that_a_look_called_is_called_again_in_time(
    app: Payonce, clock: Clock, school: School
) -> None:
    """Given a parked run that its changed world wakes, when it meets what passes on its way, then
    the next look goes on: a queue has no message of it any more."""
    app.watch(f"sqlite:///{school.path}")
    away = [True]

    @app.job(key="k", backoff=0.0)
    def job() -> str:
        school.save("k")
        if away[0]:
            raise ConnectionResetError("the other side is away")
        return "done"

    assert word(job) == "Parked"
    school.migrate()
    app.lookout.look(app, threading.Event())
    assert runs(app)["k"].state is RunState.WAITING
    away[0] = False
    app.lookout.look(app, threading.Event())
    assert (runs(app)["k"].state, runs(app)["k"].attempt) == (RunState.DONE, 3)


def test_a_run_that_a_person_called_is_called_again_in_time(app: Payonce, clock: Clock) -> None:
    """`payonce wake` has ended when the run's time comes; a look has not."""
    passing = Passing(app, attempts=1)
    assert word(passing.job, "a") == "Parked"
    (told,) = wake(app, ["a"], force=True)
    assert told.outcome == "parked"
    passing = Passing(app, attempts=3)
    (told,) = wake(app, ["a"], force=True)
    assert told.outcome == "retry"
    passing.well = True
    passing.look()
    assert runs(app)["a"].state is RunState.DONE


DIES = """
import os, signal, sys
from payonce import Payonce
app = Payonce(sys.argv[1], version="1", clock=lambda: float(sys.argv[2]))

@app.job(key="k", name="job")
def job() -> str:
    os.kill(os.getpid(), signal.SIGKILL)

job()
"""


def test_a_run_whose_worker_died_with_its_message_goes_on(
    store: Store, app: Payonce, clock: Clock
) -> None:
    """A queue that takes a message off at once, as Celery's does by default, has it no more."""
    app.job(key="k", name="job")(lambda: "done")
    program = started(DIES, store.url, str(clock.now))
    assert ended(program) != 0
    assert runs(app)["k"].state is RunState.RUNNING
    clock.move(LONG)
    app.lookout.look(app, threading.Event())
    assert runs(app)["k"].state is RunState.RUNNING
    clock.move(60)
    app.lookout.look(app, threading.Event())
    assert (runs(app)["k"].state, runs(app)["k"].attempt) == (RunState.DONE, 2)


def test_an_attempt_at_work_is_left_alone(app: Payonce, clock: Clock) -> None:
    """However long it takes: its lease is prolonged."""
    begun, go_on = threading.Event(), threading.Event()

    @app.job(key="k")
    def job() -> str:
        begun.set()
        assert go_on.wait(60)
        return "done"

    worker = threading.Thread(target=job)
    worker.start()
    assert begun.wait(60)
    clock.move(LONG * 10)
    lease = runs(app)["k"].lease_until or 0.0
    until(lambda: (runs(app)["k"].lease_until or 0.0) > lease)
    app.lookout.look(app, threading.Event())
    go_on.set()
    worker.join(60)
    assert (runs(app)["k"].state, runs(app)["k"].attempt) == (RunState.DONE, 1)


def test_a_delivery_that_comes_after_all_finds_it_done(app: Payonce, clock: Clock) -> None:
    """Nothing happens twice, whoever is first."""
    passing = Passing(app)
    with receiving(Delivery(queue="sqs")):
        assert word(passing.job, "a") == "RetryLater"
    passing.well = True
    clock.move(LONG)
    passing.look()
    with receiving(Delivery(queue="sqs")):
        assert word(passing.job, "a") == "done"
    assert (passing.tried, passing.paid) == (2, 1)


def test_what_passes_is_tried_again_after_its_attempts(app: Payonce, clock: Clock) -> None:
    """Given an outage longer than all attempts, then the parked run is probed, one attempt at a
    time and ever more rarely, and is done once it is over."""
    passing = Passing(app, attempts=2)
    assert [word(passing.job, "a") for _ in range(2)] == ["RetryLater", "Parked"]
    assert runs(app)["a"].kind is Kind.TRANSIENT
    for wait in (900, 1800, 3600):
        clock.move(wait - 1)
        passing.look()
        tried = passing.tried
        clock.move(1)
        passing.look()
        assert (passing.tried, runs(app)["a"].state) == (tried + 1, RunState.PARKED)
    passing.well = True
    clock.move(7200)
    passing.look()
    assert runs(app)["a"].state is RunState.DONE
    assert passing.paid == 1


def test_without_a_breaker_the_attempts_are_all(app: Payonce, clock: Clock) -> None:
    """Who wants no probes gets none."""
    passing = Passing(app, attempts=1, breaker=None)
    assert word(passing.job, "a") == "Parked"
    clock.move(10**6)
    passing.look()
    assert passing.tried == 1


def test_a_run_that_cannot_be_called_is_not_called_for_ever(
    make_app: Callable[..., Payonce], clock: Clock
) -> None:
    """Its arguments no longer fit the job: one try in each world."""
    old, app = make_app(), make_app()
    assert word(Passing(old).job, "a") == "RetryLater"
    refused = []

    @app.job(key="{name}", name="passing")
    def job(name: str, more: int) -> str:
        return name

    again = app.again
    app.again = lambda *given: refused.append(1) or again(*given)  # type: ignore[method-assign]
    clock.move(LONG)
    for _ in range(3):
        app.lookout.look(app, threading.Event())
    assert len(refused) == 1
