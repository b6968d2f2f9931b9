"""Each error that a user can meet says what happened, whether money moved, and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.journal.making import opened
from tests.journal.stores import Clock
from tests.path.shapes import Opaque

from payonce import Payonce, errors
from payonce.errors import PayonceError, Stop
from payonce.journal import journal_at

Situation = Callable[[Payonce, Clock], Any]
SITUATIONS: dict[str, tuple[Situation, str, str, str]] = {}

# Met only where an SDK's call is captured, or on the command line: their own tests provoke them.
ELSEWHERE = {"CallNotFound", "Drifted", "JournalNotFound", "RunNotFound"}


def provokes(name: str, what: str, paid: str, todo: str) -> Callable[[Situation], Situation]:
    """Register a situation: the error's class, and what its message has to hold."""

    def register(situation: Situation) -> Situation:
        SITUATIONS[name] = (situation, what, paid, todo)
        return situation

    return register


def _failing(app: Payonce, exc: BaseException, **more: Any) -> Callable[[], Any]:
    @app.step(**more)
    def pay() -> None:
        raise exc

    @app.job(key="k", name="generate", backoff=1)
    def job() -> None:
        pay()

    return job


def _inside(app: Payonce, work: Callable[[], Any], **more: Any) -> None:
    """Let a job do something, and raise what it met inside its run."""
    met: list[BaseException] = []

    @app.job(key="k", name="generate", **more)
    def job() -> None:
        try:
            work()
        except BaseException as exc:
            met.append(exc)
            raise

    with pytest.raises(errors.NotDone):
        job()
    raise met[0]


@provokes("Parked", "'k' of generate is parked: ", "no", "payonce wake MODULE:APP k")
def _parked(app: Payonce, clock: Clock) -> None:
    @app.job(key="k", name="generate")
    def job() -> None:
        raise KeyError("outline")

    job()


@provokes("RetryLater", "has to be tried again in", "unknown", "Deliver it again")
def _retry_later(app: Payonce, clock: Clock) -> None:
    _failing(app, ConnectionResetError("cut"))()


@provokes("Busy", "is being worked on by host/1", "no", "wait=")
def _busy(app: Payonce, clock: Clock) -> None:
    @app.job(key="k", name="generate", wait=0)
    def job() -> None: ...

    fingerprint = app.jobs["generate"].bind((), {}).fingerprint
    opened(app.journal, "k", owner="host/1", arguments_fingerprint=fingerprint)
    job()


@provokes("KeyReused", "(differing: level)", "no", "ignore_args=")
def _key_reused(app: Payonce, clock: Clock) -> None:
    @app.job(key="k", name="generate")
    def job(level: int) -> None: ...

    job(1)
    job(2)


@provokes("Rejected", "was answered 3 times", "yes", "resamples=")
def _rejected(app: Payonce, clock: Clock) -> None:
    @app.step(check=lambda _: False)
    def ask() -> None: ...

    _inside(app, ask)


@provokes("ConfigError", "nope", "no", "Its arguments are: n")
def _config(app: Payonce, clock: Clock) -> None:
    @app.job(key="k", ignore_args=["nope"])
    def job(n: int) -> None: ...


@provokes("KeyTemplateError", "names 'nope'", "no", "Its arguments are: n")
def _key_template(app: Payonce, clock: Clock) -> None:
    @app.job(key="{nope}")
    def job(n: int) -> None: ...


@provokes("NotKeyable", "Opaque", "no", "key=")
def _not_keyable(app: Payonce, clock: Clock) -> None:
    @app.step
    def ask(thing: object) -> None: ...

    _inside(app, lambda: ask(Opaque()))


@provokes("NotKept", "argument thing", "no", "ignore_args=")
def _not_kept(app: Payonce, clock: Clock) -> None:
    @app.job(key="k")
    def job(thing: object) -> None: ...

    job(Opaque())


@provokes("StoreNotSupported", "'mysql://host/db'", "no", "sqlite:///payonce.db")
def _store(app: Payonce, clock: Clock) -> None:
    Payonce("mysql://host/db")


@provokes("OutsideRun", "app.complete()", "no", "@app.job")
def _outside(app: Payonce, clock: Clock) -> None:
    app.complete(None)


@provokes("JournalTooNew", "of version 99", "no", "Upgrade payonce")
def _too_new(app: Payonce, clock: Clock) -> None:
    path = Path(app.store.removeprefix("sqlite:///"))
    opened(app.journal)
    app.close()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("INSERT INTO payonce_migrations VALUES (99, 'later', 0)")
    app.journal.find("generate", "k")


@provokes("NotAJournal", "file is not a database", "no", "Name another file")
def _not_a_journal(app: Payonce, clock: Clock) -> None:
    Path(app.store.removeprefix("sqlite:///")).write_text("dear diary, it rained all day")
    app.journal.find("generate", "k")


@provokes("LeaseLost", "attempt 1 lost its lease on run 'k'", "no", "took over")
def _lease_lost(app: Payonce, clock: Clock) -> None:
    @app.step
    def ask() -> None: ...

    def work() -> None:
        later = Clock()
        later.now = clock.now + 3600
        other = journal_at(app.store, clock=later)
        opened(other, "k", owner="other")
        other.stop()
        ask()

    _inside(app, work)


@provokes("InDoubt", "is in doubt: it raised", "unknown", "payonce resolve 1")
def _in_doubt(app: Payonce, clock: Clock) -> None:
    @app.step
    def charge() -> None:
        raise ConnectionResetError("cut")

    def work() -> None:
        with pytest.raises(ConnectionResetError):
            charge()
        charge()

    _inside(app, work)


@provokes("NotReplayable", "can't be rebuilt", "yes", "payonce resolve 1 --pay-again")
def _not_replayable(app: Payonce, clock: Clock) -> None:
    attempts = []

    @app.step
    def connect() -> Any:
        return Opaque()

    def work() -> None:
        attempts.append(1)
        connect()
        if len(attempts) == 1:
            raise ConnectionResetError("reset")

    with pytest.raises(ConnectionResetError):
        _inside(app, work)
    clock.move(3600)
    _inside(app, work)


@provokes("SendsUsedUp", "was sent 2 times", "no", "sends=N")
def _sends_used_up(app: Payonce, clock: Clock) -> None:
    @app.step
    def ask() -> None:
        raise ConnectionRefusedError("nobody listens")

    def work() -> None:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                ask()
        ask()

    _inside(app, work, sends=2)


@provokes("BudgetReached", "may cost 2.00 USD", "no", "payonce budget set")
def _budget_reached(app: Payonce, clock: Clock) -> None:
    app.budget("1 USD")

    @app.step(cost="2 USD")
    def ask() -> None:
        raise AssertionError("it may not be sent")

    _inside(app, ask)


@provokes("PriceUnknown", "is not known, because", "no", 'app.prices.add("gpt-unheard-of"')
def _price_unknown(app: Payonce, clock: Clock) -> None:
    app.budget("1 USD")
    app.capture()

    def ask() -> None:
        httpx.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-unheard-of"})

    try:
        _inside(app, ask)
    finally:
        app.release()


@provokes("NoJournal", "can't be written", "no", "once the journal can be written")
def _no_journal(app: Payonce, clock: Clock) -> None:
    app.journal = journal_at(app.store, clock=clock, patience=0.05)
    path = app.store.removeprefix("sqlite:///")

    @app.step
    def ask() -> None:
        raise AssertionError("it may not be sent")

    def work() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            ask()

    _inside(app, work)


@pytest.mark.parametrize("name", sorted(SITUATIONS))
def test_an_error_tells_the_money(app: Payonce, clock: Clock, name: str) -> None:
    """What happened, whether it was paid for, and what to do next, in one message."""
    situation, what, paid, todo = SITUATIONS[name]
    with pytest.raises((PayonceError, Stop)) as met:
        situation(app, clock)
    error = met.value
    assert type(error).__name__ == name
    assert (what in error.what, error.paid, todo in error.todo) == (True, paid, True), str(error)
    assert str(error) == f"{error.what} (paid: {error.paid}). {error.todo}"


def _leaves(root: type[BaseException]) -> set[str]:
    below = root.__subclasses__()
    return {root.__name__} if not below else set().union(*map(_leaves, below))


def test_each_error_is_provoked() -> None:
    """No error is only written down: each class that has none below it is met somewhere."""
    known = _leaves(PayonceError) | _leaves(Stop)
    ours = {name for name in known if hasattr(errors, name)}
    assert ours - ELSEWHERE <= set(SITUATIONS)
    assert {name for name in SITUATIONS if not hasattr(errors, name)} == set()
    assert not ELSEWHERE & set(SITUATIONS)
