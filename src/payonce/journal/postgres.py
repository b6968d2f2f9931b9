"""Memory: the shared journal, in a PostgreSQL database that all machines can reach."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import psycopg

from payonce.journal import fields, rows, spill
from payonce.journal.begun import Begun
from payonce.journal.fields import LOST, OUTLIVED, columns, writable
from payonce.journal.forking import survives_fork
from payonce.journal.ledger import Ledger
from payonce.journal.payload import shrink, shrunk
from payonce.journal.postgres_batch import NOTHING, Batch, Row, Rows, Touches
from payonce.journal.postgres_database import PostgresDatabase
from payonce.journal.postgres_ledger import PostgresLedger
from payonce.journal.postgres_url import PostgresUrl
from payonce.journal.protocol import (
    About,
    Closing,
    Execute,
    History,
    Opening,
    Pruned,
    Resolution,
    Right,
    RunFilter,
    RunSummary,
)
from payonce.journal.writer import Pending, Write, Writer
from payonce.model import (
    Call,
    CallState,
    Delivery,
    Intent,
    Receipt,
    Run,
    Trouble,
)
from payonce.money import Short

T = TypeVar("T")
_log = logging.getLogger("payonce")
_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', %(most)s, true)"


class PostgresJournal:
    """The journal in the database behind a URL; see `Journal` for its verbs.

    `patience` is how long a read or a write waits for the database, in seconds; `clock` replaces
    the database's own in tests.
    """

    def __init__(
        self,
        url: PostgresUrl,
        *,
        clock: Callable[[], float] | None = None,
        patience: float = 30.0,
        create: bool = True,
    ) -> None:
        self.url = url
        self._clock, self._patience = clock, patience
        self._database = PostgresDatabase(url, clock, patience, create=create)
        self._writer = Writer(self._database)
        self._spill = spill.SpillFolder(*url.spill)
        self._begun = Begun()
        self._money = PostgresLedger(self._write, self._all, self.now)
        self.ledger: Ledger = self._money
        survives_fork(self)

    def before_fork(self) -> None:
        self._writer.pause()

    def after_fork_in_parent(self) -> None:
        self._writer.resume()

    def after_fork_in_child(self) -> None:
        self._database.start_anew()
        self._writer.start_anew()

    def now(self) -> float:
        return self._database.now()

    # --- reading -------------------------------------------------------------------------

    def about(self) -> About:
        [version] = self._all("schema_version")
        [size] = self._all("size", schema=self._database.tables.schema)
        return About(
            place=self.url.place,
            schema=version["number"],
            bytes=size["bytes"],
            spilled=len(self._spill.files()),
            states={row["state"]: row["runs"] for row in self._all("count_states")},
            rights=tuple(Right(**row) for row in self._all("list_claims")),
        )

    def find(self, job: str, key: str) -> Run | None:
        found = self._all("find_run", job=job, key=key)
        return rows.run(found[0]) if found else None

    def calls(self, run_id: int | None = None, *, call_id: int | None = None) -> list[Call]:
        if call_id is not None:
            return [rows.call(row) for row in self._all("call_by_id", call_id=call_id)]
        return [rows.call(row) for row in self._all("calls_of_run", run_id=run_id)]

    def runs(self, wanted: RunFilter) -> list[RunSummary]:
        if wanted.wakeable_in is not None:
            given = fields.wakeable(wanted, wanted.wakeable_in) | {"now": self._fixed_now()}
            return [rows.summary(row) for row in self._all("wakeable_runs", **given)]
        return [rows.summary(row) for row in self._all("list_runs", **fields.listed(wanted))]

    def history(self, run_id: int) -> History:
        return History(
            [rows.attempt(row) for row in self._all("attempts_of_run", run_id=run_id)],
            [rows.arrival(row) for row in self._all("deliveries_of_run", run_id=run_id)],
        )

    # --- the life of a run ---------------------------------------------------------------

    def open(self, opening: Opening) -> Write[Run | Trouble | None]:
        seen, named = opening.seen, {"job": opening.job, "key": opening.key}
        new = named | {
            "tenant": opening.tenant,
            "arguments": opening.arguments,
            "arguments_fingerprint": opening.arguments_fingerprint,
        }
        as_seen = named | {
            "seen_state": "waiting" if seen is None else seen.state,
            "seen_attempt": 0 if seen is None else seen.attempt,
            **fields.world(opening.world),
        }
        made = [("add_run", new)] if seen is None else []
        if opening.held_by is not None:
            holding = ("hold_run", as_seen | fields.diagnosis(opening.held_by))
            return self._write([*made, holding], _held, durable=True)
        try:
            spilled = self._merge_spilled(opening)
        except psycopg.Error as exc:  # without its receipts no attempt begins
            return self._writer.write(partial(_refuse, exc))
        if spilled and seen is None:
            return self._write(made, _not_yet, durable=True)
        own = [_merging(each) for each in spilled]
        locks = opening.asks and (opening.cautious or opening.knows is not None)
        locked = [("lock_job", named)] if locks else []
        taking = ("take_lease", as_seen | _taken(opening))

        def read(found: Rows) -> Run | Trouble | None:
            [row] = found[-1]
            if row["id"] is None:
                trouble = rows.trouble(row, prefix="cause_", last="last_failed")
                return trouble if opening.asks and not fields.is_known(opening, trouble) else None
            run = rows.run(row)
            self._begun.add(run.id, run.attempt, self._database.tables.made_anew)
            return run

        touches = self._money.touches(run_id=None if seen is None else seen.id)
        return self._write([*own, *locked, *made, taking], read, durable=True, touches=touches)

    def renew(self, run_id: int, attempt: int, lease: float) -> Write[bool]:
        given = {"run_id": run_id, "attempt": attempt, "lease": lease}
        asked = time.monotonic()

        def read(found: Rows) -> bool:
            [row] = found[0]
            self._database.heard(row["clock"], asked)
            return bool(row["kept"])

        return self._write([("renew_lease", given)], read, of=(run_id, attempt))

    def close(self, closing: Closing) -> Write[bool]:
        given = _closed(closing)
        statements = [("close_run", given)]
        if closing.result is not None:  # completed within the user's transaction: no value yet
            value = {"codec": given["codec"], "body": given["body"]}
            statements.append(("set_result", fields.place(closing) | value))

        def read(found: Rows) -> bool:
            self._begun.end(closing.run_id, closing.attempt)
            return any(found)

        of = (closing.run_id, closing.attempt)
        return self._write(statements, read, durable=True, of=of, locks=True)

    def close_within(self, execute: Execute, closing: Closing) -> bool:
        given = _plain(_closed(closing) | {"now": self._fixed_now()})
        return bool(execute(self._database.tables.queries["close_run"], given))

    def note(self, run_id: int, delivery: Delivery, answer: str) -> Write[None]:
        given = {"run_id": run_id, "attempt": None, "answer": answer} | columns(delivery)
        return self._write([("add_delivery", given)], _nothing)

    def claim(self, name: str, owner: str, lease: float) -> Write[bool]:
        given = {"name": name, "owner": owner, "lease": lease}
        return self._write([("claim", given)], _any, durable=True)

    def wake(self, run: Run) -> Write[bool]:
        given = {"run_id": run.id, "attempt": run.attempt}
        return self._write([("wake_run", given)], _any, durable=True)

    # --- the life of a call --------------------------------------------------------------

    def intend(self, intent: Intent) -> Write[int | Short | None]:
        return self._money.intend(intent)

    def complete(self, call_id: int, intent: Intent, receipt: Receipt) -> Write[None]:
        small, now = shrunk(receipt), self.now()

        def spilled(failure: BaseException) -> None:
            path = self._spill.write(spill.Spilled(call_id, intent, small, now))
            _log.error("the journal can't be written (%s): a receipt is kept in %s", failure, path)

        given = columns(intent) | _receipt(small)
        return self._write(
            [("complete_call", given)],
            _nothing,
            instead=[("complete_late", given)],
            durable=True,
            of=(intent.run_id, intent.attempt),
            touches=self._money.touches(call_id=call_id),
            otherwise=spilled,
        )

    def end(self, call_id: int, intent: Intent, state: CallState, reason: str) -> Write[None]:
        given = columns(intent) | {"state": state, "reason": writable(reason)}
        of = (intent.run_id, intent.attempt)
        touches = self._money.touches(call_id=call_id)
        return self._write([("end_call", given)], _nothing, of=of, touches=touches)

    def reject(self, call_id: int, reason: str) -> Write[None]:
        given = {"call_id": call_id, "reason": writable(reason)}
        return self._write([("reject_call", given)], _nothing, durable=True)

    def resolve(
        self, call_id: int, resolution: Resolution, reason: str, receipt: Receipt | None
    ) -> Write[bool]:
        if resolution == "happened" and receipt is None:
            raise ValueError("a call that happened needs the receipt that it left")
        given = {"call_id": call_id, "resolution": resolution, "reason": reason}
        statements = [("resolve_call", given)]
        if receipt is not None:
            told = _receipt(shrunk(receipt)) | {"wakes": False}
            for call in self.calls(call_id=call_id):
                statements.append(("complete_late", columns(call.intent) | told))
        return self._write(statements, _any, durable=True)

    def prune(self, before: float, *, parked: bool = False, most: int = 500) -> Pruned:
        self._merge_spilled()  # while their runs are there
        self._writer.flush()
        given = {"before": before, "states": _prunable(parked), "most": most}
        [row] = self._all("prune_runs", **given)
        return Pruned(row["runs"], row["calls"], row["bytes"])

    def stop(self) -> None:
        self._writer.rest()
        self._database.close()

    # --- inside --------------------------------------------------------------------------

    def _write(
        self,
        statements: list[tuple[str, dict[str, Any]]],
        read: Callable[[Rows], T],
        *,
        instead: Sequence[tuple[str, dict[str, Any]]] = (),
        durable: bool = False,
        of: tuple[int, int] | None = None,
        locks: bool = False,
        touches: Touches = NOTHING,
        otherwise: Callable[[BaseException], T] | None = None,
    ) -> Write[T]:
        """One write: named statements with what they are given, and how to read their rows.

        `instead` is done where they found no row, in a commit of its own; `of` is the attempt that
        writes; `locks` bounds the time that it waits for a locked row; `touches` are the balances
        that it moves.
        """

        def write(batch: Batch) -> Pending:
            tables = self._database.tables
            if of is not None and self._begun.is_stranger(*of, tables.made_anew):
                raise psycopg.OperationalError("the journal that this attempt began in was removed")
            more = {"now": self._fixed_now(), "soft": batch.soft}
            asked, then = (
                [(tables.queries[name], _plain(more | given)) for name, given in each]
                for each in (statements, instead)
            )
            if locks:
                asked.insert(0, (_LOCK_TIMEOUT, {"most": f"{self._patience:.3f}s"}))
                return batch.add(asked, lambda found: read(found[1:]), touches)
            return batch.add(asked, read, touches, then)

        return self._writer.write(write, durable=durable, otherwise=otherwise)

    def _fixed_now(self) -> float | None:
        return None if self._clock is None else self._clock()

    def _merge_spilled(self, opening: Opening | None = None) -> list[spill.Spilled]:
        """Queue what was spilled ahead of what is asked for next; a file goes when it is kept.

        What belongs to the run that is about to be opened is returned.
        """
        own = []
        for path, found in spill.waiting(self._spill):
            placed = spill.placed(found, self.find)
            if placed is not None:
                merged = self._write([_merging(placed)], _nothing, durable=True).later()
                merged.add_done_callback(partial(spill.unlink, path))
            if opening is not None and spill.is_of(found, opening):
                own.append(placed or found)
        return own

    def _all(self, query: str, **given: Any) -> list[Row]:
        return self._database.read(query, _plain(given))


def _taken(opening: Opening) -> dict[str, Any]:
    known = opening.knows
    return columns(opening.delivery) | {
        "woken": opening.woken,
        "owner": opening.owner,
        "lease": opening.lease,
        "dead_owner": opening.dead_owner,
        "lost": LOST,
        "asks": opening.asks,
        "cautious": opening.cautious,
        "known_failed": known and known.failed,
        "known_in_flight": known and known.in_flight,
    }


def _held(found: Rows) -> Run | Trouble | None:
    return rows.run(found[-1][0]) if found[-1] else None


def _refuse(failure: Exception, batch: Batch) -> Run | Trouble | None:
    raise failure


def _not_yet(found: Rows) -> Run | Trouble | None:
    return None


def _merging(spilled: spill.Spilled) -> tuple[str, dict[str, Any]]:
    receipt = _receipt(spilled.receipt)
    return "complete_late", columns(spilled.intent) | receipt | {"now": spilled.at}


def _nothing(found: Rows) -> None:
    return None


def _prunable(parked: bool) -> list[str]:
    return ["done", "parked"] if parked else ["done"]


def _any(found: Rows) -> bool:
    return bool(found[0])


def _closed(closing: Closing) -> dict[str, Any]:
    value = None if closing.result is None else shrink(closing.result)
    return (
        fields.place(closing)
        | fields.ending(closing)
        | {"codec": value and value.codec, "body": value and value.body, "outlived": OUTLIVED}
        | {"drifted": [n for n, _ in closing.drifts], "drifts": [d for _, d in closing.drifts]}
    )


def _receipt(paid: Receipt) -> dict[str, Any]:
    return fields.receipt(paid) | columns(paid.answer) | {"wakes": True}


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without the one character that PostgreSQL's texts can't hold."""
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value
        for name, value in given.items()
    }
