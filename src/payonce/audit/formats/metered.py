"""Reading, for `audit`: the bill that payonce's metered provider writes, which the demo keeps."""

from __future__ import annotations

from payonce.audit.sample import Format, Sample


def recognise(sample: Sample) -> bool:
    """Billed calls with the hash of their prompt."""
    return sample.any_has("prompt_sha", "cost_nanos")


FORMAT = Format(
    "metered provider's bill",
    "metered",
    "which task a call belongs to, and what failed after it",
    recognise,
)
