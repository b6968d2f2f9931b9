"""Reading, for `audit`: logs for people, of an app, a worker, a web server; as JSON records, too.

Celery's and SQS's lines are found in them, HTTP calls that httpx or urllib3 logged, tracebacks.
"""

from __future__ import annotations

from payonce.audit.log_lines import TELLING, TEXTS, events, moment_in
from payonce.audit.sample import Format, Sample

_NAMES = ("textPayload", "message", "msg", "event", "log")


def recognise(sample: Sample) -> bool:
    """Lines with a time, or that say something; records with a message."""
    return any(_has_message(record) for record in sample.records) or any(
        moment_in(text) is not None or next(iter(events(text)), None) is not None
        for text in sample.texts
        if text[:1] != "{"
    )


def _has_message(record: dict[str, object]) -> bool:
    payload = record.get("jsonPayload")
    if isinstance(payload, dict) and ("message" in payload or "msg" in payload):
        return True
    return any(isinstance(record.get(name), str) for name in _NAMES)


GIVEN = {"telling": TELLING, "texts": TEXTS}
FORMAT = Format(
    "application log",
    "app_log",
    "what calls cost; whose a call is where several tasks are worked on and lines name no task",
    recognise,
)
