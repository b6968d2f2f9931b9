"""On the path, before the first paid call of an attempt: does the database hold what is needed?

What a job `needs=` is looked at once per world: the verdict is kept with the code's version and
the fingerprint of the tables in question. Not ready parks the run until one of the two changes;
what can't be told just now is tried again later, and never counts as ready.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol

from payonce.effects import Way, Work
from payonce.model import Diagnosis, Kind, WakesOn, World

if TYPE_CHECKING:
    from payonce.scope import RunScope

AGAIN = 5.0
"""Seconds, at least, until what could not be told is looked at again."""

_MOST = 5


class State(StrEnum):
    """What a preflight finds: only `ready` lets a paid call be made."""

    READY = "ready"
    NOT_READY = "not ready"
    CANT_TELL = "can't tell"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What became of one look: `defects` are sentences, `todo` what would mend them.

    `fingerprint` is that of the tables that were looked at, "?" where they could not be.
    """

    state: State
    fingerprint: str
    defects: tuple[str, ...] = ()
    todo: str = ""


class Need(Protocol):
    """Something that a job needs of the world; a watched schema that can be checked, too."""

    name: str

    def fingerprint(self) -> str:
        """A text without "+" that changes with what is needed, "?" when it can't be read."""

    def check(self) -> Readiness:
        """Look, whatever was found before."""

    def close(self) -> None:
        """Let go of what is open."""


class NotBegun(Exception):
    """Ends an attempt before its work begins; `found` says why."""

    def __init__(self, found: Diagnosis) -> None:
        super().__init__(found.reason)
        self.found = found


def require(scope: RunScope, needs: Sequence[Need]) -> Way[None]:
    """Let an attempt begin only if all that its job needs is there.

    Raises:
        NotBegun: it is not, or that can't be told.
    """
    lacking: list[tuple[Need, Readiness]] = []
    for need in needs:
        found: Readiness = yield Work(partial(look, need, scope.world))
        if found.state is not State.READY:
            lacking.append((need, found))
    if lacking:
        scope.world = _unseen(scope.world, lacking)
        raise NotBegun(diagnosis(lacking))


@dataclass(slots=True)
class _Known:
    """The last look at a need: in which world, what was found, and when it ended."""

    lock: threading.Lock
    code: str = ""
    seen: str | None = None
    found: Readiness | None = None
    ended: float = 0.0


_known: weakref.WeakKeyDictionary[Need, _Known] = weakref.WeakKeyDictionary()
_knowing = threading.Lock()


def _after_fork() -> None:
    global _knowing
    _knowing = threading.Lock()
    _known.clear()


os.register_at_fork(after_in_child=_after_fork)


def look(need: Need, world: World) -> Readiness:
    """What is found of a need: as it was found in this world before, or anew.

    What can't be told is not kept; but who had to wait for another's look takes what that found,
    so that a migration which holds its lock delays all of them by one time limit, not by one each.
    """
    came, seen = time.monotonic(), _seen(world, need.name)
    with _knowing:
        known = _known.setdefault(need, _Known(threading.Lock()))
    with known.lock:
        found = known.found
        same = (known.code, known.seen) == (world.code, seen)
        holds = found is not None and (found.state is not State.CANT_TELL or known.ended >= came)
        if found is not None and same and holds:
            return found
        found = need.check()
        known.seen = seen if found.state is State.CANT_TELL else found.fingerprint
        known.code, known.found, known.ended = world.code, found, time.monotonic()
        return found


def _seen(world: World, name: str) -> str | None:
    parts = (part.partition("=") for part in world.schema.split("+"))
    return next((seen for named, _, seen in parts if named == name), None)


def _unseen(world: World, lacking: Sequence[tuple[Need, Readiness]]) -> World:
    """The world without what could not be told, so that any later look counts as a change."""
    names = {need.name for need, found in lacking if found.state is State.CANT_TELL}
    parts = (part.partition("=") for part in world.schema.split("+"))
    schema = "+".join(f"{name}={'?' if name in names else seen}" for name, _, seen in parts)
    return replace(world, schema=schema)


def diagnosis(lacking: Sequence[tuple[Need, Readiness]]) -> Diagnosis:
    """Why an attempt does not begin."""
    missing = [(need, found) for need, found in lacking if found.state is State.NOT_READY]
    told = missing or list(lacking)
    sentences = [f"{need.name}: {_sentence(found)}" for need, found in told]
    if not missing:
        return Diagnosis(
            Kind.TRANSIENT,
            "it can't be told whether the database is ready; " + "; ".join(sentences),
            "preflight",
            _digest("can't tell " + " ".join(need.name for need, _ in lacking)),
            after=AGAIN,
        )
    return Diagnosis(
        Kind.DETERMINISTIC,
        "the database is not ready; " + "; ".join(sentences),
        "preflight",
        _digest("not ready " + " ".join(each for _, found in missing for each in found.defects)),
        wakes_on=(WakesOn.SCHEMA, WakesOn.CODE),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sentence(found: Readiness) -> str:
    shown = ", ".join(found.defects[:_MOST])
    more = len(found.defects) - _MOST
    if more > 0:
        shown += f" and {more} more"
    return f"{shown}. {found.todo}" if found.todo else shown
