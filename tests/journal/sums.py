"""Whether the money of a journal adds up: its calls, its entries, its balances, its holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Execute = Callable[[str], list[tuple[Any, ...]]]
_CALLS = """
SELECT c.id, c.state, c.cost_nanos, c.currency, c.ceiling_nanos, c.hold_nanos, c.hold_currency,
    c.started_at, c.rejected, r.job, r.key, r.tenant
FROM payonce_calls AS c JOIN payonce_runs AS r ON r.id = c.run_id"""


@dataclass(frozen=True)
class Sums:
    """What a ledger says in one currency; `doubts` names each call in doubt and its ceiling."""

    spent: int
    held: int
    doubts: dict[int, int | None]


def add_up(execute: Execute, *, currency: str = "USD") -> Sums:
    """The sums of a journal, in which nothing was pruned.

    Raises:
        AssertionError: entries, calls, balances and holds don't say the same.
    """
    names = [part.strip().rpartition(".")[2] for part in _CALLS.split("FROM")[0][8:].split(",")]
    calls = [dict(zip(names, row, strict=True)) for row in execute(_CALLS)]
    _entries_are_those_of_the_calls(execute, calls)
    _balances_are_those_of_the_ledger(execute, calls)
    linked = {call_id for (call_id,) in execute("SELECT call_id FROM payonce_holds")}
    in_flight = {call["id"] for call in calls if call["state"] == "intended"}
    assert linked <= in_flight, f"held for calls that have ended: {linked - in_flight}"
    return Sums(
        spent=sum(c["cost_nanos"] or 0 for c in calls if c["currency"] == currency),
        held=sum(c["hold_nanos"] or 0 for c in calls if c["id"] in in_flight),
        doubts={c["id"]: c["ceiling_nanos"] for c in calls if c["state"] == "in_doubt"},
    )


def _entries_are_those_of_the_calls(execute: Execute, calls: list[dict[str, Any]]) -> None:
    kinds: defaultdict[int, Counter[str]] = defaultdict(Counter)
    nanos: defaultdict[int, Counter[str]] = defaultdict(Counter)
    held: Counter[int] = Counter()
    entries = "SELECT call_id, kind, nanos, held FROM payonce_entries"
    for call_id, kind, amount, change in execute(entries):
        kinds[call_id][kind] += 1
        nanos[call_id][kind] += amount or 0
        held[call_id] += change
    known = {call["id"] for call in calls}
    assert kinds.keys() <= known, f"entries of calls that aren't there: {kinds.keys() - known}"
    for call in calls:
        said, where = kinds[call["id"]], f"{call}: {dict(kinds[call['id']])}"
        is_paid, is_open = call["state"] == "paid", call["state"] == "intended"
        in_doubt = call["state"] == "in_doubt"
        assert said["settle"] == is_paid, where
        assert nanos[call["id"]]["settle"] == (call["cost_nanos"] or 0) * is_paid, where
        assert said["doubt"] % 2 == in_doubt, where
        assert nanos[call["id"]]["doubt"] == (call["ceiling_nanos"] or 0) * in_doubt, where
        assert said["waste"] >= call["rejected"], where
        assert said["waste"] <= is_paid, where
        assert held[call["id"]] == (call["hold_nanos"] or 0) * is_open, where


def _balances_are_those_of_the_ledger(execute: Execute, calls: list[dict[str, Any]]) -> None:
    balances = execute(
        "SELECT id, scope, name, period, currency, spent, held, doubt FROM payonce_balances"
    )
    links = set(execute("SELECT call_id, balance_id FROM payonce_holds"))
    for balance_id, scope, name, period, currency, spent, held, doubt in balances:
        mine = [call for call in calls if _concerns(call, scope, name, period)]
        where = f"{scope} {name} {period} {currency}"
        assert spent == sum(
            c["cost_nanos"] or 0 for c in mine if c["state"] == "paid" and c["currency"] == currency
        ), where
        assert doubt == sum(
            c["ceiling_nanos"] or 0
            for c in mine
            if c["state"] == "in_doubt" and c["hold_currency"] == currency
        ), where
        assert held == sum(c["hold_nanos"] for c in mine if (c["id"], balance_id) in links), where


def _concerns(call: dict[str, Any], scope: str, name: str, period: str) -> bool:
    of = {"app": "*", "job": call["job"], "tenant": call["tenant"]}
    began = datetime.fromtimestamp(int(call["started_at"]), UTC).date().isoformat()
    return of.get(scope, f"{call['job']} {call['key']}") == name and began.startswith(period)
