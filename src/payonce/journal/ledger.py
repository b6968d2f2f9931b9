"""Memory: what a journal knows of money; one exam in `tests/journal` holds every journal to it.

Entries and balances change where calls do: with an intent, a receipt, a doubt. This is the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from payonce.journal.writer import Write
from payonce.money import Balance, Budget, Entry


@dataclass(frozen=True, slots=True)
class Told:
    """The limits that people have set; `version` grows with each."""

    version: int
    budgets: tuple[Budget, ...]


NOTHING_TOLD = Told(0, ())


class Ledger(Protocol):
    """Budgets, and the append-only record of money."""

    def budgets(self) -> Told:
        """The limits that people have set."""

    def set_budget(self, budget: Budget, *, cleared: bool = False) -> Write[None]:
        """Set a limit over what the code says; with `nanos` None, lift it.

        With `cleared` nothing is said of it any more: what the code says holds again. Runs that
        were parked by it are due to be looked at again.
        """

    def used(self, budget: Budget) -> Balance:
        """What the ledger has of a budget in the period of now, though no call was held for it."""

    def balances(self) -> list[Balance]:
        """What is used of each budget that a call was held against, in the periods of now."""

    def expire(self) -> Write[None]:
        """Bring calls into doubt that are held by attempts that are gone; their holds end."""

    def entries(self, run_id: int) -> list[Entry]:
        """All entries of a run, in the order in which they were written."""
