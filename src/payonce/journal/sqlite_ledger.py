"""Memory: budgets and the ledger of the embedded journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from msgspec import structs

from payonce import budget
from payonce.journal import fields, rows
from payonce.journal.adding_up import AddingUp
from payonce.journal.fields import LOST, columns
from payonce.journal.ledger import Told
from payonce.journal.queries import queries
from payonce.journal.writer import Write, Writer
from payonce.model import Intent
from payonce.money import Allowance, Balance, Budget, Entry, Short

_Q = queries("sqlite")


class SqliteLedger(AddingUp):
    """What a journal's file knows of money; see `Ledger` for its verbs."""

    def __init__(
        self,
        writer: Writer[sqlite3.Connection],
        read: Callable[..., list[sqlite3.Row]],
        now: Callable[[], float],
    ) -> None:
        super().__init__(read)
        self._writer, self._now = writer, now

    def budgets(self) -> Told:
        return rows.told(self._all("budgets"))

    def set_budget(self, budget: Budget, *, cleared: bool = False) -> Write[None]:
        def write(db: sqlite3.Connection) -> None:
            given = columns(budget) | {"cleared": int(cleared), "now": self._now()}
            db.execute(_Q["set_budget"], given)
            db.execute(_Q["let_budgeted_go"], given)

        return self._writer.write(write, durable=True)

    def balances(self) -> list[Balance]:
        periods = fields.periods(self._now())
        return [rows.balance(row) for row in self._all("list_balances", **periods)]

    def used(self, budget: Budget) -> Balance:
        (row,) = self._all("use_of_budget", **fields.use(budget, self._now()))
        return rows.balance(row)

    def let_go(self, call_id: int) -> Write[None]:
        def write(db: sqlite3.Connection) -> None:
            db.execute(_Q["let_go"], {"call_id": call_id, "now": self._now()})

        return self._writer.write(write)

    def expire(self) -> Write[None]:
        def write(db: sqlite3.Connection) -> None:
            db.execute(_Q["expire_holds"], {"reason": LOST, "now": self._now()})

        return self._writer.write(write)

    def entries(self, run_id: int) -> list[Entry]:
        return [rows.entry(row) for row in self._all("entries_of_run", run_id=run_id)]


def add_intent(db: sqlite3.Connection, intent: Intent, now: float) -> int | Short | None:
    """Write an intent down, with what it is held for, where its budgets allow it."""
    if not intent.allowances:
        call_id = _added(db, intent, None, now)
        return call_id if call_id is not None or _is_told(db, intent) else Short()
    if not _is_told(db, intent):
        return Short()
    if not all(allowance.holds_at(now) for allowance in intent.allowances):
        return Short()
    found = [_balance(db, intent, allowance) for allowance in intent.allowances]
    lately = None
    if intent.ceiling_nanos is None:
        lately = db.execute(_Q["cost_lately"], columns(intent)).fetchone()["nanos"]
    held = budget.reserve([balance for _, balance in found], intent.ceiling_nanos, lately)
    if isinstance(held, Short):
        return held
    ceiling = budget.known_ceiling(intent.ceiling_nanos, lately)
    call_id = _added(db, structs.replace(intent, ceiling_nanos=ceiling), held, now)
    if call_id is not None:
        for balance_id, balance in found:
            given = {"balance_id": balance_id, "hold_nanos": held, "nanos": balance.limit}
            db.execute(_Q["reserve"], given)
            db.execute(_Q["add_hold"], {"call_id": call_id, "balance_id": balance_id})
    return call_id


def _is_told(db: sqlite3.Connection, intent: Intent) -> bool:
    version: int = db.execute(_Q["budgets_version"]).fetchone()["version"]
    return version == intent.told


def _added(db: sqlite3.Connection, intent: Intent, held: int | None, now: float) -> int | None:
    given = columns(intent) | {"hold_nanos": held, "now": now}
    cursor = db.execute(_Q["add_intent"], given)
    return cursor.lastrowid if cursor.rowcount else None


def _balance(db: sqlite3.Connection, intent: Intent, allowance: Allowance) -> tuple[int, Balance]:
    given: dict[str, Any] = columns(allowance)
    given |= {"currency": intent.hold_currency, "run_id": intent.run_id}
    row = db.execute(_Q["find_balance"], given).fetchone()
    if row is None:
        db.execute(_Q["add_balance"], given)
        row = db.execute(_Q["find_balance"], given).fetchone()
    return row["id"], replace(rows.balance(row), limit=allowance.nanos)
