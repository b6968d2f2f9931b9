"""Reading: what a period cost, and how that came, out of the journal and its ledger.

Days are those of UTC, as on providers' bills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from payonce.delivery import LOOKOUT, WAKE
from payonce.journal.ledger import Doubt, EntryFilter, OfModel, Replayed, Share, Sum
from payonce.journal.protocol import Journal, RunFilter, RunSummary
from payonce.model import Arrival, Attempt, Run, RunState
from payonce.money import Entry

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

    Entries are those of the period; attempts and arrivals those of the run's whole life.
    """

    run_id: int
    job: str
    key: str
    tenant: str | None
    run: Run | None
    attempts: list[Attempt]
    arrivals: list[Arrival]
    entries: list[Entry]

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
    at which it was read. `models` is None where there are too many calls to tell them apart.
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


def add_up(entries: Sequence[Entry], since: float, until: float) -> list[Sum]:
    """What entries add up to, by currency, as `Ledger.sums` does it."""
    parents = {entry.parent_id for entry in entries}
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        hollow = entry.kind == "settle" and entry.nanos is None and entry.call_id in parents
        if entry.kind in ("settle", "waste", "doubt") and not hollow:
            found.setdefault(entry.currency, []).append(entry)
    return [_sum(since, until, currency, found[currency]) for currency in sorted(found)]


def _sum(since: float, until: float, currency: str, entries: Sequence[Entry]) -> Sum:
    def amount(kind: str) -> int:
        return sum(entry.nanos or 0 for entry in entries if entry.kind == kind)

    settled = [entry for entry in entries if entry.kind == "settle"]
    return Sum(
        since=since,
        until=until,
        currency=currency,
        paid=amount("settle"),
        waste=amount("waste"),
        doubt=amount("doubt"),
        calls=len(settled),
        unpriced=sum(entry.nanos is None for entry in settled),
        wasted=sum(entry.kind == "waste" for entry in entries),
    )


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
    if key is None:
        days = _days(journal, wanted, tell)
        shown = _told(days)
        stories = [_story(journal, share, wanted) for share in shown]
    else:
        stories = _stories_of(journal, key, wanted)
        days = _days_of(stories)
    tell("looking for doubts and repeats")
    doubts, replayed = journal.ledger.doubts(wanted), journal.ledger.replayed(wanted)
    if key is not None:
        doubts = [doubt for doubt in doubts if doubt.entry.key == key]
        replayed = [one for one in replayed if one.key == key]
    parked = _parked(journal, wanted, key)
    now, models = journal.now(), _models(journal, wanted, key, days, stories)
    return Account(wanted, key, now, days, stories, doubts, replayed, parked, models)


def _models(
    journal: Journal, wanted: EntryFilter, key: str | None, days: list[Day], stories: list[Story]
) -> list[OfModel] | None:
    if key is None:
        few = sum(one.calls for day in days for one in day.sums) <= MOST_CALLS
        return journal.ledger.models(wanted) if few else None
    entries = [entry for story in stories for entry in story.entries]
    parents = {entry.parent_id for entry in entries}
    own = [entry for entry in entries if entry.nanos is not None or entry.call_id not in parents]
    found = [
        OfModel(model, one)
        for model in {entry.model for entry in own}
        for one in add_up([e for e in own if e.model == model], wanted.since, wanted.until)
    ]
    return sorted(found, key=lambda each: (-each.sum.paid, -each.sum.calls, each.model or ""))


def _days(journal: Journal, wanted: EntryFilter, tell: Callable[[str], None]) -> list[Day]:
    midnight = -(-wanted.since // DAY) * DAY
    begun = replace(wanted, until=min(midnight, wanted.until))
    sums = journal.ledger.sums(begun) if wanted.since < midnight else []
    if midnight < wanted.until:
        sums += journal.ledger.sums(replace(wanted, since=midnight), DAY)
    days = [
        Day(since, until, list(same), [])
        for (since, until), same in groupby(sums, key=lambda one: (one.since, one.until))
    ]
    opened: set[float] = set()
    calls = 0
    for day in sorted(days, key=_dearness, reverse=True)[:OPENED]:
        calls += sum(one.calls for one in day.sums)
        if calls <= MOST_CALLS or not opened:
            opened.add(day.since)
    for number, day in enumerate(days):
        if day.since in opened:
            tell("reading the dearest days")
            asked = replace(wanted, since=day.since, until=day.until)
            days[number] = replace(day, shares=journal.ledger.shares(asked, MOST_RUNS))
    return days


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


def _entries(journal: Journal, run_id: int, wanted: EntryFilter) -> list[Entry]:
    return [
        entry
        for entry in journal.ledger.entries(run_id)
        if wanted.since <= entry.at < wanted.until
        and wanted.tenant in (None, entry.tenant)
        and wanted.job in (None, entry.job)
    ]


def _stories_of(journal: Journal, key: str, wanted: EntryFilter) -> list[Story]:
    """The runs of a key, those that have been pruned since, and those that paid nothing, too."""
    asked = RunFilter(key=key, job=wanted.job, tenant=wanted.tenant, limit=MOST_RUNS)
    known = {one.run.id: one.run for one in journal.runs(asked)}
    ids = dict.fromkeys([*known, *journal.ledger.runs_of(key, wanted.job)])
    found = [(run_id, known.get(run_id), _entries(journal, run_id, wanted)) for run_id in ids]
    return [
        _told_of(journal, run_id, run, entries, run or entries[0])
        for run_id, run, entries in found
        if run or entries
    ]


def _days_of(stories: Sequence[Story]) -> list[Day]:
    """The days of a few runs, out of their entries."""
    found: dict[float, dict[int, list[Entry]]] = {}
    for story in stories:
        for entry in story.entries:
            runs = found.setdefault(entry.at // DAY * DAY, {})
            runs.setdefault(story.run_id, []).append(entry)
    whose = {story.run_id: story for story in stories}
    days = []
    for since, runs in sorted(found.items()):
        sums = add_up([e for own in runs.values() for e in own], since, since + DAY)
        shares = [
            whose[run_id].share(one)
            for run_id, own in runs.items()
            for one in add_up(own, since, since + DAY)
        ]
        if sums:
            days.append(Day(since, since + DAY, sums, shares))
    return days


def _story(journal: Journal, share: Share, wanted: EntryFilter) -> Story:
    run_id = share.run_id or 0
    run = journal.find(share.job, share.key or "")
    if run is not None and run.id != run_id:  # pruned, and begun anew since
        run = None
    return _told_of(journal, run_id, run, _entries(journal, run_id, wanted), share)


def _told_of(
    journal: Journal,
    run_id: int,
    run: Run | None,
    entries: list[Entry],
    whose: Run | Entry | Share,
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
        entries=entries,
    )


def _parked(journal: Journal, wanted: EntryFilter, key: str | None) -> list[RunSummary]:
    asked = RunFilter(RunState.PARKED, wanted.job, key=key, tenant=wanted.tenant, limit=MOST_PARKED)
    found = journal.runs(asked)
    return [one for one in found if wanted.since <= one.run.updated_at < wanted.until]
