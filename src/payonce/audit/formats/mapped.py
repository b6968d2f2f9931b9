"""Reading, for `audit`: records whose fields are named by the user, or known from public traces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from payonce.audit.sample import Format
from payonce.errors import ConfigError

FIELDS = (
    "time", "task", "cost", "model", "tokens_in", "tokens_out", "status", "error", "prompt",
    "tenant", "attempt", "trace", "currency", "prompt_hash",
)  # fmt: skip
"""What can be mapped, in the order of the list in `sql/mapped.sql`."""

AZURE = {"time": "TIMESTAMP", "tokens_in": "ContextTokens", "tokens_out": "GeneratedTokens"}
"""The columns of the Azure LLM inference traces."""

FORMAT = Format(
    "mapped records",
    "mapped",
    "what no mapped field says",
    lambda sample: bool(sample.records),
)
AZURE_FORMAT = Format(
    "Azure LLM inference trace",
    "mapped",
    "which job, task, tenant or prompt a call belongs to, what it cost and what failed",
    lambda sample: sample.any_has(*AZURE.values()),
)


def mapping_of(texts: tuple[str, ...]) -> dict[str, str]:
    """Read `--map task=job.id,time=ts`.

    Raises:
        ConfigError: a field is not one that can be mapped, or the time is missing.
    """
    pairs = [pair.partition("=") for text in texts for pair in text.split(",") if pair.strip()]
    found = {field.strip(): path.strip() for field, _, path in pairs}
    wrong = [field for field, path in found.items() if field not in FIELDS or not path]
    if wrong or (found and "time" not in found):
        raise ConfigError(
            f"--map can't be read: {wrong[0]!r} is no field" if wrong else "--map has no time",
            f"Write FIELD=NAME, with commas between; the fields are {', '.join(FIELDS)}, "
            "and time is needed.",
        )
    return found


_USUAL = {
    "time": "ts timestamp time datetime date created_at created at start_time starttime started_at",
    "task": "task task_id task_name job job_id job_name run_id run work_id message_id",
    "cost": "cost cost_usd usd total_cost price spend amount",
    "currency": "currency",
    "model": "model model_name model_id llm",
    "tokens_in": "input_tokens prompt_tokens tokens_in tokens_input",
    "tokens_out": "output_tokens completion_tokens tokens_out tokens_output",
    "status": "status_code status http_status http",
    "error": "error error_message exception failure",
    "prompt": "prompt messages input request_body text",
    "prompt_hash": "prompt_hash prompt_sha cache_key",
    "tenant": "tenant tenant_id customer customer_id end_user user_id user org org_id",
    "attempt": "attempt attempts try retry_count delivery",
    "trace": "trace_id traceid trace request_id",
}
_DEEPEST = 3


def proposed(record: Mapping[str, Any]) -> str | None:
    """What might be given with `--map` for such a record; None if it seems to have no time."""
    names = dict(_names(record, "", 0))
    found = {
        field: names[usual]
        for field, words in _USUAL.items()
        if (usual := next((word for word in words.split() if word in names), None)) is not None
    }
    if "time" not in found:
        return None
    return ",".join(f"{field}={name}" for field, name in found.items())


def _names(record: Mapping[str, Any], before: str, depth: int) -> Iterator[tuple[str, str]]:
    """Names by how they are usually written; an outer one comes later, and so is taken."""
    for name, value in record.items():
        if isinstance(value, dict) and depth < _DEEPEST:
            yield from _names(value, f"{before}{name}.", depth + 1)
    for name, value in record.items():
        if value is not None and not isinstance(value, dict) and re.fullmatch(r"[\w@-]+", name):
            plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_").lstrip("@")
            yield plain, f"{before}{name}"
            if before:
                yield f"{before.rstrip('.').rpartition('.')[2].lower()}_{plain}", f"{before}{name}"


def paths(mapping: Mapping[str, str]) -> list[str]:
    """JSON paths of all fields, in their order; a dot in a name goes one level down."""
    return [_path(mapping[field]) if field in mapping else '$."-"' for field in FIELDS]


def _path(name: str) -> str:
    if name.startswith("$"):
        return name
    return "$" + "".join(f'."{part}"' for part in name.replace('"', "").split("."))
