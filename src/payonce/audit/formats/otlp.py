"""Reading, for `audit`: OpenTelemetry's spans as OTLP JSON, with the GenAI names old and new."""

from __future__ import annotations

from typing import Any

from payonce.audit.sample import Format, Sample

_NAMES = ("resourceSpans", "resource_spans", "scopeSpans", "scope_spans")
_OLD = "instrumentationLibrarySpans"


def recognise(sample: Sample) -> bool:
    """Exports, or the resources of one."""
    return any(map(_has_spans, sample.records))


def _has_spans(record: dict[str, Any]) -> bool:
    inner = record.get("batches")
    if isinstance(inner, list) and inner and isinstance(inner[0], dict):
        record = inner[0]
    return any(name in record for name in (*_NAMES, _OLD))


FORMAT = Format(
    "OpenTelemetry spans",
    "otlp",
    "retries inside an SDK, since a span covers them all; costs, unless an instrumentor adds them",
    recognise,
)
