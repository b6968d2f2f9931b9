"""What turns an app into a worker for one delivery, which prints what its queue would be told."""

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import guard

from payonce import Payonce
from payonce.errors import PayonceError
from payonce.journal import journal_at
from payonce.journal.protocol import RunFilter

guard.die_with(int(os.environ["PARENT_PID"]))
if host := os.environ.get("WORKER_HOST"):
    socket.gethostname = lambda: host


def count(what: str) -> None:
    """Write down that something was done once more."""
    with Path(f"{what}.count").open("a") as file:
        file.write(f"{os.getpid()}\n")


def main(app: Payonce, job: Callable[..., Any], *args: Any) -> None:
    """Do what the command line says: one delivery, a person's `again`, or only start."""
    if patience := os.environ.get("PATIENCE"):
        app.journal = journal_at(app.store, patience=float(patience))
    match sys.argv[1:]:
        case ["start"]:
            say(told="started", value=len(app.journal.runs(RunFilter())))
        case ["again"]:
            run = app.journal.runs(RunFilter())[0].run
            end(lambda: app.again(app.jobs[run.job], run.arguments))
        case _:
            end(lambda: job(*args))
    app.close()


def end(work: Callable[[], Any]) -> None:
    """Work, and say how it ended."""
    try:
        value = work()
    except PayonceError as told:
        kind = getattr(told, "kind", None)
        say(told=type(told).__name__, text=str(told), paid=told.paid, kind=kind)
    else:
        say(told="done", value=value)


def say(**told: Any) -> None:
    """One line of JSON."""
    print(json.dumps(told, default=repr), flush=True)
