"""Memory: what the ledger adds up to, read the same way in every dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

import msgspec

from payonce.journal import rows
from payonce.journal.fields import columns
from payonce.journal.ledger import (
    Again,
    Doubt,
    EntryFilter,
    OfModel,
    Outlay,
    Peak,
    Replayed,
    Share,
    Spent,
    Storm,
    Sum,
)
from payonce.journal.side_by_side import together

T = TypeVar("T")


class AddingUp:
    """The reading verbs of a `Ledger`."""

    def __init__(self, read: Callable[..., Sequence[Any]]) -> None:
        self._all = read

    def span(self) -> tuple[float, float] | None:
        [row] = self._all("span_of_entries")
        return None if row["first"] is None else (row["first"], row["last"])

    def sums(self, wanted: EntryFilter, every: float | None = None) -> list[Sum]:
        return self._in_stretches(self._sums, wanted, every)

    def _sums(self, wanted: EntryFilter) -> list[Sum]:
        if wanted.job is None and wanted.tenant is None:
            found = self._sums_of_all(wanted)
            if found is not None:
                return found
        by_currency = self._all("sums_by_currency", **columns(wanted))
        return [rows.sum_(row, wanted, row["currency"]) for row in by_currency]

    def _sums_of_all(self, wanted: EntryFilter) -> list[Sum] | None:
        """The sum in the one currency that there is, or None where there are several."""
        [row] = self._all("sum_in_one_currency", since=wanted.since, until=wanted.until)
        names = ("currency", "other_currency", "third_currency", "fourth_currency")
        currencies = {row[name] for name in names} - {None}
        if len(currencies) > 1:
            return None
        hollow = row["hollow"]
        if row["calls"] == hollow and not row["entries"]:
            return []
        found = [rows.sum_(row, wanted, currency) for currency in currencies]
        return [replace(s, calls=s.calls - hollow, unpriced=s.unpriced - hollow) for s in found]

    def models(self, wanted: EntryFilter, every: float | None = None) -> list[OfModel]:
        return self._in_stretches(self._models, wanted, every)

    def _models(self, wanted: EntryFilter) -> list[OfModel]:
        found = self._all("sums_by_model", **columns(wanted))
        return [rows.of_model(row, wanted) for row in found]

    def _in_stretches(
        self, ask: Callable[[EntryFilter], list[T]], wanted: EntryFilter, every: float | None
    ) -> list[T]:
        if every is None:
            return ask(wanted)
        span = self.span()
        parts = () if span is None else _stretches(wanted, every, span)
        return [one for same in together(partial(ask, part) for part in parts) for one in same]

    def shares(self, wanted: EntryFilter, most: int = 100) -> list[Share]:
        found = self._all("dearest_runs", **columns(wanted), most=most)
        return [rows.share(row, wanted) for row in found]

    def outlays(self, run_id: int, wanted: EntryFilter) -> list[Outlay]:
        found = self._all("outlays_of_run", run_id=run_id, **columns(wanted))
        return [rows.outlay(row, wanted) for row in found]

    def doubts(self, wanted: EntryFilter) -> list[Doubt]:
        return [rows.doubt(row) for row in self._all("open_doubts", **columns(wanted))]

    def replayed(self, wanted: EntryFilter) -> list[Replayed]:
        return [rows.replayed(row) for row in self._all("replayed", **columns(wanted))]

    def again(self, wanted: EntryFilter) -> list[Again]:
        return [rows.again(row) for row in self._all("delivered_again", **columns(wanted))]

    def spent(self, wanted: EntryFilter) -> list[Spent]:
        return [rows.spent(row) for row in self._all("spent_lately", **columns(wanted))]

    def peaks(
        self, since: float, until: float, scope: Literal["job", "tenant", "app"], names: list[str]
    ) -> list[Peak]:
        asked = msgspec.json.encode(names).decode()
        found = self._all("dearest_hours", since=since, until=until, scope=scope, names=asked)
        return [rows.peak(row) for row in found]

    def dearest(self, wanted: EntryFilter, most: int) -> list[Spent]:
        return [
            rows.spent(row) for row in self._all("dearest_lately", **columns(wanted), most=most)
        ]

    def storms(self, since: float, least: int) -> list[Storm]:
        found = self._all("storms", since=since, least=least)
        return [
            Storm(rows.run(row), row["deliveries"], row["first"], row["last_queue"])
            for row in found
        ]

    def runs_of(self, key: str, job: str | None = None) -> list[int]:
        return [row["run_id"] for row in self._all("runs_in_ledger", key=key, job=job)]


def _stretches(
    wanted: EntryFilter, every: float, span: tuple[float, float]
) -> Iterator[EntryFilter]:
    """A period's parts of `every` seconds, as far as there is anything in the ledger."""
    first, last = span
    since = wanted.since + max(0.0, (first - wanted.since) // every) * every
    while since < wanted.until and since <= last:
        yield replace(wanted, since=since, until=min(since + every, wanted.until))
        since += every
