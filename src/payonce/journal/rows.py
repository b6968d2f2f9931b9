"""Memory: rows of either dialect, read by column name, as nouns.

A sum is more than a whole number of either dialect can hold, at times: what comes as PostgreSQL's
`numeric`, or as a text, is read to the last nano.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Protocol

import msgspec

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
    Sum,
    Told,
)
from payonce.journal.protocol import RunSummary
from payonce.model import (
    Arrival,
    Attempt,
    Call,
    CallState,
    Delivery,
    Diagnosis,
    Kind,
    Payload,
    Run,
    RunState,
    Trouble,
    WakesOn,
    World,
)
from payonce.money import Balance, Budget, Entry, Money

_ENTRY = itemgetter(*Entry.__slots__)


class Row(Protocol):
    """What `sqlite3.Row` and a dict have in common."""

    def __getitem__(self, name: str, /) -> Any:
        """The value of one column."""


def run(row: Row) -> Run:
    """A row of `find_run` or `list_runs`."""
    return Run(
        id=row["id"],
        job=row["job"],
        key=row["key"],
        tenant=row["tenant"],
        state=RunState(row["state"]),
        attempt=row["attempt"],
        tries=row["tries"],
        kills=row["kills"],
        killed_at=row["killed_at"],
        lease_owner=row["lease_owner"],
        lease_until=row["lease_until"],
        retry_at=row["retry_at"],
        arguments=row["arguments"],
        arguments_fingerprint=row["arguments_fingerprint"],
        reason=row["reason"],
        kind=_kind(row["kind"]),
        evidence=row["evidence"],
        fingerprint=row["fingerprint"],
        wakes_on=_wakes_on(row["wakes_on"]),
        world=None if row["world_code"] is None else World(row["world_code"], row["world_schema"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        result=_payload(row["result_codec"], row["result_body"]),
        held=bool(row["held"]),
    )


def trouble(row: Row, *, prefix: str = "", last: str = "last") -> Trouble:
    """A row of `trouble`, or the part of `take_lease` that says the same."""
    kind = _kind(row[f"{prefix}kind"])
    found = None
    if kind is not None:
        found = Diagnosis(
            kind=kind,
            reason=row[f"{prefix}reason"] or "",
            evidence=row[f"{prefix}evidence"] or "",
            fingerprint=row[f"{prefix}fingerprint"] or "",
            wakes_on=_wakes_on(row[f"{prefix}wakes_on"]),
        )
    return Trouble(row["failed"], row["in_flight"], bool(row["proven"]), row[last], found)


def summary(row: Row) -> RunSummary:
    """A row of `list_runs`."""
    costs = [cost.split(" ") for cost in (row["costs"] or "").split(",") if cost]
    return RunSummary(
        run=run(row),
        deliveries=row["deliveries"],
        paid=row["paid"],
        in_doubt=row["in_doubt"],
        rejected=row["rejected"],
        money=tuple(sorted((Money(int(n), currency) for currency, n, _ in costs), key=_currency)),
        unpriced=row["paid"] - sum(int(calls) for *_, calls in costs),
    )


def _currency(money: Money) -> str:
    return money.currency


def call(row: Row) -> Call:
    """A row of `calls_of_run` or `call_by_id`."""
    usage = row["usage"]
    return Call(
        id=row["id"],
        run_id=row["run_id"],
        attempt=row["attempt"],
        step_key=row["step_key"],
        occurrence=row["occurrence"],
        send=row["send"],
        name=row["name"],
        source=row["source"],
        parent_id=row["parent_id"],
        state=CallState(row["state"]),
        rejected=bool(row["rejected"]),
        reason=row["reason"],
        resolution=row["resolution"],
        model=row["model"],
        usage=None if usage is None else msgspec.json.decode(usage),
        cost_nanos=row["cost_nanos"],
        currency=row["currency"],
        idempotency_key=row["idempotency_key"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        answer=_payload(row["answer_codec"], row["answer_body"]),
        drift=row["drift"],
        receipt_id=row["answer_id"],
        ceiling_nanos=row["ceiling_nanos"],
        hold_currency=row["hold_currency"],
    )


def balance(row: Row) -> Balance:
    """A row of `find_balance`, `list_balances` or `hold_intent`."""
    names = ("scope", "name", "per", "period", "currency", "held", "unpriced")
    given = {name: row[name] for name in names}
    given |= {"spent": int(row["spent"]), "doubt": int(row["doubt"])}
    return Balance(limit=row["limit_nanos"], **given)


def entry(row: Row) -> Entry:
    """A row of `entries_of_run`."""
    return Entry(*_ENTRY(row))


def sum_(row: Row, wanted: EntryFilter, currency: str) -> Sum:
    """A row of `sum_in_one_currency`, `sums_by_currency` or `dearest_runs`."""
    names = ("paid", "waste", "doubt", "calls", "unpriced", "wasted")
    given = {name: int(row[name]) for name in names}
    return Sum(wanted.since, wanted.until, currency, **given)


def of_model(row: Row, wanted: EntryFilter) -> OfModel:
    """A row of `sums_by_model`."""
    return OfModel(row["model"], sum_(row, wanted, row["currency"]))


def share(row: Row, wanted: EntryFilter) -> Share:
    """A row of `dearest_runs`."""
    return Share(
        run_id=row["run_id"],
        key=row["key"],
        job=row["job"],
        tenant=row["tenant"],
        state=None if row["state"] is None else RunState(row["state"]),
        runs=row["runs"],
        sum=sum_(row, wanted, row["currency"]),
    )


def outlay(row: Row, wanted: EntryFilter) -> Outlay:
    """A row of `outlays_of_run`."""
    names = ("day", "attempt", "step", "model", "job", "key", "tenant")
    given = {name: row[name] for name in names}
    return Outlay(**given, sum=sum_(row, wanted, row["currency"]))


def doubt(row: Row) -> Doubt:
    """A row of `open_doubts`."""
    return Doubt(entry(row), row["repeat_nanos"], row["reason"], row["resolution"])


def replayed(row: Row) -> Replayed:
    """A row of `replayed`."""
    given = {name: row[name] for name in Replayed.__slots__}
    return Replayed(**given | {"saved": int(row["saved"])})


def again(row: Row) -> Again:
    """A row of `delivered_again`."""
    return Again(**{name: row[name] for name in Again.__slots__})


def spent(row: Row) -> Spent:
    """A row of `spent_lately` or `dearest_lately`."""
    given = {name: row[name] for name in Spent.__slots__}
    return Spent(**given | {"nanos": int(row["nanos"])})


def peak(row: Row) -> Peak:
    """A row of `dearest_hours`."""
    given = {name: row[name] for name in Peak.__slots__}
    return Peak(**given | {"nanos": int(row["nanos"])})


def budget(row: Row) -> Budget:
    """A row of `budgets`."""
    return Budget(**{name: row[name] for name in Budget.__slots__})


def told(found: Sequence[Row]) -> Told:
    """All rows of `budgets`."""
    return Told(
        max((row["version"] for row in found), default=0),
        tuple(budget(row) for row in found if not row["cleared"]),
        tuple(budget(row) for row in found if row["cleared"]),
    )


def attempt(row: Row) -> Attempt:
    """A row of `attempts_of_run`."""
    return Attempt(
        number=row["number"],
        owner=row["owner"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        outcome=row["outcome"],
        kind=_kind(row["kind"]),
        reason=row["reason"],
        error=row["error"],
        fingerprint=row["fingerprint"],
        at_step=row["at_step"],
        world=World(row["world_code"], row["world_schema"]),
    )


def arrival(row: Row) -> Arrival:
    """A row of `deliveries_of_run`."""
    return Arrival(
        at=row["at"],
        delivery=Delivery(
            queue=row["queue"],
            message=row["message"],
            retry_count=row["retry_count"],
            previous_response=row["previous_response"],
            user_agent=row["user_agent"],
        ),
        attempt=row["attempt"],
        answer=row["answer"] or "none",
    )


def _wakes_on(words: str) -> tuple[WakesOn, ...]:
    return tuple(WakesOn(word) for word in words.split(",") if word)


def _kind(word: str | None) -> Kind | None:
    return None if word is None else Kind(word)


def _payload(codec: str | None, body: bytes | None) -> Payload | None:
    return None if codec is None or body is None else Payload(codec, body)
