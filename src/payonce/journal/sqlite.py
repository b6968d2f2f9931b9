"""Memory: the embedded journal, one SQLite file in WAL mode for all processes of a machine."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from payonce.journal import fields, rows, spill
from payonce.journal.begun import Begun
from payonce.journal.exact import exactly, overflowed
from payonce.journal.fields import LOST, OUTLIVED, columns, writable
from payonce.journal.forking import survives_fork
from payonce.journal.ledger import Ledger
from payonce.journal.payload import shrink, shrunk
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
from payonce.journal.queries import queries
from payonce.journal.sqlite_file import SqliteFile
from payonce.journal.sqlite_ledger import SqliteLedger, add_intent
from payonce.journal.writer import Write, Writer
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

_Q = queries("sqlite")
_log = logging.getLogger("payonce")


class SqliteJournal:
    """The journal in the file at `path`; see `Journal` for its verbs.

    `patience` is how long a write waits for other processes' writes, in seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        patience: float = 30.0,
        create: bool = True,
    ) -> None:
        self.path = path
        self._clock = clock
        self._file = SqliteFile(path, clock, patience, create=create)
        self._writer = Writer(self._file)
        self._spill = spill.SpillFolder(*spill.beside(path))
        self._begun = Begun()
        self.ledger: Ledger = SqliteLedger(self._writer, self._all, self.now)
        survives_fork(self)

    def before_fork(self) -> None:
        self._writer.pause()
        self._file.pause()

    def after_fork_in_parent(self) -> None:
        self._file.resume()
        self._writer.resume()

    def after_fork_in_child(self) -> None:
        self._file.start_anew()
        self._writer.start_anew()

    def now(self) -> float:
        return self._clock()

    # --- reading -------------------------------------------------------------------------

    def about(self) -> About:
        log = self.path.with_name(f"{self.path.name}-wal")
        return About(
            place=str(self.path),
            schema=self._all("schema_version")[0]["number"],
            bytes=sum(p.stat().st_size for p in (self.path, log) if p.exists()),
            spilled=len(self._spill.files()),
            states={row["state"]: row["runs"] for row in self._all("count_states")},
            rights=tuple(Right(**row) for row in self._all("list_claims")),
        )

    def find(self, job: str, key: str) -> Run | None:
        row = self._one("find_run", job=job, key=key)
        return None if row is None else rows.run(row)

    def calls(self, run_id: int | None = None, *, call_id: int | None = None) -> list[Call]:
        if call_id is not None:
            return [rows.call(row) for row in self._all("call_by_id", call_id=call_id)]
        return [rows.call(row) for row in self._all("calls_of_run", run_id=run_id)]

    def runs(self, wanted: RunFilter) -> list[RunSummary]:
        if wanted.wakeable_in is not None:
            given = fields.wakeable(wanted, wanted.wakeable_in) | {"now": self.now()}
            return [rows.summary(row) for row in self._all("wakeable_runs", **given)]
        return [rows.summary(row) for row in self._all("list_runs", **fields.listed(wanted))]

    def history(self, run_id: int) -> History:
        return History(
            [rows.attempt(row) for row in self._all("attempts_of_run", run_id=run_id)],
            [rows.arrival(row) for row in self._all("deliveries_of_run", run_id=run_id)],
        )

    # --- the life of a run ---------------------------------------------------------------

    def open(self, opening: Opening) -> Write[Run | Trouble | None]:
        try:
            spilled = self._merge_spilled(opening)
        except sqlite3.Error as exc:  # without its receipts no attempt begins
            return self._writer.write(partial(_refuse, exc))

        def write(db: sqlite3.Connection) -> Run | Trouble | None:
            if spilled and opening.seen is None:
                self._add_run(db, opening)
                return None
            for own in spilled:
                _merge(db, own)
            return self._open(db, opening)

        return self._writer.write(write)

    def renew(self, run_id: int, attempt: int, lease: float) -> Write[bool]:
        def write(db: sqlite3.Connection) -> bool:
            self._refuse_stranger(run_id, attempt)
            until = self.now() + lease
            return bool(_do(db, "renew_lease", run_id=run_id, attempt=attempt, until=until))

        return self._writer.write(write)

    def close(self, closing: Closing) -> Write[bool]:
        def write(db: sqlite3.Connection) -> bool:
            def execute(sql: str, given: Mapping[str, Any]) -> int:
                return db.execute(sql, given).rowcount

            self._refuse_stranger(closing.run_id, closing.attempt)
            closed = self.close_within(execute, closing)
            self._begun.end(closing.run_id, closing.attempt)
            # A run that was completed inside the user's transaction still lacks its value.
            return closed or _set_result(execute, closing, self.now())

        return self._writer.write(write, durable=True)

    def close_within(self, execute: Execute, closing: Closing) -> bool:
        now = self.now()
        place = fields.place(closing)
        given = place | fields.ending(closing) | {"now": now}
        if not execute(_Q["close_run"], given):
            return False
        execute(_Q["close_attempt"], given)
        execute(_Q["doubt_open_calls"], place | {"reason": OUTLIVED, "now": now})
        execute(_Q["answer_delivery"], given)
        for call_id, drift in closing.drifts:
            execute(_Q["set_drift"], {"run_id": closing.run_id, "call_id": call_id, "drift": drift})
        return closing.result is None or _set_result(execute, closing, now)

    def note(self, run_id: int, delivery: Delivery, answer: str) -> Write[None]:
        def write(db: sqlite3.Connection) -> None:
            self._add_delivery(db, run_id, None, delivery, answer)

        return self._writer.write(write)

    def claim(self, name: str, owner: str, lease: float) -> Write[bool]:
        def write(db: sqlite3.Connection) -> bool:
            now = self.now()
            _do(db, "drop_claims", now=now)
            return bool(_do(db, "claim", name=name, owner=owner, until=now + lease, now=now))

        return self._writer.write(write)

    def wake(self, run: Run) -> Write[bool]:
        def write(db: sqlite3.Connection) -> bool:
            return bool(_do(db, "wake_run", run_id=run.id, attempt=run.attempt, now=self.now()))

        return self._writer.write(write)

    # --- the life of a call --------------------------------------------------------------

    def intend(self, intent: Intent) -> Write[int | Short | None]:
        def write(db: sqlite3.Connection) -> int | Short | None:
            self._refuse_stranger(intent.run_id, intent.attempt)
            return add_intent(db, intent, self.now())

        return self._writer.write(write)

    def complete(self, call_id: int, intent: Intent, receipt: Receipt) -> Write[None]:
        small, now = shrunk(receipt), self.now()

        def spilled(failure: BaseException) -> None:
            path = self._spill.write(spill.Spilled(call_id, intent, small, now))
            _log.error("the journal can't be written (%s): a receipt is kept in %s", failure, path)

        def write(db: sqlite3.Connection) -> None:
            self._refuse_stranger(intent.run_id, intent.attempt)
            if _complete(db, call_id, small, now) == "late":
                _do(db, "wake_answered", call_id=call_id, now=now)

        return self._writer.write(write, durable=True, otherwise=spilled)

    def end(self, call_id: int, intent: Intent, state: CallState, reason: str) -> Write[None]:
        def write(db: sqlite3.Connection) -> None:
            self._refuse_stranger(intent.run_id, intent.attempt)
            given = {"call_id": call_id, "state": state, "reason": writable(reason)}
            _do(db, "end_call", **given, now=self.now())

        return self._writer.write(write)

    def reject(self, call_id: int, reason: str) -> Write[None]:
        def write(db: sqlite3.Connection) -> None:
            _do(db, "reject_call", call_id=call_id, reason=writable(reason))

        return self._writer.write(write, durable=True)

    def resolve(
        self, call_id: int, resolution: Resolution, reason: str, receipt: Receipt | None
    ) -> Write[bool]:
        if resolution == "happened" and receipt is None:
            raise ValueError("a call that happened needs the receipt that it left")

        def write(db: sqlite3.Connection) -> bool:
            given = {"call_id": call_id, "resolution": resolution, "reason": reason}
            changed = _do(db, "resolve_call", **given)
            if receipt is not None:
                _complete(db, call_id, shrunk(receipt), self.now())
            return bool(changed)

        return self._writer.write(write, durable=True)

    def prune(self, before: float, *, parked: bool = False, most: int = 500) -> Pruned:
        self._merge_spilled()  # while their runs are there
        self._writer.flush()
        return self._file.aside(lambda db: _prune(db, before=before, parked=parked, most=most))

    def stop(self) -> None:
        self._writer.rest()
        self._file.close()

    # --- inside --------------------------------------------------------------------------

    def _open(self, db: sqlite3.Connection, opening: Opening) -> Run | Trouble | None:
        now, seen = self.now(), opening.seen
        named = {"job": opening.job, "key": opening.key}
        if seen is None:
            self._add_run(db, opening)
        as_seen = named | {
            "seen_state": "waiting" if seen is None else seen.state,
            "seen_attempt": 0 if seen is None else seen.attempt,
            "now": now,
        }
        if opening.held_by is not None:
            return _hold(db, opening, as_seen)
        if opening.asks and (trouble := _unknown_trouble(db, opening, named, now)) is not None:
            return trouble
        kills, killed_at = _count_kill(db, seen)
        taken = _do(
            db,
            "take_lease",
            **as_seen,
            woken=opening.woken,
            kills=kills,
            killed_at=killed_at,
            owner=opening.owner,
            until=now + opening.lease,
            dead_owner=opening.dead_owner,
        )
        return self._start(db, opening, killed_at, now) if taken else None

    def _add_run(self, db: sqlite3.Connection, opening: Opening) -> None:
        _do(
            db,
            "add_run",
            job=opening.job,
            key=opening.key,
            tenant=opening.tenant,
            arguments=opening.arguments,
            arguments_fingerprint=opening.arguments_fingerprint,
            now=self.now(),
        )

    def _start(
        self, db: sqlite3.Connection, opening: Opening, killed_at: str | None, now: float
    ) -> Run:
        run_id = db.execute(_Q["run_id_of"], {"job": opening.job, "key": opening.key}).fetchone()[0]
        seen = opening.seen
        if seen is not None and seen.lease_owner is not None:
            _do(db, "lose_attempt", run_id=run_id, attempt=seen.attempt, at_step=killed_at, now=now)
            _do(db, "doubt_open_calls", run_id=run_id, reason=LOST, now=now)
        run = rows.run(db.execute(_Q["find_run_by_id"], {"run_id": run_id}).fetchone())
        self._begun.add(run_id, run.attempt, self._file.removals)
        _do(
            db,
            "add_attempt",
            run_id=run_id,
            attempt=run.attempt,
            owner=opening.owner,
            world_code=opening.world.code,
            world_schema=opening.world.schema,
            now=now,
        )
        self._add_delivery(db, run_id, run.attempt, opening.delivery, None)
        return run

    def _refuse_stranger(self, run_id: int, attempt: int) -> None:
        if self._begun.is_stranger(run_id, attempt, self._file.removals):
            raise sqlite3.OperationalError("the journal that this attempt began in was removed")

    def _add_delivery(
        self,
        db: sqlite3.Connection,
        run_id: int,
        attempt: int | None,
        delivery: Delivery,
        answer: str | None,
    ) -> None:
        place = {"run_id": run_id, "attempt": attempt, "answer": answer, "now": self.now()}
        db.execute(_Q["add_delivery"], place | columns(delivery))

    def _merge_spilled(self, opening: Opening | None = None) -> list[spill.Spilled]:
        """Queue what was spilled ahead of what is asked for next; a file goes when it is kept.

        What belongs to the run that is about to be opened is returned.
        """
        own = []
        for path, found in spill.waiting(self._spill):
            placed = spill.placed(found, self.find)
            if placed is not None:
                merged = self._writer.write(partial(_merge, spilled=placed), durable=True).later()
                merged.add_done_callback(partial(spill.unlink, path))
            if opening is not None and spill.is_of(found, opening):
                own.append(placed or found)
        return own

    def _one(self, query: str, **given: Any) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._file.read(
            lambda db: db.execute(_Q[query], given).fetchone()
        )
        return found

    def _all(self, query: str, **given: Any) -> list[sqlite3.Row]:
        def read(db: sqlite3.Connection) -> list[sqlite3.Row]:
            return db.execute(_Q[query], given).fetchall()

        try:
            return self._file.read(read)
        except sqlite3.OperationalError as exc:
            if not overflowed(exc):
                raise
            return self._file.read(exactly(read), once=True)


def _do(db: sqlite3.Connection, query: str, **given: Any) -> int:
    return db.execute(_Q[query], given).rowcount


def _refuse(failure: Exception, db: sqlite3.Connection) -> Run | Trouble | None:
    raise failure


def _hold(db: sqlite3.Connection, opening: Opening, as_seen: dict[str, Any]) -> Run | None:
    why = fields.diagnosis(opening.held_by) | fields.world(opening.world)
    if not _do(db, "hold_run", **as_seen, **why):
        return None
    row = db.execute(_Q["find_run"], {"job": opening.job, "key": opening.key}).fetchone()
    return rows.run(row)


def _unknown_trouble(
    db: sqlite3.Connection, opening: Opening, named: dict[str, Any], now: float
) -> Trouble | None:
    given = named | fields.world(opening.world) | {"cautious": opening.cautious, "now": now}
    trouble = rows.trouble(db.execute(_Q["trouble"], given).fetchone())
    return None if fields.is_known(opening, trouble) else trouble


def _count_kill(db: sqlite3.Connection, seen: Run | None) -> tuple[int, str | None]:
    """How often in a row attempts ended without a word at one place, and which place."""
    if seen is None or seen.lease_owner is None:
        return 0, None
    row = db.execute(_Q["last_step_of_run"], {"run_id": seen.id}).fetchone()
    place = "before its first step" if row is None else row["name"]
    return (seen.kills + 1 if seen.killed_at == place else 1), place


def _prune(db: sqlite3.Connection, *, before: float, parked: bool, most: int) -> Pruned:
    states = msgspec.json.encode(["done", "parked"] if parked else ["done"]).decode()
    old = db.execute(_Q["old_runs"], {"before": before, "states": states, "most": most}).fetchall()
    given = {"runs": msgspec.json.encode([row["id"] for row in old]).decode()}
    size = db.execute(_Q["size_of_runs"], given).fetchone()["bytes"]
    for query in (_Q["prune_payloads"], _Q["prune_attempts"], _Q["prune_deliveries"]):
        db.execute(query, given)
    calls = db.execute(_Q["prune_calls"], given).rowcount
    db.execute(_Q["prune_balances"], given)
    return Pruned(db.execute(_Q["prune_runs"], given).rowcount, calls, size)


def _set_result(execute: Execute, closing: Closing, now: float) -> bool:
    if closing.result is None:
        return False
    place = {"run_id": closing.run_id, "attempt": closing.attempt, "now": now}
    execute(_Q["add_payload"], columns(shrink(closing.result)))
    if execute(_Q["set_result"], place):
        return True
    execute(_Q["drop_last_payload"], {})
    return False


def _complete(
    db: sqlite3.Connection, call_id: int, receipt: Receipt, now: float
) -> Literal["usual", "late", "second"]:
    """Whether it was the first receipt of a call in flight, of one that had ended, or no first."""
    given = fields.receipt(receipt)
    given["call_id"], given["now"] = call_id, now
    given["answer_id"] = db.execute(_Q["add_payload"], columns(receipt.answer)).lastrowid
    if db.execute(_Q["complete_call"], given).rowcount:
        return "usual"
    if db.execute(_Q["complete_late"], given).rowcount:
        return "late"
    db.execute(_Q["drop_last_payload"])
    return "second"


def _merge(db: sqlite3.Connection, spilled: spill.Spilled) -> None:
    place = columns(spilled.intent) | {"now": spilled.at}
    added = db.execute(_Q["add_spilled_call"], place)
    call_id = added.lastrowid
    if not added.rowcount or call_id is None:
        call_id = int(db.execute(_Q["find_call_place"], place).fetchone()["id"])
    if _complete(db, call_id, spilled.receipt, spilled.at) != "second":
        _do(db, "wake_answered", call_id=call_id, now=spilled.at)
