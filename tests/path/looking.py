"""What tests look up in an app's journal."""

from __future__ import annotations

from payonce import Payonce
from payonce.journal.protocol import RunFilter
from payonce.model import Call, Run


def only_run(app: Payonce) -> Run:
    """The one run of an app."""
    [summary] = app.journal.runs(RunFilter())
    run = app.journal.find(summary.run.job, summary.run.key)
    assert run is not None
    return run


def calls(app: Payonce) -> list[Call]:
    """All calls of the one run, in the order in which they were made."""
    return sorted(app.journal.calls(only_run(app).id), key=lambda call: call.id)


def states(app: Payonce) -> list[str]:
    """Their states."""
    return [call.state.value for call in calls(app)]
