"""Reading, for `audit`: Google Cloud Tasks' log of what it did, the `task_operations_log`."""

from __future__ import annotations

from payonce.audit.sample import Format, Sample

_NAMES = ("attemptResponseLog", "attemptDispatchLog", "taskCreationLog")


def recognise(sample: Sample) -> bool:
    """Entries about a task's creation, dispatch or answer."""
    payloads = (record.get("jsonPayload") for record in sample.records)
    return any(
        isinstance(payload, dict) and any(name in payload for name in _NAMES)
        for payload in payloads
    )


FORMAT = Format(
    "Cloud Tasks operations",
    "cloud_tasks",
    "what a delivery paid for, and which error it died of: only its status",
    recognise,
)
