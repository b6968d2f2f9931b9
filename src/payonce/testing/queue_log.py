"""Testing: the queue's story as Cloud Tasks writes it to its `task_operations_log`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from payonce.testing.task import QueueDelivery, Task

_TYPE = "type.googleapis.com/google.cloud.tasks.logging.v1.TaskActivityLog"
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def write_log(
    path: Path,
    queue: str,
    tasks: Iterable[Task],
    deliveries: Iterable[QueueDelivery],
    max_attempts: int,
) -> None:
    """Write one JSON line per creation, dispatch and response, in the order of time."""
    moments = [(task.created_at, task, "taskCreationLog", _creation(task)) for task in tasks]
    for delivery in deliveries:
        task, shared = delivery.task, _attempt(delivery, max_attempts)
        answered_at = delivery.at + delivery.seconds
        moments.append((delivery.at, task, "attemptDispatchLog", shared))
        outcome = {**shared, **_outcome(delivery)}
        moments.append((answered_at, task, "attemptResponseLog", outcome))
    moments.sort(key=lambda moment: moment[0])
    entries = (
        _entry(queue, number, at, task, kind, log)
        for number, (at, task, kind, log) in enumerate(moments)
    )
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")


def _creation(task: Task) -> dict[str, Any]:
    return {"scheduleTime": _rfc3339(task.created_at), **_target(task), "status": "OK"}


def _attempt(delivery: QueueDelivery, max_attempts: int) -> dict[str, Any]:
    answered = delivery.status is not None
    return {
        "dispatchCount": str(delivery.number),
        "responseCount": str(delivery.answers - answered),
        "maxAttempts": max(0, max_attempts),
        "scheduleTime": _rfc3339(delivery.scheduled_at),
        **_target(delivery.task),
    }


def _outcome(delivery: QueueDelivery) -> dict[str, Any]:
    outcome = {
        "attemptDuration": f"{delivery.seconds:.6f}s",
        "responseCount": str(delivery.answers),
        "status": _status(delivery),
    }
    if delivery.next_at is not None:
        outcome["retryTime"] = _rfc3339(delivery.next_at)
    return outcome


def _status(delivery: QueueDelivery) -> str:
    if delivery.succeeded:
        return "OK"
    if delivery.reply.error == "DEADLINE_EXCEEDED":
        return "DEADLINE_EXCEEDED"
    return _STATUS.get(delivery.status or 0, "UNKNOWN")


def _target(task: Task) -> dict[str, str]:
    return {"targetAddress": f"POST {task.url}", "targetType": "HTTP"}


def _entry(
    queue: str, number: int, at: float, task: Task, kind: str, log: Mapping[str, Any]
) -> dict[str, Any]:
    _, project, _, location, _, short = queue.split("/")
    labels = {
        "project_id": project,
        "location": location,
        "queue_id": short,
        "target_type": "HTTP",
    }
    name = f"{queue}/tasks/{task.name}"
    failed = log.get("status", "OK") != "OK"
    return {
        "insertId": hashlib.sha256(f"{name}:{number}".encode()).hexdigest()[:11],
        "jsonPayload": {"@type": _TYPE, "task": name, kind: log},
        "logName": f"projects/{project}/logs/cloudtasks.googleapis.com%2Ftask_operations_log",
        "receiveTimestamp": _rfc3339(at),
        "resource": {"type": "cloud_tasks_queue", "labels": labels},
        "severity": "ERROR" if failed else "INFO",
        "timestamp": _rfc3339(at),
    }


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
