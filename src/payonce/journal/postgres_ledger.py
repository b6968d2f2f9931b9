"""Memory: budgets and the ledger of the shared journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from payonce.journal import fields, rows
from payonce.journal.fields import LOST, columns
from payonce.journal.ledger import Told
from payonce.journal.postgres_batch import Row, Rows
from payonce.journal.writer import Write
from payonce.model import Intent
from payonce.money import Balance, Budget, Entry, Short

T = TypeVar("T")
Statements = list[tuple[str, dict[str, Any]]]


class Writes(Protocol):
    """How a journal does a write: named statements, and how to read their rows."""

    def __call__(
        self, statements: Statements, read: Callable[[Rows], T], *, durable: bool = False
    ) -> Write[T]:
        """The write, yet to be done."""


class PostgresLedger:
    """What a journal's database knows of money; see `Ledger` for its verbs."""

    def __init__(
        self, write: Writes, read: Callable[..., list[Row]], now: Callable[[], float]
    ) -> None:
        self._write, self._all, self._now = write, read, now

    def budgets(self) -> Told:
        found = self._all("budgets")
        version = max((row["version"] for row in found), default=0)
        return Told(version, tuple(rows.budget(row) for row in found))

    def set_budget(self, budget: Budget) -> Write[None]:
        statements: Statements = [("lock_budgets", {}), ("set_budget", columns(budget))]
        return self._write([*statements, ("let_budgeted_go", {})], _nothing, durable=True)

    def balances(self) -> list[Balance]:
        periods = fields.periods(self._now())
        return [rows.balance(row) for row in self._all("list_balances", **periods)]

    def expire(self) -> Write[None]:
        return self._write([("expire_holds", {"reason": LOST})], _nothing)

    def entries(self, run_id: int) -> list[Entry]:
        return [rows.entry(row) for row in self._all("entries_of_run", run_id=run_id)]


def intent(asked: Intent) -> Statements:
    """The statements that write an intent down, with what it is held for."""
    given = columns(asked)
    if not asked.claims:
        return [("add_intent", given)]
    given |= {
        "scopes": [claim.scope for claim in asked.claims],
        "names": [claim.name for claim in asked.claims],
        "pers": [claim.per for claim in asked.claims],
        "periods": [claim.period for claim in asked.claims],
        "sinces": [claim.since for claim in asked.claims],
        "limits": [claim.nanos for claim in asked.claims],
    }
    return [("add_balance", given), ("hold_intent", given)]


def read_intent(asked: Intent, found: Rows) -> int | Short | None:
    """The new call's id; what there is too little of; or None: the lease is lost."""
    [row] = found[-1]
    if row["call_id"] is not None:
        return int(row["call_id"])
    if row["version"] != asked.told:
        return Short()
    if asked.claims and row["rest"] < row["wanted"]:
        return Short(replace(rows.balance(row), limit=row["nanos"]), row["wanted"])
    return None


def _nothing(found: Rows) -> None:
    return None
