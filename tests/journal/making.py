"""Openings, intents, receipts and closings, with all that a test doesn't care for filled in."""

from __future__ import annotations

from typing import Any

from payonce.journal.protocol import Closing, Journal, Opening
from payonce.model import (
    Call,
    Delivery,
    Diagnosis,
    Intent,
    Kind,
    Payload,
    Receipt,
    Run,
    RunState,
    WakesOn,
    World,
)

WORLD = World("1", "sqlite:app.db=abc")
NO_COLUMN = Diagnosis(
    Kind.DETERMINISTIC, "no such column", "SQLITE_ERROR", "f00", (WakesOn.SCHEMA, WakesOn.CODE)
)


def opening(key: str = "course:1", **more: Any) -> Opening:
    """An opening of a run."""
    told: dict[str, Any] = {
        "job": "generate",
        "key": key,
        "tenant": "acme",
        "arguments": b"{}",
        "arguments_fingerprint": "args",
        "owner": "one",
        "lease": 30.0,
        "world": WORLD,
        "delivery": Delivery(queue="direct"),
    }
    return Opening(**told | more)


def opened(journal: Journal, key: str = "course:1", **more: Any) -> Run:
    """A run whose lease was just taken."""
    seen = journal.find("generate", key)
    run = journal.open(opening(key, seen=seen, **more)).now()
    assert run is not None
    return run


def found(journal: Journal, key: str = "course:1") -> Run:
    """A run that is there."""
    run = journal.find("generate", key)
    assert run is not None
    return run


def closing(run: Run, state: RunState = RunState.DONE, **more: Any) -> Closing:
    """The end of a run's current attempt."""
    outcome = {RunState.DONE: "done", RunState.WAITING: "retry", RunState.PARKED: "parked"}[state]
    told: dict[str, Any] = {"outcome": outcome, "answer": outcome, "world": WORLD}
    if state is not RunState.DONE:
        told["diagnosis"] = NO_COLUMN
    return Closing(run_id=run.id, attempt=run.attempt, state=state, **told | more)


def intent(run: Run, step_key: str = "outline", **more: Any) -> Intent:
    """A step that is about to be sent."""
    told: dict[str, Any] = {"occurrence": 0, "send": 1, "name": step_key, "source": "step"}
    return Intent(run_id=run.id, attempt=run.attempt, step_key=step_key, **told | more)


def receipt(text: str = "answer", **more: Any) -> Receipt:
    """A paid answer."""
    return Receipt(Payload("json", f'"{text}"'.encode()), **more)


def intended(journal: Journal, run: Run, step_key: str = "outline", **more: Any) -> int:
    """The id of a call that was just intended."""
    call_id = journal.intend(intent(run, step_key, **more)).now()
    assert call_id is not None
    return call_id


def paid(journal: Journal, run: Run, step_key: str = "outline", text: str = "answer") -> int:
    """The id of a call that was just paid."""
    call_id = intended(journal, run, step_key)
    journal.complete(call_id, intent(run, step_key), receipt(text)).now()
    return call_id


def called(journal: Journal, call_id: int) -> Call:
    """A call that is there."""
    (call,) = journal.calls(call_id=call_id)
    return call
