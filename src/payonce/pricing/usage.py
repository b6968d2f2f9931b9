"""Decision, inside `pricing`: a provider's usage as counts of what is billed, each counted once.

Strict on purpose: a number that is not understood could be money, so it makes the whole unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any

from payonce.pricing.dialects import COSTS, OF_ANY, TABLES, TIMES, TOTAL, Table

STANDARD = "standard"
_TIERS = {
    **dict.fromkeys(("", "default", "standard", "auto", "on_demand", "reserved"), STANDARD),
    **dict.fromkeys(("traffic_type_unspecified", "unspecified"), STANDARD),
    **{f"on_demand_{tier}": tier for tier in ("flex", "priority")},
}
_PLACES = ("global", "not_available", "")
_NOT_TOKENS = frozenset(
    {
        *("web_searches", "storage_searches", "code_executions", "rerank_searches"),
        *("classifications", "images", "seconds"),
    }
)
_MODALITIES = ("audio", "image", "document", "video")


class Unpriced(Exception):
    """Why a cost is not known, in a few words that follow "because"."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a call used, each token under one unit alone.

    `input_tokens` is all that was read, cached or not: some prices depend on it. `tier` is how it
    was served.
    """

    units: Mapping[str, int]
    input_tokens: int
    tier: str = STANDARD

    @property
    def is_blurred(self) -> bool:
        """Whether some tokens are cached and some are no text, and nobody tells which are both."""
        told_apart = any(self.units.get(f"cached_{name}") for name in _MODALITIES)
        apart = any(self.units.get(f"input_{name}") for name in _MODALITIES)
        return bool(self.units.get("cached")) and apart and not told_apart


def counts_of(usage: Mapping[str, Any]) -> Counts:
    """Read a provider's usage, whichever of the known dialects it has.

    Raises:
        Unpriced: it has a count that is not known to be priced, or its counts don't add up.
    """
    table = _table(usage)
    units: dict[str, int] = {}
    parts: dict[tuple[str, str], int] = {}
    for path, number in _numbers(usage, ""):
        meaning = _meaning(table, path)
        if meaning is None or not number:
            continue
        unit, of = meaning
        if not isfinite(number) or number < 0:
            raise Unpriced(f"{path} in its usage is {number}")
        count = _whole(path, number)
        if of is None:
            units[unit] = max(units.get(unit, 0), count)
        else:
            parts[unit, of] = max(parts.get((unit, of), 0), count)
    total = units.pop(TOTAL, 0)
    for (unit, of), count in parts.items():
        _part(units, unit, of, count)
    _check(units, total)
    read = sum(n for unit, n in units.items() if unit.startswith(("input", "cache")))
    return Counts({u: n for u, n in units.items() if n}, read, tier_of(usage))


def told_cost(usage: Mapping[str, Any]) -> Decimal | None:
    """What a call cost in USD by its seller's own word; None where it has none.

    OpenRouter leaves out what is billed elsewhere, with the user's own key there.
    """
    cost = usage.get("cost")
    cost = cost.get("total_cost") if isinstance(cost, Mapping) else cost
    if isinstance(cost, bool) or not isinstance(cost, int | float) or usage.get("is_byok"):
        return None
    return Decimal(repr(cost)) if isfinite(cost) and cost >= 0 else None


def tier_of(usage: Mapping[str, Any]) -> str:
    """How a call was served, by the answer's own word: `standard`, `flex`, `priority`, `batch`, …

    Raises:
        Unpriced: it was served in a region at a price of its own.
    """
    if str(usage.get("inference_geo") or "").lower() not in _PLACES:
        raise Unpriced(f"inference_geo {usage['inference_geo']} has a price of its own")
    word = usage.get("service_tier") or usage.get("serviceTier") or usage.get("trafficType")
    if isinstance(word, Mapping):
        word = word.get("type")
    tier = named_tier(word)
    speed = str(usage.get("speed") or "").lower()
    if speed in ("", STANDARD):
        return tier
    if tier != STANDARD:
        raise Unpriced(f"speed {speed} together with service tier {tier} has no known price")
    return f"speed:{speed}"


def named_tier(word: Any) -> str:
    """One word for a service tier, whatever the provider's is."""
    text = str(word or "").lower()
    return _TIERS.get(text, text)


def _table(usage: Mapping[str, Any]) -> Table:
    for sign, table in TABLES:
        if usage.get(sign) is not None:
            return table
    raise Unpriced("its usage has no count that is known")


def _meaning(table: Table, path: str) -> tuple[str, str | None] | None:
    if path in table:
        return table[path]
    if path in OF_ANY:
        return OF_ANY[path]
    if path.endswith(TIMES) or path.partition(".")[0] in COSTS:
        return None
    raise Unpriced(f"nothing is known of {path} in its usage")


def _numbers(value: Mapping[str, Any], before: str) -> Iterator[tuple[str, int | float]]:
    """Each number of a usage that is not 0, with its path."""
    for key, each in value.items():
        path = f"{before}{key}"
        if isinstance(each, Mapping):
            yield from _numbers(each, f"{path}.")
        elif isinstance(each, list):
            yield from _listed(each, path)
        elif isinstance(each, int | float) and not isinstance(each, bool) and each:
            yield path, each


def _listed(values: list[Any], path: str) -> Iterator[tuple[str, int | float]]:
    """The counts of a list whose items say by a word what they count."""
    for each in values:
        if not isinstance(each, Mapping):
            continue
        word = each.get("modality") or each.get("ttl") or "?"
        for _, number in _numbers({k: v for k, v in each.items() if k != "ttl"}, ""):
            yield f"{path}.{word}", number


def _whole(path: str, number: int | float) -> int:
    count = int(number)
    if count != number:
        raise Unpriced(f"{path} in its usage is {number}")
    return count


def _part(units: dict[str, int], unit: str, of: str, count: int) -> None:
    """Move a part of what was counted to its own unit."""
    units[of] = units.get(of, 0) - count
    units[unit] = units.get(unit, 0) + count
    if unit.startswith("cached_"):  # counted as that modality, too
        twin = unit.replace("cached", "input")
        units[twin] = units.get(twin, 0) - count
        units["input"] = units.get("input", 0) + count


def _check(units: dict[str, int], total: int) -> None:
    """Hold the counts against the provider's own sum, if it tells one."""
    missing = total - sum(n for unit, n in units.items() if unit not in _NOT_TOKENS)
    if total and missing > 0:
        if missing != units.get("reasoning"):
            raise Unpriced(f"its usage tells {total} tokens, and what {missing} of them are not")
        units["output"] = units.get("output", 0) + missing  # xAI counts reasoning beside the output
    for unit, count in units.items():
        if count < 0:
            raise Unpriced(f"the counts in its usage don't add up: {count} for {unit}")
