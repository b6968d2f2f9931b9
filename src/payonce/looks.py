"""On the path, from its other end: what is seen of the world that parked runs wait for.

What the last look saw stays in the journal, so that a person can be told without the app: as a
right that lasts no time, whose owner is what was seen, and whose end is when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from payonce import policy, ready
from payonce.job import Job
from payonce.journal.protocol import Right
from payonce.model import Run, World
from payonce.waking import App

_NAME = "look:"
_MOST = 5
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look saw of a job's world: `lacks` are the defects that its `needs=` find.

    `watched` says whether a database is watched besides the journal's own.
    """

    world: World
    lacks: tuple[str, ...]
    watched: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen of the world that a parked run waits for.

    `moved`: it has changed, so the run may go on; `lacks` are the defects that its job's `needs=`
    still find; `unread` names databases that can't be read; `watched` says whether any is watched.
    It was seen `at`, in seconds since the epoch.
    """

    moved: bool
    lacks: tuple[str, ...]
    unread: tuple[str, ...]
    watched: bool
    at: float


def look_at(app: App, run: Run) -> Look | None:
    """Look at the world of a parked run now; None where the app doesn't have its job."""
    job = app.jobs.get(run.job)
    if job is None:
        return None
    lacks = tuple(defect for need in job.needs for defect in need.check().defects)
    return _look(run, Seen(app.world(job), lacks, app.watches(job)), app.journal.now())


def keep_look(app: App, job: Job, world: World) -> None:
    """Let the journal know what was seen of a job's world just now."""
    found = [ready.look(need, world) for need in job.needs]
    lacks = [defect[:_LONGEST] for each in found for defect in each.defects]
    seen = Seen(world, tuple(lacks[:_MOST]), app.watches(job))
    app.journal.claim(f"{_NAME}{job.name}", msgspec.json.encode(seen).decode(), 0.0).later()


def last_look(rights: Sequence[Right], run: Run) -> Look | None:
    """What the last look saw of a parked run's world; None where nobody has looked since."""
    for right in rights:
        if right.name == f"{_NAME}{run.job}" and right.until >= run.updated_at:
            return _look(run, msgspec.json.decode(right.owner, type=Seen), right.until)
    return None


def _look(run: Run, seen: Seen, at: float) -> Look:
    parts = (part.partition("=") for part in seen.world.schema.split("+"))
    unread = tuple(name for name, _, print_ in parts if print_ == "?")
    return Look(policy.moved(run.world, seen.world), seen.lacks, unread, seen.watched, at)
