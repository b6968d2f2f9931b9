"""Logs of queues and workers, written as these write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.audit.work import ERROR, Delivery, plain, rfc3339

URL = "https://courses-x7k.a.run.app/batches"
_QUEUE = "projects/shop/locations/europe-west1/queues/batches"
_SENT = 'HTTP Request: POST https://api.openai.com/v1/responses "HTTP/1.1 200 OK"'


def lines(records: Iterable[Any]) -> str:
    """JSON lines."""
    return "".join(json.dumps(record) + "\n" for record in records)


def array(records: Iterable[Any]) -> str:
    """One array, as `gcloud logging read --format json` prints it."""
    return json.dumps(list(records), indent=2) + "\n"


def copied(records: Iterable[Any]) -> str:
    """Entries as the Logs Explorer copies them: keys without quotes, no commas."""
    return "\n".join(_copied(record) for record in records) + "\n"


def _copied(value: Any) -> str:
    if isinstance(value, dict):
        return "{\n" + "\n".join(f"{k}: {_copied(v)}" for k, v in value.items()) + "\n}"
    return json.dumps(value)


def cloud_tasks(work: Sequence[Delivery]) -> Iterator[dict[str, Any]]:
    """Cloud Tasks' task_operations_log: a dispatch and an answer for each delivery."""
    for each in work:
        attempt = {
            "dispatchCount": str(each.number),
            "responseCount": str(each.number - 1),
            "maxAttempts": 0,
            "targetAddress": f"POST {URL}",
            "targetType": "HTTP",
        }
        yield _entry(each, each.at, "attemptDispatchLog", attempt)
        outcome = {"attemptDuration": "4.000000s", "status": "INTERNAL" if each.failed else "OK"}
        yield _entry(each, each.end, "attemptResponseLog", {**attempt, **outcome})


def _entry(each: Delivery, at: float, kind: str, log: dict[str, Any]) -> dict[str, Any]:
    kind_of = "type.googleapis.com/google.cloud.tasks.logging.v1.TaskActivityLog"
    return {
        "insertId": f"{each.task}{at}",
        "jsonPayload": {"@type": kind_of, "task": f"{_QUEUE}/tasks/{each.task}", kind: log},
        "logName": "projects/shop/logs/cloudtasks.googleapis.com%2Ftask_operations_log",
        "resource": {"type": "cloud_tasks_queue", "labels": {"queue_id": "batches"}},
        "timestamp": rfc3339(at),
    }


def cloud_run(work: Sequence[Delivery]) -> Iterator[dict[str, Any]]:
    """Cloud Run's request log, which has a trace and no headers."""
    for each in work:
        yield {
            "httpRequest": {
                "requestMethod": "POST",
                "requestUrl": URL,
                "status": 500 if each.failed else 200,
                "latency": "4.000000s",
                "userAgent": "Google-Cloud-Tasks",
                "requestSize": "812",
            },
            "logName": "projects/shop/logs/run.googleapis.com%2Frequests",
            "resource": {
                "type": "cloud_run_revision",
                "labels": {"service_name": "courses", "revision_name": "courses-00042-kig"},
            },
            "timestamp": rfc3339(each.at),
            "trace": f"projects/shop/traces/{each.trace}",
        }


def cloud_run_output(work: Sequence[Delivery]) -> Iterator[dict[str, Any]]:
    """What the app printed on Cloud Run: each line with the trace of its request."""
    for each in work:
        head = f"X-CloudTasks-TaskName: {each.task}, X-CloudTasks-TaskRetryCount: {each.number - 1}"
        said = [(each.at, head), *((call.at, _SENT) for call in each.calls)]
        if each.failed:
            said.append((each.end, f"{_traceback(each)}"))
        for at, text in said:
            yield {
                "logName": "projects/shop/logs/run.googleapis.com%2Fstderr",
                "resource": {"type": "cloud_run_revision", "labels": {"service_name": "courses"}},
                "textPayload": text,
                "timestamp": rfc3339(at),
                "trace": f"projects/shop/traces/{each.trace}",
            }


def _traceback(each: Delivery) -> str:
    return (
        "Traceback (most recent call last):\n"
        '  File "/srv/batch.py", line 44, in generate_course\n    db.execute(insert(courses))\n'
        f"psycopg.errors.UndefinedColumn: {ERROR}\nLINE 1: INSERT INTO courses (id, outline)"
    )


def app_log(work: Sequence[Delivery]) -> Iterator[str]:
    """A web app's log as text, with the server's access lines."""
    for each in work:
        yield f"{plain(each.at)} INFO courses: task {each.task}, retry count {each.number - 1}"
        for call in each.calls:
            yield f"{plain(call.at)} INFO httpx: {_SENT}"
        if each.failed:
            yield f"{plain(each.end)} ERROR courses: write failed: {ERROR}"
        status = "500 Internal Server Error" if each.failed else "200 OK"
        yield f'INFO:     169.254.1.1:58446 - "POST /batches HTTP/1.1" {status}'
        if each.failed:
            yield f"ERROR:    Exception in ASGI application\n{_traceback(each)}"


def celery(work: Sequence[Delivery], *, old: bool = False) -> Iterator[str]:
    """A Celery worker's log: version 5, or 4 with its older words."""
    for each in work:
        name = f"shop.generate_course[{each.uuid}]"
        received = f"Received task: {name}  " if old else f"Task {name} received"
        yield f"[{plain(each.at)}: INFO/MainProcess] {received}"
        worker = f"{each.number % 2 + 1}"
        for call in each.calls:
            yield f"[{plain(call.at)}: INFO/ForkPoolWorker-{worker}] {_SENT}"
        said = f"[{plain(each.end)}: INFO/ForkPoolWorker-{worker}] Task {name}"
        wrong = f"UndefinedColumn('{ERROR}')"
        if each.failed:
            yield f"{said} retry: Retry in 180s: {wrong}"
            yield _traceback(each)
        else:
            yield f"{said} succeeded in 3.9s: 'saved'"


def sqs(work: Sequence[Delivery]) -> Iterator[str]:
    """A worker of SQS that logs what it received, and its failures."""
    for each in work:
        received = {
            "MessageId": each.uuid,
            "Attributes": {
                "ApproximateReceiveCount": str(each.number),
                "SentTimestamp": str(int(each.at * 1000)),
            },
        }
        yield f"{plain(each.at)} INFO worker: received {json.dumps(received)}"
        for call in each.calls:
            yield f"{plain(call.at)} INFO httpx: {_SENT}"
        if each.failed:
            yield f"{plain(each.end)} ERROR worker: message stays in the queue\n{_traceback(each)}"
        else:
            yield f"{plain(each.end)} INFO worker: deleted message_id={each.uuid}"


def aws_lambda(work: Sequence[Delivery]) -> Iterator[str]:
    """Lambda's log group: asynchronous retries keep the request's id."""
    for each in work:
        yield f"{rfc3339(each.at)} START RequestId: {each.uuid} Version: $LATEST"
        for call in each.calls:
            yield f"{rfc3339(call.at)} [INFO] {rfc3339(call.at)} {each.uuid} {_SENT}"
        if each.failed:
            yield f"[ERROR] UndefinedColumn: {ERROR}\nTraceback (most recent call last):"
        yield f"{rfc3339(each.end)} END RequestId: {each.uuid}"
