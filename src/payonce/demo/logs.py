"""Front of the demo: the logs that an app on Cloud Run and its providers' consoles leave behind.

They are made of what happened: the queue's log, the answers' statuses and durations, the bill.
The queue's clock is virtual, so its times, and those of the requests, run ahead of the app's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from payonce.demo.stage import Stage
from payonce.testing import BilledCall

_DAY = 86_400
_APP = "courses"


def write_logs(stage: Stage) -> None:
    """Write a stage's request log and its providers' usage exports into its folder."""
    entries = map(json.loads, stage.queue_log.read_text(encoding="utf-8").splitlines())
    statuses = [status for delivered in stage.delivered for status in delivered.statuses]
    lines = (json.dumps(line) + "\n" for line in _requests(entries, statuses, stage.kind))
    (stage.folder / "requests.jsonl").write_text("".join(lines), encoding="utf-8")
    bill = stage.bill
    openai = [call for call in bill if call.provider == "openai"]
    anthropic = [call for call in bill if call.provider == "anthropic"]
    _write(stage.folder / "openai_usage.json", _openai_usage(openai))
    _write(stage.folder / "anthropic_usage.json", _anthropic_usage(anthropic))


def _write(path: Path, page: dict[str, Any]) -> None:
    path.write_text(json.dumps(page, indent=2) + "\n", encoding="utf-8")


def _requests(
    entries: Iterable[dict[str, Any]], statuses: list[int | None], kind: str
) -> Iterator[dict[str, Any]]:
    """Cloud Run's request log: one line per answered delivery, in the order of the queue's log."""
    outcomes = [entry for entry in entries if "attemptResponseLog" in entry["jsonPayload"]]
    for number, (entry, status) in enumerate(zip(outcomes, statuses, strict=True), start=1):
        if status is not None:
            yield _request(entry, status, number, kind)


def _request(entry: dict[str, Any], status: int, number: int, kind: str) -> dict[str, Any]:
    """One line; it is timed by the answer, since the queue's clock stands still while it works."""
    outcome = entry["jsonPayload"]["attemptResponseLog"]
    place = entry["resource"]["labels"]
    method, _, url = outcome["targetAddress"].partition(" ")
    identity = hashlib.sha256(f"{entry['jsonPayload']['task']}:{kind}:{number}".encode())
    project = place["project_id"]
    return {
        "httpRequest": {
            "latency": outcome["attemptDuration"],
            "protocol": "HTTP/1.1",
            "remoteIp": "127.0.0.1",
            "requestMethod": method,
            "requestUrl": url,
            "status": status,
            "userAgent": "Google-Cloud-Tasks",
        },
        "insertId": identity.hexdigest()[:24],
        "logName": f"projects/{project}/logs/run.googleapis.com%2Frequests",
        "receiveTimestamp": entry["timestamp"],
        "resource": {
            "type": "cloud_run_revision",
            "labels": {
                "configuration_name": _APP,
                "location": place["location"],
                "project_id": project,
                "revision_name": f"{_APP}-{kind}",
                "service_name": _APP,
            },
        },
        "severity": "ERROR" if status >= 500 else "WARNING" if status >= 400 else "INFO",
        "spanId": identity.hexdigest()[32:48],
        "timestamp": entry["timestamp"],
        "trace": f"projects/{project}/traces/{identity.hexdigest()[:32]}",
    }


def _by_day(bill: list[BilledCall]) -> Iterator[tuple[int, list[list[BilledCall]]]]:
    """The calls of each day (its start in seconds since the epoch), a list for each model."""
    for day, calls in groupby(bill, key=lambda call: int(call.at // _DAY) * _DAY):
        models = sorted(calls, key=attrgetter("model"))
        yield day, [list(same) for _, same in groupby(models, key=attrgetter("model"))]


def _openai_usage(bill: list[BilledCall]) -> dict[str, Any]:
    """A page of `GET /v1/organization/usage/completions`, by day and model."""
    buckets = [
        {
            "object": "bucket",
            "start_time": day,
            "end_time": day + _DAY,
            "results": [_openai_result(calls) for calls in models],
        }
        for day, models in _by_day(bill)
    ]
    return {"object": "page", "data": buckets, "has_more": False, "next_page": None}


def _openai_result(calls: list[BilledCall]) -> dict[str, Any]:
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": sum(call.input_tokens for call in calls),
        "output_tokens": sum(call.output_tokens for call in calls),
        "input_cached_tokens": 0,
        "input_audio_tokens": 0,
        "output_audio_tokens": 0,
        "num_model_requests": len(calls),
        "project_id": None,
        "user_id": None,
        "api_key_id": None,
        "model": calls[0].model,
        "batch": None,
        "service_tier": None,
    }


def _anthropic_usage(bill: list[BilledCall]) -> dict[str, Any]:
    """A page of `GET /v1/organizations/usage_report/messages`, by day and model."""
    buckets = [
        {
            "starting_at": _rfc3339(day),
            "ending_at": _rfc3339(day + _DAY),
            "results": [_anthropic_result(calls) for calls in models],
        }
        for day, models in _by_day(bill)
    ]
    return {"data": buckets, "has_more": False, "next_page": None}


def _anthropic_result(calls: list[BilledCall]) -> dict[str, Any]:
    return {
        "uncached_input_tokens": sum(call.input_tokens for call in calls),
        "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
        "cache_read_input_tokens": 0,
        "output_tokens": sum(call.output_tokens for call in calls),
        "server_tool_use": {"web_search_requests": 0},
        "api_key_id": None,
        "context_window": None,
        "inference_geo": None,
        "model": calls[0].model,
        "service_tier": None,
        "workspace_id": None,
    }


def _rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
