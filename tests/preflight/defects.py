"""What can be wrong with a database, as a table: how to break it, and the write that it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PLANNED = "found without running anything: by the catalogue, or by EXPLAIN"
REHEARSED = "found only when the write is rehearsed"


@dataclass(frozen=True)
class Broken:
    """One defect: `sql` makes it, `write` with `values` is what fails for it.

    `rung` is the first at which it has to be found; `by_itself` says that the write is at fault,
    whatever the schema.
    """

    name: str
    sql: str
    write: str
    values: tuple[Any, ...] = ()
    rung: str = PLANNED
    by_itself: bool = False

    def __str__(self) -> str:
        return self.name.replace(" ", "-")
