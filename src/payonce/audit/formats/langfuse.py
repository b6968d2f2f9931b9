"""Reading, for `audit`: Langfuse's observations and traces.

They come from the page's download, from the API with the names of today or the older ones, or from
a blob export in snake case.
"""

from __future__ import annotations

from payonce.audit.sample import Format, Sample


def recognise(sample: Sample) -> bool:
    """Observations of a trace with a type and a start, or a trace."""
    return (
        sample.any_has("traceId", "type", "startTime")
        or sample.any_has("trace_id", "type", "start_time")
        or any(_is_trace(record.get("trace", record)) for record in sample.records)
    )


def _is_trace(record: object) -> bool:
    return isinstance(record, dict) and (
        {"id", "timestamp", "sessionId"} <= record.keys()
        or {"id", "timestamp", "session_id", "user_id"} <= record.keys()
    )


FORMAT = Format(
    "Langfuse traces",
    "langfuse",
    "how often a queue delivered the work (equal inputs stand for a task); retries inside an SDK",
    recognise,
)
