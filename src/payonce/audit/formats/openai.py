"""Reading, for `audit`: pages of OpenAI's `/v1/organization/usage/…` and `/v1/organization/costs`.

An amount is a number in the documentation and a text in the wild; both are read.
"""

from __future__ import annotations

from payonce.audit.sample import Format, Sample


def recognise(sample: Sample) -> bool:
    """Buckets that call themselves so."""
    return any(
        record.get("object") == "bucket" and "start_time" in record for record in sample.records
    )


FORMAT = Format(
    "OpenAI usage or costs",
    "openai",
    "which job, task or tenant a call belongs to, and what failed: only sums over time",
    recognise,
)
