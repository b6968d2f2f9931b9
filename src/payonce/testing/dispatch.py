"""Testing: one HTTP request of the queue, with Cloud Tasks' headers."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from payonce.testing.task import Reply, Task


def headers_for(
    task: Task, queue: str, *, attempts: int, executions: int, eta: float, previous: int | None
) -> dict[str, str]:
    """The headers of a delivery after `attempts` others.

    `executions` are the answers received so far that were no 5xx. The previous response is 0
    where none came; reasons for a retry are documented nowhere and seen empty.
    """
    headers = {
        "Content-Type": "application/json",
        **task.headers,
        "User-Agent": "Google-Cloud-Tasks",
        "X-CloudTasks-QueueName": queue,
        "X-CloudTasks-TaskName": task.name,
        "X-CloudTasks-TaskRetryCount": str(attempts),
        "X-CloudTasks-TaskExecutionCount": str(executions),
        "X-CloudTasks-TaskETA": f"{eta:.6f}",
    }
    if attempts:
        headers["X-CloudTasks-TaskPreviousResponse"] = str(previous or 0)
        headers["X-CloudTasks-TaskRetryReason"] = ""
    return headers


def send(task: Task, headers: Mapping[str, str], deadline: float) -> Reply:
    """Post the task; `deadline` in seconds without a byte of an answer."""
    parts = urlsplit(task.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(parts.netloc, timeout=deadline)
    started = time.monotonic()
    try:
        connection.request("POST", path, task.body, dict(headers))
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        said = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, body, said, time.monotonic() - started)
    except (OSError, http.client.HTTPException) as exc:
        late = isinstance(exc, TimeoutError)
        error = "DEADLINE_EXCEEDED" if late else f"{type(exc).__name__}: {exc}"
        return Reply(None, "", {}, time.monotonic() - started, error)
    finally:
        connection.close()


def retry_after(reply: Reply) -> float:
    """The seconds of a `Retry-After` header, which may be a date; 0 without one."""
    said = reply.headers.get("retry-after", "0")
    try:
        return float(said)
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return 0.0
