"""Reading, for `audit`: periods that hold far more than their share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from payonce.audit.findings import Concentration

_LEAST = 7
_SHARE = 0.25
_TIMES = 5.0
_MEASURES = (("cost", 4), ("input tokens", 2), ("output tokens", 3), ("calls", 1))


def concentrations(
    rows: Sequence[tuple[Any, ...]], names: dict[int, str]
) -> Iterator[Concentration]:
    """Days or hours with a quarter of all, and five times the median; the weightiest measure alone.

    Args:
        rows: source, provider, period, calls, tokens in, tokens out, nano-units, currency.
        names: what the files of each source are.
    """
    by_what: dict[tuple[str, str | None], dict[str, list[int | None]]] = defaultdict(dict)
    for source, _, period, calls, tokens_in, tokens_out, nanos, currency in rows:
        sums = by_what[names[source], currency].setdefault(period, [None] * 5)
        for place, value in enumerate((calls, tokens_in, tokens_out, nanos), start=1):
            if value is not None:
                sums[place] = (sums[place] or 0) + value
    for (what, currency), periods in sorted(by_what.items(), key=lambda item: str(item[0])):
        yield from _of(what, currency, periods)


def _of(
    what: str, currency: str | None, periods: dict[str, list[int | None]]
) -> Iterator[Concentration]:
    if len(periods) < _LEAST:
        return
    unit = "hour" if len({period[:10] for period in periods}) < len(periods) else "day"
    for measure, place in _MEASURES:
        amounts = {period: sums[place] or 0 for period, sums in periods.items()}
        total, middle = sum(amounts.values()), median(amounts.values())
        if total <= 0:
            continue
        high = [
            Concentration(
                *(what, period[:10] if unit == "day" else period[:16], unit, measure),
                *(amount / total, amount / middle if middle else None, len(periods), amount),
                currency if measure == "cost" else None,
            )
            for period, amount in amounts.items()
            if amount >= _SHARE * total and amount > _TIMES * middle
        ]
        yield from sorted(high, key=lambda each: -each.share)
        return
