"""Reading, for `audit`: records whose fields are named by the user, or known from public traces."""

from __future__ import annotations

from collections.abc import Mapping

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


def paths(mapping: Mapping[str, str]) -> list[str]:
    """JSON paths of all fields, in their order; a dot in a name goes one level down."""
    return [_path(mapping[field]) if field in mapping else '$."-"' for field in FIELDS]


def _path(name: str) -> str:
    if name.startswith("$"):
        return name
    return "$" + "".join(f'."{part}"' for part in name.replace('"', "").split("."))
