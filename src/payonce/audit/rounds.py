"""Reading, for `audit`: prompts that were paid for again and again, and the storms behind.

Where no file tells of deliveries, a batch that is run again shows as rounds: each of its prompts is
paid for once in each.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from payonce.audit.findings import Cost, Repeated, Storm
from payonce.audit.spacing import by_the_clock, schedule_of, waits
from payonce.audit.store import Store
from payonce.audit.wording import counted, legible

_TIMETABLE = 6 * 3600


@dataclass(frozen=True, slots=True)
class _Prompt:
    task: str | None
    told_by: str
    source: int
    tenant: str | None
    print: str
    count: int
    first: int
    last: int
    times: list[int]
    model: str | None
    nanos: int | None
    currency: str
    unknown: int
    once: int | None

    @property
    def wasted(self) -> int | None:
        """What all but the first cost."""
        return None if self.nanos is None or self.once is None else self.nanos - self.once


def prompts(store: Store, least: int, most: int) -> list[_Prompt]:
    """Prompts that were paid at least so often, by task, tenant and what tells of it."""
    return [_Prompt(*row) for row in store.rows("ask", "repeated", least=least, most=most)]


def repeated(found: Sequence[_Prompt], paths: dict[int, str]) -> list[Repeated]:
    """Each of them as a finding."""
    return [
        Repeated(
            legible(each.print, 16) or "",
            *(legible(each.task), legible(each.tenant), legible(each.model)),
            *(each.count, each.first, each.last),
            schedule_of(waits([(time, None) for time in each.times])),
            Cost(each.wasted, each.currency, each.unknown),
            paths[each.source],
        )
        for each in found
    ]


def storms_of_prompts(found: Sequence[_Prompt], known: Sequence[Storm]) -> list[Storm]:
    """Batches run again and again, as their prompts show, that no storm has told of yet."""
    storms = []
    names = {storm.name for storm in known}
    for group in _rounds(found):
        if group[0].task is not None and legible(group[0].task) in names:
            continue
        storm = _storm(group)
        if storm is not None and not any(_is_same(storm, each) for each in known):
            storms.append(storm)
    return storms


def _rounds(found: Sequence[_Prompt]) -> list[list[_Prompt]]:
    """Prompts of one batch: paid as often, each once between two of the first."""
    groups: list[list[_Prompt]] = []
    for each in sorted(found, key=lambda prompt: prompt.first):
        for group in groups:
            if _belongs(each, group[0]):
                group.append(each)
                break
        else:
            groups.append([each])
    return groups


def _belongs(each: _Prompt, first: _Prompt) -> bool:
    if (each.task, each.told_by, each.tenant) != (first.task, first.told_by, first.tenant):
        return False
    if abs(each.count - first.count) > 1:
        return False
    places = [bisect_right(first.times, time) for time in each.times]
    return len(set(places)) >= 0.9 * len(places)


def _storm(group: Sequence[_Prompt]) -> Storm | None:
    first = group[0]
    starts: list[tuple[int, int | None]] = [
        (time, max((t for each in group for t in each.times[i : i + 1]), default=time))
        for i, time in enumerate(first.times)
    ]
    found = waits(starts)
    schedule = schedule_of(found)
    task = first.task is not None
    if by_the_clock([at for at, _ in starts]) or not _is_retried(
        schedule, found, task=task, prompts=len(group)
    ):
        return None
    calls = sum(each.count for each in group)
    return Storm(
        "prompts" if first.task is None else "task",
        legible(first.task) or f"{counted(len(group), 'prompt')} {legible(first.print, 16)}",
        *(first.count, first.count, False, first.first, max(each.last for each in group)),
        tenant=legible(first.tenant),
        calls=calls,
        wasted=calls - len(group),
        cost=_sum(group, "nanos"),
        wasted_cost=_sum(group, "wasted"),
        schedule=schedule,
        evidence=_evidence(group, schedule),
        unknown=["which error made it come again", "how a queue delivered it"]
        + ([] if first.task else ["which task it is"]),
        sources={first.source},
    )


def _is_retried(schedule: str | None, found: Sequence[float], *, task: bool, prompts: int) -> bool:
    """Whether rounds are those of a retry, and not of a timetable, or of prompts that are popular.

    Without a task, even waits say nothing: what runs each hour asks the same each hour. What comes
    again at once may be wanted: several answers to one prompt.
    """
    if schedule is None:
        return task and prompts > 1
    if schedule.startswith("every "):
        return task and median(found) < _TIMETABLE
    return not schedule.startswith("at once")


def _evidence(group: Sequence[_Prompt], schedule: str | None) -> list[str]:
    told = [f"{counted(len(group), 'prompt')} paid {group[0].count:,} times each, in rounds"]
    return [*told, f"repeated {schedule}"] if schedule else told


def _sum(group: Sequence[_Prompt], name: str) -> Cost:
    known: list[Any] = [getattr(each, name) for each in group if getattr(each, name) is not None]
    unknown = sum(each.unknown for each in group)
    return Cost(sum(known) if known else None, group[0].currency, unknown)


def _is_same(storm: Storm, known: Storm) -> bool:
    """Whether a storm with a name tells of the same calls."""
    return known.calls is not None and storm.first <= known.last and known.first <= storm.last
