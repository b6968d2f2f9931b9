"""Reading, for `audit`: what a storm cost by a provider's sums over time, if no call has a cost.

A provider's sums are of all tasks. Where it counts as many calls as the logs have, or more, their
average is the price of each of the storm's; where it counts none, the logs are taken to have all.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from payonce.audit.findings import Cost, Storm
from payonce.audit.store import Store
from payonce.audit.wording import counted, moment, money
from payonce.pricing import Prices

USD = "USD"
AVERAGE = "average of the provider's sums"
_PER_DAY = {
    "openai": "`GET /v1/organization/usage/completions?group_by=model`",
    "anthropic": "`GET /v1/organizations/usage_report/messages?group_by[]=model`",
}


class _Sums(NamedTuple):
    """What one provider counts for a time: calls if it does, nano-dollars as far as priced."""

    calls: int
    tokens: tuple[int, int]
    billed: int | None
    listed: int | None
    starts: int
    ends: int

    @property
    def nanos(self) -> int | None:
        """What it bills, else what the public lists say of its tokens."""
        return self.listed if self.billed is None else self.billed


def add_sums(storm: Storm, store: Store, task: str, told_by: str) -> None:
    """Price a storm's calls by the providers' sums, where no file has what a call of it cost."""
    if not storm.calls or storm.cost is None or storm.cost.nanos is not None:
        return
    sums = _sums(store, storm)
    for provider, each in sums.items():
        storm.evidence.append(f"{provider} counts for that time, of all tasks: {_told(each)}")
    cost = wasted = 0
    unknown, wasted_unknown = (
        storm.cost.unknown,
        storm.wasted_cost.unknown if storm.wasted_cost else 0,
    )
    for provider, calls, vain in store.rows("ask", "providers_of", task=task, told_by=told_by):
        all_calls, said = _all_calls(store, provider, calls, sums.get(provider))
        nanos = sums[provider].nanos if all_calls else None
        if nanos is None or not all_calls:
            storm.unknown += [f"what the calls to {provider} cost: {said}"] if provider else []
            continue
        storm.evidence.append(
            f"its {counted(calls, 'call')} to {provider} are priced at the average of {said}"
        )
        cost, wasted = cost + nanos * calls // all_calls, wasted + nanos * vain // all_calls
        unknown, wasted_unknown = unknown - calls, wasted_unknown - vain
    if unknown < storm.cost.unknown:
        storm.cost = Cost(cost, USD, unknown, AVERAGE)
        storm.wasted_cost = Cost(wasted, USD, wasted_unknown, AVERAGE)


def _sums(store: Store, storm: Storm) -> dict[str, _Sums]:
    rows = defaultdict(list)
    for provider, *row in store.rows("ask", "sums_during", first=storm.first, last=storm.last):
        rows[provider].append(row)
    prices = Prices()
    return {provider: _of(provider, each, prices) for provider, each in rows.items()}


def _of(provider: str, rows: list[list[Any]], prices: Prices) -> _Sums:
    """Rows: model, calls, tokens in, out, cached, written to a cache, nano-units, …, times."""
    billed = [row[6] for row in rows if row[6] is not None and row[7] == USD]
    counted_rows = [row for row in rows if row[6] is None and (row[2] or row[3])]
    listed = [_by_list(provider, row, prices) for row in counted_rows]
    known = [each for each in listed if each is not None]
    return _Sums(
        sum(row[1] or 0 for row in rows),
        (sum(row[2] or 0 for row in rows), sum(row[3] or 0 for row in rows)),
        sum(billed) if billed else None,
        sum(known) if known and len(known) == len(listed) else None,
        min(row[8] for row in rows),
        max(row[9] for row in rows),
    )


def _by_list(provider: str, row: list[Any], prices: Prices) -> int | None:
    model, _, tokens_in, tokens_out, cached, written, *_, starts, _ = row
    usage = {
        "input_tokens": tokens_in or 0,
        "output_tokens": tokens_out or 0,
        "cached_input_tokens": cached or 0,
        "cache_write_tokens": written or 0,
    }
    found = prices.cost(provider, model, usage, at=starts / 1e6) if model else None
    return found.nanos if found is not None and found.currency == USD else None


def _all_calls(
    store: Store, provider: str | None, calls: int, sums: _Sums | None
) -> tuple[int | None, str]:
    """How many calls a provider's sums are of, and of what; None where that can't be, and why."""
    if sums is None:
        what = _PER_DAY.get(provider or "", "its usage export, or a gateway's or tracer's export")
        return None, f"{what} for that time would tell"
    if sums.nanos is None:
        return None, "its sums name no model that has a public price; group them by model"
    by = "its bill" if sums.billed is not None else "its tokens and the public prices"
    if sums.calls:
        if sums.calls < calls:
            return None, f"it counts {sums.calls:,} calls for that time, fewer than the logs have"
        return sums.calls, f"the {sums.calls:,} that it counts, by {by}"
    row = store.rows("ask", "calls_during", provider=provider, first=sums.starts, last=sums.ends)
    found = max(row[0][0] or 0, calls)
    return found, f"the {found:,} in these files, if they are all, by {by}"


def _told(sums: _Sums) -> str:
    parts = [
        counted(sums.calls, "call") if sums.calls else "",
        f"{sums.tokens[0]:,} tokens in and {sums.tokens[1]:,} out" if any(sums.tokens) else "",
        money(sums.billed, USD) if sums.billed is not None else "",
    ]
    days = f"{(moment(sums.starts) or '')[:16]} to {(moment(sums.ends) or '')[:16]}"
    return f"{', '.join(part for part in parts if part)} ({days.replace('T', ' ')} UTC)"
