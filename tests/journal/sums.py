"""Whether the money of a journal adds up: its calls, its entries, its balances, its holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Execute = Callable[[str], list[tuple[Any, ...]]]
Row = dict[str, Any]
_CALLS = """
SELECT c.id, c.state, c.cost_nanos, c.currency, c.ceiling_nanos, c.hold_nanos, c.rejected
FROM payonce_calls AS c JOIN payonce_runs AS r ON r.id = c.run_id"""
_ENTRIES = """
SELECT call_id, kind, nanos, held, job, key, tenant, currency, began FROM payonce_entries"""
_BALANCES = """
SELECT id, scope, name, period, currency, spent, held, doubt FROM payonce_balances"""


@dataclass(frozen=True)
class Sums:
    """What a ledger says in one currency; `doubts` names each call in doubt and its ceiling."""

    spent: int
    held: int
    doubts: dict[int, int | None]


def add_up(
    execute: Execute, *, job: str | None = None, pruned: bool = False, currency: str = "USD"
) -> Sums:
    """The sums of a journal, or of one job in it, of which some runs may have been `pruned`.

    Raises:
        AssertionError: entries, calls, balances and holds don't say the same.
    """
    calls = _read(execute, _CALLS, "" if job is None else f" WHERE r.job = '{job}'")
    entries = _read(execute, _ENTRIES, "" if job is None else f" WHERE job = '{job}'")
    _entries_are_those_of_the_calls(entries, calls, pruned=pruned)
    _balances_are_those_of_the_ledger(execute, entries, calls, job)
    in_flight = {call["id"] for call in calls if call["state"] == "intended"}
    if job is None:
        linked = {call_id for (call_id,) in execute("SELECT call_id FROM payonce_holds")}
        assert linked <= in_flight, f"held for calls that have ended: {linked - in_flight}"
    return Sums(
        spent=sum(c["cost_nanos"] or 0 for c in calls if c["currency"] == currency),
        held=sum(c["hold_nanos"] or 0 for c in calls if c["id"] in in_flight),
        doubts={c["id"]: c["ceiling_nanos"] for c in calls if c["state"] == "in_doubt"},
    )


def _read(execute: Execute, query: str, where: str) -> list[Row]:
    names = [part.strip().rpartition(".")[2] for part in query.split("FROM")[0][8:].split(",")]
    return [dict(zip(names, row, strict=True)) for row in execute(query + where)]


def _entries_are_those_of_the_calls(entries: list[Row], calls: list[Row], *, pruned: bool) -> None:
    kinds: defaultdict[int, Counter[str]] = defaultdict(Counter)
    nanos: defaultdict[int, Counter[str]] = defaultdict(Counter)
    held: Counter[int] = Counter()
    for entry in entries:
        kinds[entry["call_id"]][entry["kind"]] += 1
        nanos[entry["call_id"]][entry["kind"]] += entry["nanos"] or 0
        held[entry["call_id"]] += entry["held"]
    gone = kinds.keys() - {call["id"] for call in calls}
    assert pruned or not gone, f"entries of calls that aren't there: {gone}"
    assert not any(held[call_id] for call_id in gone), "held for calls that aren't there"
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


def _balances_are_those_of_the_ledger(
    execute: Execute, entries: list[Row], calls: list[Row], job: str | None
) -> None:
    links = set(execute("SELECT call_id, balance_id FROM payonce_holds"))
    for balance in _read(execute, _BALANCES, ""):
        is_mine = balance["scope"] == "job" and balance["name"] == job
        is_mine |= balance["scope"] == "run" and balance["name"].startswith(f"{job} ")
        if job is not None and not is_mine:
            continue
        mine = [e for e in entries if _concerns(e, balance)]
        for name, kind in (("spent", "settle"), ("doubt", "doubt")):
            told = sum(entry["nanos"] or 0 for entry in mine if entry["kind"] == kind)
            assert balance[name] == told, f"{name}: {balance}, and {told} in the ledger"
        held = sum(c["hold_nanos"] for c in calls if (c["id"], balance["id"]) in links)
        assert balance["held"] == held, f"{balance}, and {held} for calls in flight"


def _concerns(entry: Row, balance: Row) -> bool:
    of = {"app": "*", "job": entry["job"], "tenant": entry["tenant"]}
    whose = of.get(balance["scope"], f"{entry['job']} {entry['key']}")
    began = datetime.fromtimestamp(int(entry["began"]), UTC).date().isoformat()
    is_then = began.startswith(balance["period"])
    return whose == balance["name"] and is_then and entry["currency"] == balance["currency"]
