"""On the path, from its other end: what is spent and delivered is looked at while the app works.

The lookout's thread does it, in one process of all, each half a minute; where the ledger is long
every two minutes, so that looks take a fiftieth of the time. What was ordinary is learnt once an
hour, of those only that have spent more than the floor. Nothing of it is on a delivery's way.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal, Protocol

from payonce import alarm, budget
from payonce.alarm import DAY, HOUR, Alarms
from payonce.journal.ledger import EntryFilter, Peak, Spent, Storm
from payonce.journal.protocol import Journal
from payonce.lease import owner
from payonce.money import Money
from payonce.notices import DeliveryStorm, Notice, RunStandsOut, RunTakesMost, UnusualSpending
from payonce.redact import redact

_EVERY = 30.0
_PART = 50
_MOST_SELDOM = 120.0
_MOST = 100
_FEW = 3
_LEASE = 120.0

Scope = Literal["job", "tenant", "app"]
Subject = tuple[Scope, str, str]
"""Whose spending it is: a job's or a tenant's by name, or that of all together; the currency."""


class App(Protocol):
    """What a look at the money needs of the app."""

    @property
    def journal(self) -> Journal:
        """The journal that its runs are kept in."""

    def tell(self, notice: Notice) -> None:
        """Put up a notice for hooks."""


class Alarming:
    """Looks at the money of an app's journal, and keeps what was ordinary for an hour."""

    def __init__(self, rules: Alarms | None, every: float | None = None) -> None:
        self._rules = rules
        self._every = _EVERY if every is None else min(every, _EVERY)
        self._next = 0.0
        self._hour = 0
        self._usual: dict[Subject, int | None] = {}
        self._dear: dict[tuple[str, str], list[Spent]] = {}

    def look(self, app: App) -> None:
        """Tell of what is unusual, if it is time to look, and no other process does."""
        if self._rules is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every
        if not app.journal.claim("alarms", owner(), _LEASE).now():
            return
        began = time.monotonic()
        for notice in self.found(app.journal, self._rules):
            app.tell(notice)
        ended = time.monotonic()
        self._next = max(self._next, ended + min(_MOST_SELDOM, _PART * (ended - began)))

    def found(self, journal: Journal, rules: Alarms) -> Iterator[Notice]:
        """All that is unusual now, told of or not."""
        now = journal.now()
        self._forget(now)
        yield from _storms(journal, rules, now)
        yield from self._rates(journal, rules, now)
        named = set()
        for notice in self._most(journal, rules, now):
            named.add((notice.job, notice.run_key))
            yield notice
        for far in self._far(journal, rules, now):
            if (far.job, far.run_key) not in named:
                yield far

    def _rates(self, journal: Journal, rules: Alarms, now: float) -> Iterator[Notice]:
        last = journal.ledger.spent(EntryFilter(now - HOUR, now + 1.0))
        yield from _over_the_hour(last, rules, now)
        spending = {
            subject: spent
            for subject, spent in _by_subject(last).items()
            if spent >= rules.floor_nanos
        }
        self._learn(journal, rules, spending, now)
        for subject, spent in spending.items():
            own = self._usual[subject]
            of_all = self._usual.get(("app", "", subject[2]))
            if alarm.unusual(spent, own, of_all, rules):
                scope, name, currency = subject
                usual = own if own is not None else of_all
                yield UnusualSpending(
                    "tenant" if scope == "tenant" else "job",
                    name,
                    Money(spent, currency),
                    Money(usual or 0, currency),
                    known=own is not None,
                    day=budget.period("day", now)[0],
                )

    def _most(self, journal: Journal, rules: Alarms, now: float) -> Iterator[RunTakesMost]:
        """Of each currency, the run that has cost most since midnight, UTC."""
        day, since, _ = budget.period("day", now)
        today = EntryFilter(since, now + 1.0)
        runs = journal.ledger.dearest(today, _MOST)
        if not runs or runs[0].nanos < rules.floor_nanos:
            return
        for total in journal.ledger.sums(today):
            own = [run for run in runs if run.currency == total.currency]
            if not own or not alarm.takes_most(own[0].nanos, total.paid, [0], rules):
                continue
            first = own[0]
            known = [*own[1:], *self._dearest(journal, rules, first, now)]
            others = [
                run.nanos for run in known if run.job == first.job and run.run_id != first.run_id
            ]
            if alarm.takes_most(first.nanos, total.paid, others, rules):
                yield RunTakesMost(
                    first.job,
                    first.key or "",
                    first.tenant,
                    Money(first.nanos, first.currency),
                    Money(total.paid, first.currency),
                    Money(max(others), first.currency) if others else None,
                    day,
                )

    def _far(self, journal: Journal, rules: Alarms, now: float) -> Iterator[RunStandsOut]:
        """Of a job, the run that has cost most since midnight, if no other came near it."""
        day, since, _ = budget.period("day", now)
        today = EntryFilter(since, now + 1.0)
        for run in _first_by_far(journal.ledger.dearest(today, _MOST), rules):
            same = journal.ledger.dearest(replace(today, job=run.job), _MOST)
            same += self._dearest(journal, rules, run, now)
            others = [
                each.nanos
                for each in same
                if each.run_id != run.run_id and each.currency == run.currency
            ]
            if alarm.stands_out(run.nanos, others, rules):
                paid, dearest = (Money(n, run.currency) for n in (run.nanos, max(others)))
                yield RunStandsOut(run.job, run.key or "", run.tenant, paid, dearest, day)

    def _learn(
        self, journal: Journal, rules: Alarms, spending: Iterable[Subject], now: float
    ) -> None:
        """What was ordinary before this hour, of those that it isn't known of, in a pass or two."""
        asked: defaultdict[Scope, set[str]] = defaultdict(set)
        for scope, name, currency in spending:
            if (scope, name, currency) not in self._usual:
                asked[scope].add(name)
                if ("app", "", currency) not in self._usual:
                    asked["app"].add("")
        end = now - HOUR
        for scope, names in asked.items():
            peaks: defaultdict[Subject, dict[int, Peak]] = defaultdict(dict)
            for each in journal.ledger.peaks(end - rules.days * DAY, end, scope, sorted(names)):
                peaks[scope, each.name, each.currency][each.day] = each
            for subject, by_day in peaks.items():
                earliest = max(each.hour for each in by_day.values())
                nanos = {day: each.nanos for day, each in by_day.items()}
                self._usual[subject] = alarm.ordinary(nanos, earliest, rules.days)
        for subject in (*spending, *(("app", "", currency) for _, _, currency in spending)):
            self._usual.setdefault(subject, None)

    def _dearest(self, journal: Journal, rules: Alarms, run: Spent, now: float) -> list[Spent]:
        """The dearest runs of a job in the days before this one; asked once an hour."""
        place = run.job, run.currency
        if place not in self._dear:
            midnight = budget.period("day", now)[1]
            wanted = EntryFilter(midnight - rules.days * DAY, midnight, job=run.job)
            found = journal.ledger.dearest(wanted, _MOST)
            self._dear[place] = [each for each in found if each.currency == run.currency]
        return self._dear[place]

    def _forget(self, now: float) -> None:
        """What was learnt holds for an hour."""
        if self._hour != int(now // HOUR):
            self._hour = int(now // HOUR)
            self._usual.clear()
            self._dear.clear()


def _by_subject(found: list[Spent]) -> Mapping[Subject, int]:
    spent: defaultdict[Subject, int] = defaultdict(int)
    for each in found:
        spent["job", each.job, each.currency] += each.nanos
        if each.tenant is not None:
            spent["tenant", each.tenant, each.currency] += each.nanos
    return spent


def _over_the_hour(found: list[Spent], rules: Alarms, now: float) -> Iterator[UnusualSpending]:
    """What a person has said that an hour may cost, and all together have passed."""
    most = rules.hour_nanos
    if most is None:
        return
    spent: defaultdict[str, int] = defaultdict(int)
    for each in found:
        spent[each.currency] += each.nanos
    for currency, nanos in spent.items():
        if nanos > most:
            day = budget.period("day", now)[0]
            paid, usual = Money(nanos, currency), Money(most, currency)
            yield UnusualSpending("app", "", paid, usual, known=True, day=day)


def _first_by_far(runs: list[Spent], rules: Alarms) -> list[Spent]:
    """Of each job the dearest run, where the next one is far behind; the dearest few of these."""
    by_job: defaultdict[tuple[str, str], list[Spent]] = defaultdict(list)
    for run in runs:
        by_job[run.job, run.currency].append(run)
    return [
        first
        for first, *rest in by_job.values()
        if alarm.may_stand_out(first.nanos, rest[0].nanos if rest else 0, rules)
    ][:_FEW]


def _storms(journal: Journal, rules: Alarms, now: float) -> Iterator[DeliveryStorm]:
    """The worst run of each cause, with how many others are delivered as often by it."""
    if rules.deliveries is None:
        return
    causes: defaultdict[tuple[str, str], list[Storm]] = defaultdict(list)
    for storm in journal.ledger.storms(now - HOUR, rules.deliveries):
        causes[storm.run.job, storm.run.fingerprint or ""].append(storm)
    for storms in causes.values():
        worst, run = storms[0], storms[0].run
        paid = [
            entry
            for entry in journal.ledger.entries(run.id)
            if entry.kind == "settle" and entry.nanos and entry.at >= now - HOUR
        ]
        currency = paid[0].currency if paid else "USD"
        nanos = sum(entry.nanos or 0 for entry in paid if entry.currency == currency)
        yield DeliveryStorm(
            run.job,
            run.key,
            run.tenant,
            worst.deliveries,
            worst.queue,
            len(storms),
            run.state.value,
            redact(run.reason) if run.reason else None,
            run.fingerprint or "",
            Money(nanos, currency),
            budget.period("day", now)[0],
        )
