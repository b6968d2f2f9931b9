"""Exports of gateways, tracers and instrumentors, written as these write them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.audit.work import ERROR, Call, Delivery, rfc3339


def table(rows: Iterable[dict[str, Any]], mark: str = ",") -> str:
    """CSV."""
    found = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]), delimiter=mark)
    writer.writeheader()
    for row in found:
        writer.writerow(
            {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in row.items()}
        )
    return text.getvalue()


def litellm(
    work: Sequence[Delivery], *, as_text: bool = True, task: bool = True, cached: bool = True
) -> Iterator[dict[str, Any]]:
    """Rows of SpendLogs; with the task as metadata, or without; with a cache key, or messages."""
    for each in work:
        for n, call in enumerate(each.calls):
            told = {"task": each.task} if task else None
            metadata = {"spend_logs_metadata": told, "attempted_retries": None}
            yield {
                "request_id": f"chatcmpl-{each.trace}-{n}",
                "call_type": "acompletion",
                "spend": float(call.cost),
                "prompt_tokens": call.tokens_in,
                "completion_tokens": call.tokens_out,
                "startTime": datetime.fromtimestamp(call.at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
                "model": call.model,
                "custom_llm_provider": "openai",
                "metadata": json.dumps(metadata) if as_text else metadata,
                "cache_hit": "None",
                "cache_key": call.hash if cached else "Cache OFF",
                "messages": "{}" if cached else [{"role": "user", "content": call.prompt}],
                "end_user": each.tenant,
                "status": "success",
            }


def metered(work: Sequence[Delivery]) -> Iterator[dict[str, Any]]:
    """The metered provider's bill."""
    for each in work:
        for call in each.calls:
            yield {
                "at": call.at,
                "n": 1,
                "provider": "openai",
                "path": "/v1/responses",
                "model": call.model,
                "prompt_sha": call.hash,
                "input_tokens": call.tokens_in,
                "output_tokens": call.tokens_out,
                "cost_nanos": 125_000,
            }


def langfuse(work: Sequence[Delivery]) -> Iterator[dict[str, Any]]:
    """Traces with their observations, one document each, as the page downloads them."""
    for each in work:
        trace = {
            "id": each.trace,
            "name": "generate_course",
            "timestamp": rfc3339(each.at),
            "userId": each.tenant,
            "sessionId": None,
            "input": {"course": each.task},
            "metadata": {},
        }
        yield {"trace": trace, "observations": list(observations(each))}


def observations(each: Delivery) -> Iterator[dict[str, Any]]:
    """A root span, and a generation for each call."""
    failed = {"level": "ERROR", "statusMessage": f"UndefinedColumn: {ERROR}"}
    yield {
        **{"id": f"{each.trace}-root", "traceId": each.trace, "type": "SPAN", "name": "batch"},
        **{"startTime": rfc3339(each.at), "endTime": rfc3339(each.end), "level": "DEFAULT"},
        **(failed if each.failed else {}),
    }
    for n, call in enumerate(each.calls):
        yield {
            **{"id": f"{each.trace}-{n}", "traceId": each.trace, "type": "GENERATION"},
            **{"startTime": rfc3339(call.at), "level": "DEFAULT", "model": call.model},
            "usageDetails": {"input": call.tokens_in, "output": call.tokens_out, "total": 470},
            "costDetails": {"total": float(call.cost)},
            "totalCost": float(call.cost),
            "input": [{"role": "user", "content": call.prompt}],
        }


def langfuse_blob(work: Sequence[Delivery]) -> Iterator[dict[str, Any]]:
    """The blob export: snake case, other times, traces and observations on lines."""
    for document in langfuse(work):
        trace, rest = document["trace"], document["observations"]
        yield {
            **{"id": trace["id"], "name": trace["name"], "user_id": trace["userId"]},
            **{"timestamp": _blob(trace["timestamp"]), "session_id": None, "input": trace["input"]},
        }
        for each in rest:
            yield {
                **{"id": each["id"], "trace_id": each["traceId"], "type": each["type"]},
                **{"start_time": _blob(each["startTime"]), "level": each["level"]},
                "status_message": each.get("statusMessage"),
                "provided_model_name": each.get("model"),
                "usage_details": each.get("usageDetails"),
                "cost_details": each.get("costDetails"),
                "total_cost": each.get("totalCost"),
                "input": each.get("input"),
            }


def _blob(time: str) -> str:
    return time.replace("T", " ").removesuffix("Z")


def otlp(
    work: Sequence[Delivery], *, old: bool = False, snake: bool = False
) -> Iterator[dict[str, Any]]:
    """The resource spans of each delivery; with older names, or in snake case."""
    for each in work:
        spans = [_server(each), *(_client(each, n, call, old) for n, call in enumerate(each.calls))]
        resource = {"attributes": _attributes({"service.name": "batch", "tenant.id": each.tenant})}
        found = {"resource": resource, "scopeSpans": [{"scope": {"name": "batch"}, "spans": spans}]}
        yield _snake(found) if snake else found


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    def value(each: Any) -> dict[str, Any]:
        if isinstance(each, list):
            return {"arrayValue": {"values": [{"stringValue": item} for item in each]}}
        return {"intValue": str(each)} if isinstance(each, int) else {"stringValue": each}

    return [{"key": key, "value": value(each)} for key, each in values.items()]


def _server(each: Delivery) -> dict[str, Any]:
    header = "http.request.header.x-cloudtasks-"
    attributes: dict[str, Any] = {
        "http.request.method": "POST",
        "url.path": "/tasks/batch",
        "http.response.status_code": 500 if each.failed else 200,
        f"{header}taskname": [each.task],
        f"{header}taskretrycount": [str(each.number - 1)],
    }
    wrong = {"exception.type": "UndefinedColumn", "exception.message": ERROR}
    event = {
        "name": "exception",
        "timeUnixNano": _nanos(each.end),
        "attributes": _attributes(wrong),
    }
    return {
        **{"traceId": each.trace, "spanId": each.trace[:16], "name": "POST /tasks/batch"},
        **{"kind": 2, "startTimeUnixNano": _nanos(each.at), "endTimeUnixNano": _nanos(each.end)},
        "attributes": _attributes(attributes),
        "events": [event] if each.failed else [],
        "status": {"code": 2, "message": ERROR} if each.failed else {},
    }


def _client(each: Delivery, n: int, call: Call, old: bool) -> dict[str, Any]:
    usage = ("prompt_tokens", "completion_tokens") if old else ("input_tokens", "output_tokens")
    return {
        **{"traceId": each.trace, "spanId": f"{n:016x}", "parentSpanId": each.trace[:16]},
        **{"name": f"chat {call.model}", "kind": "SPAN_KIND_CLIENT"},
        "startTimeUnixNano": _nanos(call.at),
        "endTimeUnixNano": _nanos(call.at + 0.9),
        "attributes": _attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.system" if old else "gen_ai.provider.name": "openai",
                "gen_ai.request.model": call.model,
                f"gen_ai.usage.{usage[0]}": call.tokens_in,
                f"gen_ai.usage.{usage[1]}": call.tokens_out,
            }
        ),
        "status": {},
    }


def _nanos(at: float) -> str:
    return str(int(at * 1000)) + "000000"


def _snake(value: Any) -> Any:
    names = {
        **{"scopeSpans": "scope_spans", "traceId": "trace_id", "spanId": "span_id"},
        **{"parentSpanId": "parent_span_id", "stringValue": "string_value"},
        **{"startTimeUnixNano": "start_time_unix_nano", "endTimeUnixNano": "end_time_unix_nano"},
        **{"intValue": "int_value", "arrayValue": "array_value", "timeUnixNano": "time_unix_nano"},
    }
    if isinstance(value, dict):
        return {names.get(key, key): _snake(each) for key, each in value.items()}
    return [_snake(each) for each in value] if isinstance(value, list) else value


def mapped(work: Sequence[Delivery]) -> Iterator[dict[str, Any]]:
    """Records of nobody's format: one for each call, with the delivery's task and number."""
    for each in work:
        for call in each.calls:
            yield {
                "ts": int(call.at * 1000),
                "job": {"id": each.task, "try": each.number},
                "usd": call.cost,
                "llm": call.model,
                "http": 200,
                "text": call.prompt,
                "who": each.tenant,
                "failure": f"UndefinedColumn: {ERROR}" if each.failed else None,
            }
