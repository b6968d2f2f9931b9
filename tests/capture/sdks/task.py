"""What a program of a row is told, and its answer as it is printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["fails", "finishes", "bare"]


@dataclass(frozen=True)
class At:
    """What a program asks with: where to, its SDK finds in the environment.

    `timeout` is in seconds; `label` is what the provider counts its calls by.
    """

    label: str
    timeout: float = 60.0

    @property
    def prompt(self) -> str:
        """What is asked."""
        return f"[{self.label}] Write the outline of a course on bees."


@dataclass(frozen=True)
class Task:
    """One program to run: in a run that fails at its end, in one that finishes, or in none."""

    program: str
    label: str
    mode: Mode
    timeout: float = 60.0


@dataclass(frozen=True)
class Outcome:
    """What came of a task: what it printed, or the error that it ended with.

    `calls` is how many calls the journal has of its run so far, `nanos` what they cost; None where
    that is not known of each.
    """

    printed: str | None = None
    error: str | None = None
    calls: int = 0
    nanos: int | None = None


def printed(value: Any) -> str:
    """An SDK's answer as text; equal for equal answers."""
    return json.dumps(value, sort_keys=True, default=str)
