"""Memory: budgets and the ledger of the shared journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from payonce.journal import fields, rows
from payonce.journal.adding_up import AddingUp
from payonce.journal.fields import LOST, columns
from payonce.journal.ledger import Told
from payonce.journal.postgres_batch import NOTHING, Row, Rows, Statement, Touches
from payonce.journal.writer import Write
from payonce.model import Intent
from payonce.money import Allowance, Balance, Budget, Entry, Short

T = TypeVar("T")
_MOST_KNOWN = 10_000
Statements = list[tuple[str, dict[str, Any]]]


class Writes(Protocol):
    """How a journal does a write: named statements, and how to read their rows."""

    def __call__(
        self,
        statements: Statements,
        read: Callable[[Rows], T],
        *,
        durable: bool = False,
        of: tuple[int, int] | None = None,
        touches: Touches = NOTHING,
    ) -> Write[T]:
        """The write, yet to be done."""


class PostgresLedger(AddingUp):
    """What a journal's database knows of money; see `Ledger` for its verbs."""

    def __init__(
        self, write: Writes, read: Callable[..., list[Row]], now: Callable[[], float]
    ) -> None:
        super().__init__(read)
        self._write, self._now = write, now
        self._there: set[tuple[str, ...]] = set()
        self._holds = False

    def budgets(self) -> Told:
        return rows.told(self._all("budgets"))

    def set_budget(self, budget: Budget, *, cleared: bool = False) -> Write[None]:
        given = columns(budget) | {"cleared": int(cleared)}
        statements: Statements = [("lock_budgets", {}), ("set_budget", given)]
        return self._write([*statements, ("let_budgeted_go", given)], _nothing, durable=True)

    def balances(self) -> list[Balance]:
        periods = fields.periods(self._now())
        return [rows.balance(row) for row in self._all("list_balances", **periods)]

    def used(self, budget: Budget) -> Balance:
        (row,) = self._all("use_of_budget", **fields.use(budget, self._now()))
        return rows.balance(row)

    def let_go(self, call_id: int) -> Write[None]:
        statements: Statements = [("let_go", {"call_id": call_id})]
        return self._write(statements, _nothing, touches=self.touches(call_id=call_id))

    def expire(self) -> Write[None]:
        statements = [("lock_dead_holds", {}), ("expire_holds", {"reason": LOST})]
        return self._write(statements, _nothing)

    def entries(self, run_id: int) -> list[Entry]:
        return [rows.entry(row) for row in self._all("entries_of_run", run_id=run_id)]

    def intend(self, asked: Intent) -> Write[int | Short | None]:
        """Write an intent down, with what it is held for, where its budgets allow it.

        A hold waits for the disk, as a bare intent does not: a server that crashes while calls are
        in flight must not forget what they may cost.
        """
        of = (asked.run_id, asked.attempt)
        if not asked.allowances:
            return self._write([("add_intent", columns(asked))], partial(_added, asked), of=of)
        self._holds = True
        new = [each for each in asked.allowances if _name(asked, each) not in self._there]
        given = columns(asked) | _told(asked.allowances)
        making = [("add_balance", given | _told(new))] if new else []

        def read(found: Rows) -> int | Short | None:
            [row] = found[-1]
            if row["call_id"] is None and not row["are_all"]:
                self._there.clear()
                return Short()
            self._know(asked)
            return _held(asked, row)

        touches = Touches(
            allowances=asked.allowances,
            currency=asked.hold_currency,
            makes=any(each.scope != "run" for each in new),
        )
        return self._write(
            [*making, ("hold_intent", given)], read, durable=True, of=of, touches=touches
        )

    def touches(self, *, call_id: int | None = None, run_id: int | None = None) -> Touches:
        """What the end of a call, or of all calls of a run, moves; nothing where none was held."""
        return Touches(call_id=call_id, run_id=run_id) if self._holds else NOTHING

    def _know(self, asked: Intent) -> None:
        """Balances that are there need not be made; those of runs are too many to remember."""
        if len(self._there) > _MOST_KNOWN:
            self._there.clear()
        self._there.update(_name(asked, c) for c in asked.allowances if c.scope != "run")


def locks(queries: Mapping[str, str], touched: Sequence[Touches]) -> Iterable[Statement]:
    """What a commit locks before its first write; a write that is alone keeps the order itself."""
    makes = any(touches.makes for touches in touched)
    yield queries["lock_making" if makes else "lock_counting"], {}
    if len(touched) == 1 or all(touches == NOTHING for touches in touched):
        return
    named = [(each, touches.currency) for touches in touched for each in touches.allowances]
    given = _told([each for each, _ in named])
    yield (
        queries["lock_balances"],
        given
        | {
            "currencies": [currency for _, currency in named],
            "calls": [t.call_id for t in touched if t.call_id is not None],
            "runs": [t.run_id for t in touched if t.run_id is not None],
        },
    )


def _told(allowances: Sequence[Allowance]) -> dict[str, Any]:
    return {
        "scopes": [allowance.scope for allowance in allowances],
        "names": [allowance.name for allowance in allowances],
        "pers": [allowance.per for allowance in allowances],
        "periods": [allowance.period for allowance in allowances],
        "sinces": [allowance.since for allowance in allowances],
        "limits": [allowance.nanos for allowance in allowances],
        "since": max((allowance.since for allowance in allowances), default=0.0),
        "until": min((c.until for c in allowances if c.until is not None), default=None),
    }


def _name(asked: Intent, allowance: Allowance) -> tuple[str, ...]:
    return allowance.scope, allowance.name, allowance.per, allowance.period, asked.hold_currency


def _added(asked: Intent, found: Rows) -> int | Short | None:
    """The new call's id; what has been set since; or None: the lease is lost."""
    [row] = found[-1]
    if row["call_id"] is not None:
        return int(row["call_id"])
    return None if row["version"] == asked.told else Short()


def _held(asked: Intent, row: Row) -> int | Short | None:
    """The same, or what there is too little of."""
    if row["call_id"] is not None:
        return int(row["call_id"])
    if row["version"] != asked.told:
        return Short()
    if row["rest"] < row["wanted"]:
        return Short(replace(rows.balance(row), limit=row["nanos"]), row["wanted"])
    return None


def _nothing(found: Rows) -> None:
    return None
