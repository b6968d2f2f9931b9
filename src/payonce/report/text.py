"""Reading: how single values are written for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from payonce.model import Call, CallState, RunState
from payonce.money import Money

UNKNOWN = "unknown"
NOTHING = "–"

STYLES = {
    RunState.RUNNING: "cyan",
    RunState.WAITING: "blue",
    RunState.PARKED: "yellow",
    RunState.DONE: "green",
}
_CALL_STYLES = {
    CallState.INTENDED: "cyan",
    CallState.PAID: "green",
    CallState.RELEASED: "dim",
    CallState.IN_DOUBT: "red",
}
_READ = ("input_tokens", "prompt_tokens")
_WRITTEN = ("output_tokens", "completion_tokens")
_CACHED = ("cache_read_input_tokens", "cache_creation_input_tokens")


def moment(at: float | None) -> str | None:
    """Seconds since the epoch as local time, ISO 8601 with its offset from UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds")


def clock(at: float | None) -> str:
    """The same for people, without the offset."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at).isoformat(sep=" ", timespec="seconds")


def ago(seconds: float) -> str:
    """How long ago something was, in the largest unit that it fills."""
    for unit, size_ in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size_:
            return f"{seconds // size_:.0f} {unit} ago"
    return f"{seconds:.0f} s ago" if seconds >= 1 else "just now"


def short(text: str | None, most: int = 72) -> str:
    """The first line of a text, cut at so many characters."""
    line = " ".join((text or "").split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def cost(call: Call) -> str | None:
    """What a call cost; None where nothing was billed, "unknown" where its price is not known."""
    if call.state is not CallState.PAID:
        return None
    if call.cost_nanos is None:
        return UNKNOWN
    return str(Money(call.cost_nanos, call.currency))


def costs(money: Sequence[Money], unpriced: int) -> str:
    """Amounts that are known, by currency, and how many calls there are beside them."""
    parts = [str(each) for each in money]
    if unpriced:
        parts.append(f"{unpriced} {UNKNOWN}")
    return " + ".join(parts)


def state_of(call: Call) -> str:
    """A call's state, with what was said of it afterwards."""
    word = call.state.value.replace("_", " ")
    if call.resolution is not None:
        return f"{word} ({call.resolution.replace('_', ' ')})"
    return f"{word}, rejected" if call.rejected else word


def style_of(call: Call) -> str:
    """The colour of a call's state."""
    return "yellow" if call.rejected else _CALL_STYLES[call.state]


def arguments(kept: bytes) -> dict[str, Any]:
    """A run's arguments by name, out of what the journal keeps of them."""
    return {name: value for name, (_, value) in json.loads(kept).items()}


def tokens(usage: Mapping[str, Any] | None) -> str:
    """A provider's usage, whichever of the usual names it has for it."""
    if usage is None:
        return ""
    read, written = _count(usage, _READ), _count(usage, _WRITTEN)
    cached = sum(_count(usage, (name,)) or 0 for name in _CACHED)
    parts = [
        f"{read} in" if read is not None else "",
        f"{cached} cached" if cached else "",
        f"{written} out" if written is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _count(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((usage[name] for name in names if isinstance(usage.get(name), int)), None)


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun: "1 run", "2 runs"; `many` where an s is not enough."""
    return f"{count} {one}" if count == 1 else f"{count} {many or one + 's'}"


def size(count: int) -> str:
    """Bytes in the unit that reads best, by powers of 1024."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
