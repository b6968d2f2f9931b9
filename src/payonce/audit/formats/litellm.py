"""Reading, for `audit`: LiteLLM's SpendLogs, out of its API, its database or its logging callbacks.

`metadata` is a text with JSON in payloads and an object in the database; a CSV has the same
columns.
"""

from __future__ import annotations

from payonce.audit.sample import Format, Sample


def recognise(sample: Sample) -> bool:
    """Rows with a request's id, its start and its spend."""
    return sample.any_has("request_id", "startTime", "spend")


FORMAT = Format(
    "LiteLLM SpendLogs",
    "litellm",
    "which task a call belongs to, unless the app sends it as metadata; what failed after the call",
    recognise,
)
