"""Reading: what a period cost, and how that came, out of the journal and its ledger.

Days are those of UTC, as on providers' bills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any

from payonce.delivery import LOOKOUT, WAKE
from payonce.journal.ledger import (
    Again,
    Doubt,
    EntryFilter,
    OfModel,
    Outlay,
    Replayed,
    Share,
    Sum,
)
from payonce.journal.protocol import Journal, RunFilter, RunSummary
from payonce.journal.side_by_side import aside, together
from payonce.model import Arrival, Attempt, Run, RunState

DAY = 86_400.0
OPENED = 3
"""How many days are looked into, the dearest first …"""
MOST_CALLS = 50_000
"""… as far as they have no more calls than so many, but for the dearest."""
MOST_RUNS = 100
"""How many runs of such a day, and currency, are told apart."""
STORIES = 5
"""How many runs of such a day are told of attempt by attempt."""
MOST_PARKED = 500


@dataclass(frozen=True, slots=True)
class Day:
    """What one day cost, by currency; `shares` is empty where it was not looked into."""

    since: float
    until: float
    sums: list[Sum]
    shares: list[Share]


@dataclass(frozen=True, slots=True)
class Story:
    """A run with all that is known of it; `run` is None where it has been pruned since.

    Outlays are those of the period; attempts and arrivals those of the run's whole life.
    """

    run_id: int
    job: str
    key: str
    tenant: str | None
    run: Run | None
    attempts: list[Attempt]
    arrivals: list[Arrival]
    outlays: list[Outlay]

    @property
    def further(self) -> list[Arrival]:
        """The deliveries after the first, but for those that payonce made itself."""
        own = (WAKE, LOOKOUT)
        return [a for a in self.arrivals if a.attempt != 1 and a.delivery.queue not in own]

    def share(self, part: Sum) -> Share:
        """A part of what it has paid, as that of one run."""
        state = self.run.state if self.run else None
        return Share(self.run_id, self.key, self.job, self.tenant, state, 1, part)

    @property
    def turned_away(self) -> list[Arrival]:
        """The deliveries that came while it was parked: no code was run for them."""
        return [a for a in self.further if a.attempt is None and a.answer == "park"]


@dataclass(frozen=True, slots=True)
class Account:
    """A period: its days with what they cost, its dearest runs, what is in doubt, what was saved.

    `parked` are runs that were set aside in the period and still are; `now` is the journal's time
    at which it was read. `models` is None where there are too many calls to tell them apart;
    `again` are the deliveries after a run's first.
    """

    wanted: EntryFilter
    key: str | None
    now: float
    days: list[Day]
    stories: list[Story]
    doubts: list[Doubt]
    replayed: list[Replayed]
    parked: list[RunSummary]
    models: list[OfModel] | None = None
    again: Sequence[Again] = ()

    @property
    def sums(self) -> list[Sum]:
        """What the whole period cost, by currency, the one with the most receipts first."""
        found: dict[str, Sum] = {}
        for one in (sum_ for day in self.days for sum_ in day.sums):
            known = found.get(one.currency)
            found[one.currency] = one if known is None else added(known, one)
        return sorted(found.values(), key=lambda one: (one.unpriced - one.calls, one.currency))

    @property
    def currency(self) -> str:
        """The currency that is told of first."""
        return self.sums[0].currency if self.days else "USD"


def by_use(account: Account) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """What was paid and not wasted, by currency: of runs that are done, not done, and pruned."""
    done: dict[str, int] = {}
    undone: dict[str, int] = {}
    gone: dict[str, int] = {}
    for share in (share for day in account.days for share in day.shares):
        found = {RunState.DONE: done, None: gone}.get(share.state, undone)
        one = share.sum
        found[one.currency] = found.get(one.currency, 0) + one.paid - one.waste
    return done, undone, gone


def added(one: Sum, other: Sum) -> Sum:
    """Two sums of one currency as one."""
    names = ("paid", "waste", "doubt", "calls", "unpriced", "wasted")
    more = {name: getattr(one, name) + getattr(other, name) for name in names}
    since, until = min(one.since, other.since), max(one.until, other.until)
    return replace(one, since=since, until=until, **more)


def add_up(outlays: Iterable[Outlay], since: float, until: float) -> list[Sum]:
    """What outlays add up to, by currency."""
    sums = (replace(outlay.sum, since=since, until=until) for outlay in outlays)
    return _by(sums, lambda one: one.currency)


def account(
    journal: Journal,
    wanted: EntryFilter,
    key: str | None = None,
    tell: Callable[[str], None] = lambda what: None,
) -> Account:
    """Read a period.

    Args:
        journal: where its runs and its ledger are.
        wanted: the period, and whose.
        key: only the runs of this key.
        tell: told what is read next, for those who wait.
    """
    tell("adding up days")
    ledger = journal.ledger
    besides = aside(partial(_besides, journal, wanted, key))
    if key is None:
        days, models = _days(journal, wanted, tell)
        stories = together(partial(_story, journal, share, wanted) for share in _told(days))
        again = ledger.again(wanted)
    else:
        stories = _stories_of(journal, key, wanted)
        days, models = _days_of(stories), _models_of(stories, wanted)
        again = [one for story in stories for one in _again(story, wanted)]
    tell("looking for doubts and repeats")
    doubts, replayed, parked = besides()
    return Account(
        wanted, key, journal.now(), days, stories, doubts, replayed, parked, models, again
    )


def _besides(
    journal: Journal, wanted: EntryFilter, key: str | None
) -> tuple[list[Doubt], list[Replayed], list[RunSummary]]:
    """What does not depend on where the money went."""
    ledger = journal.ledger
    doubts, replayed = ledger.doubts(wanted), ledger.replayed(wanted)
    if key is not None:
        doubts = [doubt for doubt in doubts if doubt.entry.key == key]
        replayed = [one for one in replayed if one.key == key]
    return doubts, replayed, _parked(journal, wanted, key)


def _models_of(stories: Iterable[Story], wanted: EntryFilter) -> list[OfModel]:
    outlays = (outlay for story in stories for outlay in story.outlays)
    return _by_model((OfModel(one.model, one.sum) for one in outlays), wanted)


def _by_model(found: Iterable[OfModel], wanted: EntryFilter) -> list[OfModel]:
    """What each model cost in the whole period, the dearest first."""
    sums: dict[str | None, list[Sum]] = {}
    for one in found:
        whole = replace(one.sum, since=wanted.since, until=wanted.until)
        sums.setdefault(one.model, []).append(whole)
    models = [
        OfModel(model, one)
        for model, same in sums.items()
        for one in _by(same, lambda one: one.currency)
    ]
    return sorted(models, key=lambda each: (-each.sum.paid, -each.sum.calls, each.model or ""))


def _by(sums: Iterable[Sum], name: Callable[[Sum], Any]) -> list[Sum]:
    """Sums of one name as one, in the order of names."""
    found: dict[Any, Sum] = {}
    for one in sums:
        known = found.get(name(one))
        found[name(one)] = one if known is None else added(known, one)
    return [found[each] for each in sorted(found)]


def _again(story: Story, wanted: EntryFilter) -> Iterator[Again]:
    """The further deliveries of one run, day by day."""
    found = Counter(
        (arrival.at // DAY * DAY, arrival.delivery.queue, arrival.delivery.user_agent)
        for arrival in story.further
        if wanted.since <= arrival.at < wanted.until
    )
    for (day, queue, agent), count in found.items():
        yield Again(day, story.job, story.tenant, queue, agent, count)


def _days(
    journal: Journal, wanted: EntryFilter, tell: Callable[[str], None]
) -> tuple[list[Day], list[OfModel] | None]:
    """What each day cost, with the shares of the dearest ones; and what each model did."""
    sums, models = _sums(journal, wanted)
    days = [
        Day(since, until, list(same), [])
        for (since, until), same in groupby(sums, key=lambda one: (one.since, one.until))
    ]
    tell("reading the dearest days")
    opened = _opened(days)
    asked = [replace(wanted, since=day.since, until=day.until) for day in opened]
    shares = together(partial(journal.ledger.shares, each, MOST_RUNS) for each in asked)
    known = {day.since: own for day, own in zip(opened, shares, strict=True)}
    found = [replace(day, shares=known.get(day.since, [])) for day in days]
    return found, models and models()


def _sums(
    journal: Journal, wanted: EntryFilter
) -> tuple[list[Sum], Callable[[], list[OfModel]] | None]:
    """What each day cost, and what waits for what each model did, unless it is too many calls.

    All of a day is added up out of an index. For a job or a tenant entries have to be read: once,
    for days and models together.
    """
    ledger, midnight = journal.ledger, -(-wanted.since // DAY) * DAY
    begun, whole = (
        replace(wanted, until=min(midnight, wanted.until)),
        replace(wanted, since=midnight),
    )
    parts: list[tuple[EntryFilter, float | None]] = []
    parts += [(begun, None)] if begun.since < begun.until else []
    parts += [(whole, DAY)] if whole.since < whole.until else []
    if wanted.job is None and wanted.tenant is None:
        sums = [one for part, every in parts for one in ledger.sums(part, every)]
        few = sum(one.calls for one in sums) <= MOST_CALLS
        return sums, aside(partial(ledger.models, wanted)) if few else None
    found = [one for part, every in parts for one in ledger.models(part, every)]
    sums = _by((one.sum for one in found), lambda one: (one.since, one.currency))
    few = sum(one.calls for one in sums) <= MOST_CALLS
    return sums, (lambda: _by_model(found, wanted)) if few else None


def _opened(days: Iterable[Day]) -> list[Day]:
    """The dearest days, as far as they are not too many calls."""
    opened: list[Day] = []
    calls = 0
    for day in sorted(days, key=_dearness, reverse=True)[:OPENED]:
        calls += sum(one.calls for one in day.sums)
        if calls <= MOST_CALLS or not opened:
            opened.append(day)
    return opened


def _dearness(day: Day) -> tuple[int, int, float]:
    return (
        max(one.paid + one.doubt for one in day.sums),
        sum(one.calls for one in day.sums),
        day.since,
    )


def _told(days: Iterable[Day]) -> list[Share]:
    """The runs that are told of: the dearest of each day that was looked into, each once."""
    found: dict[int, Share] = {}
    for day in sorted(days, key=_dearness, reverse=True):
        single = [share for share in day.shares if share.run_id is not None]
        for share in single[:STORIES]:
            found.setdefault(share.run_id or 0, share)
    return list(found.values())


def _stories_of(journal: Journal, key: str, wanted: EntryFilter) -> list[Story]:
    """The runs of a key, those that have been pruned since, and those that paid nothing, too."""
    asked = RunFilter(key=key, job=wanted.job, tenant=wanted.tenant, limit=MOST_RUNS)
    listed = aside(partial(journal.runs, asked))
    paid = journal.ledger.runs_of(key, wanted.job)
    known = {one.run.id: one.run for one in listed()}
    ids = list(dict.fromkeys([*known, *paid]))
    outlays = together(partial(journal.ledger.outlays, run_id, wanted) for run_id in ids)
    return [
        _told_of(journal, run_id, known.get(run_id), own, known.get(run_id) or own[0])
        for run_id, own in zip(ids, outlays, strict=True)
        if run_id in known or own
    ]


def _days_of(stories: Sequence[Story]) -> list[Day]:
    """The days of a few runs, out of their outlays."""
    found: dict[float, dict[int, list[Outlay]]] = {}
    for story in stories:
        for one in story.outlays:
            found.setdefault(one.day, {}).setdefault(story.run_id, []).append(one)
    whose = {story.run_id: story for story in stories}
    days = []
    for since, runs in sorted(found.items()):
        sums = add_up((one for own in runs.values() for one in own), since, since + DAY)
        shares = [
            whose[run_id].share(one)
            for run_id, own in runs.items()
            for one in add_up(own, since, since + DAY)
        ]
        days.append(Day(since, since + DAY, sums, shares))
    return days


def _story(journal: Journal, share: Share, wanted: EntryFilter) -> Story:
    run_id = share.run_id or 0
    run = journal.find(share.job, share.key or "")
    if run is not None and run.id != run_id:  # pruned, and begun anew since
        run = None
    return _told_of(journal, run_id, run, journal.ledger.outlays(run_id, wanted), share)


def _told_of(
    journal: Journal,
    run_id: int,
    run: Run | None,
    outlays: list[Outlay],
    whose: Run | Outlay | Share,
) -> Story:
    history = journal.history(run_id)
    return Story(
        run_id=run_id,
        job=whose.job,
        key=whose.key or "",
        tenant=whose.tenant,
        run=run,
        attempts=history.attempts,
        arrivals=history.arrivals,
        outlays=outlays,
    )


def _parked(journal: Journal, wanted: EntryFilter, key: str | None) -> list[RunSummary]:
    asked = RunFilter(RunState.PARKED, wanted.job, key=key, tenant=wanted.tenant, limit=MOST_PARKED)
    found = journal.runs(asked)
    return [one for one in found if wanted.since <= one.run.updated_at < wanted.until]
