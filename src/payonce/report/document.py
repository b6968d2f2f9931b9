"""Reading: one run for programs, as values that JSON knows."""

from __future__ import annotations

from typing import Any

from payonce import drift
from payonce.model import Arrival, Attempt, Call, World
from payonce.report import text
from payonce.report.answer import as_text
from payonce.report.run import RunReport


def run_document(report: RunReport, *, answers: bool = False, error: bool = False) -> Any:
    """A run; with the texts of its answers, or its attempts' tracebacks."""
    run = report.run
    return {
        "key": run.key,
        "job": run.job,
        "tenant": run.tenant,
        "state": run.state.value,
        "reason": run.reason,
        "kind": run.kind.value if run.kind else None,
        "evidence": run.evidence,
        "fingerprint": run.fingerprint,
        "wakes_on": [word.value for word in run.wakes_on],
        "world": _world_row(run.world),
        "retry_at": text.moment(run.retry_at),
        "worker": run.lease_owner,
        "worker_gone": report.lost,
        "arguments": text.arguments(run.arguments),
        "result": as_text(run.result) if run.result else None,
        "created": text.moment(run.created_at),
        "updated": text.moment(run.updated_at),
        "deliveries": [_arrival_document(arrival) for arrival in report.arrivals],
        "attempts": [_attempt_document(attempt, error=error) for attempt in report.attempts],
        "calls": [
            _call_document(call, report.cost(call), answers=answers) for call in report.calls
        ],
        "totals": report.totals.row(),
        "next": report.next,
    }


def _world_row(world: World | None) -> dict[str, str] | None:
    return None if world is None else {"code": world.code, "schema": world.schema}


def _arrival_document(arrival: Arrival) -> dict[str, Any]:
    delivery = arrival.delivery
    return {
        "at": text.moment(arrival.at),
        "queue": delivery.queue,
        "message": delivery.message,
        "retry_count": delivery.retry_count,
        "previous_response": delivery.previous_response,
        "user_agent": delivery.user_agent,
        "attempt": arrival.attempt,
        "answer": arrival.answer,
    }


def _attempt_document(attempt: Attempt, *, error: bool) -> dict[str, Any]:
    row = {
        "number": attempt.number,
        "worker": attempt.owner,
        "started": text.moment(attempt.started_at),
        "ended": text.moment(attempt.ended_at),
        "outcome": attempt.outcome,
        "at_step": attempt.at_step,
        "kind": attempt.kind.value if attempt.kind else None,
        "reason": attempt.reason,
        "fingerprint": attempt.fingerprint,
        "world": _world_row(attempt.world),
    }
    return row | {"error": attempt.error} if error else row


def _drift_document(call: Call) -> dict[str, Any] | None:
    told = drift.read(call.drift)
    if told is None:
        return None
    changes = [{"path": each.path, "was": each.old, "is": each.new} for each in told.changes]
    return {"unused": told.unused, "changes": changes, "more": told.more}


def _call_document(call: Call, cost: str | None, *, answers: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": call.id,
        "step": call.name,
        "step_key": call.step_key,
        "occurrence": call.occurrence + 1,
        "send": call.send,
        "attempt": call.attempt,
        "source": call.source,
        "parent": call.parent_id,
        "state": call.state.value,
        "rejected": call.rejected,
        "resolution": call.resolution,
        "reason": call.reason,
        "drift": _drift_document(call),
        "model": call.model,
        "usage": call.usage,
        "cost": cost,
        "started": text.moment(call.started_at),
        "ended": text.moment(call.ended_at),
    }
    if answers:
        row["answer"] = as_text(call.answer) if call.answer is not None else None
    return row
