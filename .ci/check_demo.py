"""Read what `payonce demo --json` printed and check the story's figures; say each that is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

_FIGURES: Mapping[str, Mapping[str, object]] = {
    "unprotected": {"deliveries": 21, "billed_calls": 63, "failing_writes": 21},
    "protected": {
        "deliveries": 21,
        "deliveries_queue_wanted": 1,
        "billed_calls": 3,
        "failing_writes": 1,
        "state": "parked",
    },
    "after_migration": {"billed_calls": 3, "state": "done", "same_key": True},
}
_WORDS = (("protected", "reason"), ("after_migration", "run_key"))


def wrong(story: Mapping[str, Any]) -> Iterator[str]:
    """What in the story is not as the README tells it, one sentence each."""
    for part, figures in _FIGURES.items():
        for name, expected in figures.items():
            found = story.get(part, {}).get(name)
            if found != expected or type(found) is not type(expected):
                yield f"{part}.{name} is {found!r}, not {expected!r}"
    for part, name in _WORDS:
        found = story.get(part, {}).get(name)
        if not isinstance(found, str) or not found:
            yield f"{part}.{name} is {found!r}, not a text"
    yield from _wrong_costs(story)


def _wrong_costs(story: Mapping[str, Any]) -> Iterator[str]:
    texts = [story.get(part, {}).get("cost_usd") for part in ("unprotected", "protected")]
    try:
        unprotected, protected = map(Decimal, texts)
        sound = 0 < protected < unprotected
    except (TypeError, ValueError, ArithmeticError):
        sound = False
    if not sound:
        yield f"the costs make no sense: {texts[0]!r} without payonce, {texts[1]!r} with it"


def main() -> int:
    """Check the story on standard input; 1 when a figure is wrong."""
    text = sys.stdin.read()
    try:
        story = json.loads(text)
    except ValueError as exc:
        print(f"demo --json printed no JSON: {exc}\n{text}", file=sys.stderr)
        return 1
    print(text.strip())
    faults = list(wrong(story))
    for fault in faults:
        print(f"demo: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
