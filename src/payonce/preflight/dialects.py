"""Edge: one module for each dialect, with the same functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payonce.preflight import mysql, postgres, sqlite_tables
from payonce.preflight.database import Connection, Dialect
from payonce.preflight.found import Catalogue, Named


@dataclass(frozen=True, slots=True)
class Speech:
    """How one dialect is asked.

    `look`: what tables look like; `whole`: a text that changes with the schema; `explain`: check
    a statement without running it; `begin`, `end`: what surrounds a rehearsal.
    """

    look: Callable[[Connection, Sequence[Named]], Catalogue]
    whole: Callable[[Connection], str]
    explain: Callable[[Connection, str, int], None]
    begin: Callable[[Connection, Sequence[Named]], Any]
    end: Callable[[Connection, Sequence[Named], Any], None]


def _speech(module: Any) -> Speech:
    return Speech(
        module.look, module.whole, module.explain, module.begin_rehearsal, module.end_rehearsal
    )


SPEECH: Mapping[Dialect, Speech] = {
    "postgresql": _speech(postgres),
    "mysql": _speech(mysql),
    "sqlite": _speech(sqlite_tables),
}
