"""Reading, for `audit`: the formats that it knows, each recognised by what is in a file."""

from __future__ import annotations

from payonce.audit.formats import (
    anthropic,
    cloud_run,
    cloud_tasks,
    langfuse,
    litellm,
    metered,
    openai,
    otlp,
)

FORMATS = (
    openai.FORMAT,
    anthropic.FORMAT,
    litellm.FORMAT,
    langfuse.FORMAT,
    otlp.FORMAT,
    cloud_run.FORMAT,
    cloud_tasks.FORMAT,
    metered.FORMAT,
)

__all__ = ["FORMATS"]
