"""Reading, for `audit`: what a task paid, and how much of it for nothing."""

from __future__ import annotations

from typing import NamedTuple

from payonce.audit.findings import Cost, Storm
from payonce.audit.store import Store
from payonce.audit.sums import add_sums
from payonce.audit.wording import counted, legible
from payonce.pricing import Prices

_HOW = {
    "line": "by the log's own lines",
    "trace": "by their trace",
    "task": "by the task that they name",
    "time": "by time alone: no other task was at work then",
}
LISTED = "public price list"
_USD = "USD"


class _Told(NamedTuple):
    """The calls of a task, as one kind of file tells of them."""

    sources: list[int]
    told_by: str
    how: str
    currency: str
    calls: int
    wasted: int
    nanos: int | None
    wasted_nanos: int | None
    unknown: int
    wasted_unknown: int
    deliveries: int
    resends: int
    tenant: str | None
    tokens_in: int | None
    tokens_out: int | None
    listed: bool = False


def add_calls(storm: Storm, store: Store, task: str) -> None:
    """Add the calls by what tells of the most, and their money by what knows most of it."""
    told = [_Told(*row) for row in store.rows("ask", "calls_of", task=task)]
    told.sort(key=lambda each: (each.calls, -each.unknown), reverse=True)
    if not told or not told[0].calls:
        storm.unknown.append("what it paid for: no file has calls that are surely this task's")
        return
    most = told[0]
    storm.calls, storm.wasted = most.calls, most.wasted
    storm.evidence.append(
        f"{counted(most.calls, 'paid call')} in "
        f"{counted(most.deliveries, 'delivery', 'deliveries')}, {_HOW[most.how]}"
    )
    resends = sum(each.resends for each in told)
    if resends:
        storm.evidence.append(f"{counted(resends, 'send')} repeated by an SDK on its own")
    priced = [_by_list(storm, store, task, each) for each in told]
    best = max(priced, key=lambda each: each.calls - each.unknown)
    counting = max(priced, key=lambda each: each.tokens_in or 0)
    storm.tokens = counting.tokens_in, counting.tokens_out
    storm.tenant = storm.tenant or legible(best.tenant)
    storm.sources |= {number for each in (most, best) for number in each.sources}
    basis = LISTED if best.listed else None
    storm.cost = Cost(best.nanos, best.currency, best.unknown + most.calls - best.calls, basis)
    storm.wasted_cost = Cost(
        best.wasted_nanos if best.wasted_nanos is not None or most.wasted else 0,
        best.currency,
        best.wasted_unknown + most.wasted - best.wasted,
        basis,
    )
    add_sums(storm, store, task, most.told_by)


def _by_list(storm: Storm, store: Store, task: str, told: _Told) -> _Told:
    """The same with the public price lists' word on calls that have tokens and no cost."""
    if not told.unknown or told.currency != _USD:
        return told
    prices = Prices()
    priced = [0, 0, 0, 0]
    for provider, model, *tokens, useful, count, began in store.rows(
        "ask", "unpriced_of", task=task, told_by=told.told_by
    ):
        cost = _cost(prices, provider, model, tokens, began / 1e6)
        if cost is not None:
            priced = [
                priced[0] + count * cost,
                priced[1] + (0 if useful else count * cost),
                priced[2] + count,
                priced[3] + (0 if useful else count),
            ]
    if not priced[2]:
        return told
    storm.evidence.append(
        f"the cost of {counted(priced[2], 'call')} is by the public price lists, as if nothing "
        "of it had come from a cache"
    )
    return told._replace(
        nanos=(told.nanos or 0) + priced[0],
        wasted_nanos=(told.wasted_nanos or 0) + priced[1],
        listed=True,
        unknown=told.unknown - priced[2],
        wasted_unknown=told.wasted_unknown - priced[3],
    )


def _cost(
    prices: Prices, provider: str | None, model: str, tokens: list[int], at: float
) -> int | None:
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
    found = prices.cost(provider, model, usage, at=at)
    if found is None and provider is not None:
        found = prices.cost(None, model, usage, at=at)
    return found.nanos if found is not None and found.currency == _USD else None
