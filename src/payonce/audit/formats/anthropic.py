"""Reading, for `audit`: pages of Anthropic's usage and cost reports.

The amount of a cost report is a decimal text in cents.
"""

from __future__ import annotations

from payonce.audit.sample import Format, Sample


def recognise(sample: Sample) -> bool:
    """Buckets with a start, an end and results."""
    return sample.any_has("starting_at", "ending_at", "results")


FORMAT = Format(
    "Anthropic usage or cost report",
    "anthropic",
    "how many calls were made, whose they were and what failed: only sums over time",
    recognise,
)
