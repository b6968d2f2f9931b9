"""Reading, for `audit`: the request logs of Google Cloud (Cloud Run and its like)."""

from __future__ import annotations

from payonce.audit.sample import Format, Sample


def recognise(sample: Sample) -> bool:
    """Entries with an `httpRequest`."""
    return sample.any_has("httpRequest")


FORMAT = Format(
    "Cloud Run requests",
    "cloud_run",
    "which task a request delivers, since headers are not in it; what a request paid for",
    recognise,
)
