"""Reading: the one sentence with which `payonce why` begins, and those that follow it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from payonce.journal.ledger import Share, Sum
from payonce.ledger import Account, Day, Story, add_up, added
from payonce.model import Attempt, Run, RunState
from payonce.report import text
from payonce.report.causes import by_cause
from payonce.report.why_words import both, day, deliveries, money, paid, percent, sums

_HALF = 0.5
"""What has half of a day's money, or more, stands out."""
_TENTH, _TENFOLD = 0.1, 10
"""So does a run with a tenth of it that has ten times as much as the next one. Ours."""


@dataclass(frozen=True, slots=True)
class Group:
    """The part of a day's money that one run, tenant or job has."""

    what: str
    sum: Sum
    shares: tuple[Share, ...]

    @property
    def run_id(self) -> int | None:
        """The run, where it is one."""
        return self.shares[0].run_id if len(self.shares) == 1 else None

    def has(self, run: Run) -> bool:
        """Whether a run is of its job and tenant."""
        return any((share.job, share.tenant) == (run.job, run.tenant) for share in self.shares)


def sentence(account: Account) -> str:
    """Which share of which day's money went where, and how that came."""
    focus = focus_of(account)
    if focus is None:
        return _nothing(account)
    one = the_sum(focus, account.currency)
    found = _standing_out(focus, one)
    if found is None:
        return _flat(focus, one)
    by_money = one.paid > 0
    share = percent(found.sum.paid, one.paid) if by_money else percent(found.sum.calls, one.calls)
    whole = (
        f"the {money(one.paid, one.currency)} that was paid"
        if by_money
        else f"the {text.plural(one.calls, 'paid call')}, of unknown price,"
        if one.unpriced
        else f"the {text.plural(one.calls, 'paid call')}, which cost nothing,"
    )
    start = f"{share} of {whole} on {day(focus.since)} went to {found.what}"
    story = next((s for s in account.stories if s.run_id == found.run_id), None)
    return (
        f"{start}: {told(story, found.sum)}." if story else f"{start}{_parked_of(found, account)}."
    )


def focus_of(account: Account) -> Day | None:
    """The day that the sentence is about: the one that cost most, the last of equals."""
    days = [day for day in account.days if the_sum(day, account.currency).calls]
    if not days:
        return None

    def dearness(day: Day) -> tuple[int, int, float]:
        one = the_sum(day, account.currency)
        return one.paid, one.calls, day.since

    return max(days, key=dearness)


def the_sum(day: Day, currency: str) -> Sum:
    """What a day cost in one currency."""
    nothing = Sum(day.since, day.until, currency, 0, 0, 0, 0, 0, 0)
    return next((one for one in day.sums if one.currency == currency), nothing)


def _standing_out(day: Day, whole: Sum) -> Group | None:
    """The run, else the tenant, else the job that has most of it; one of one doesn't stand out."""
    shares = [share for share in day.shares if share.sum.currency == whole.currency]
    single = [share for share in shares if share.run_id is not None]
    tenants = _groups(shares, lambda share: share.tenant, "tenant")
    jobs = _groups(shares, lambda share: share.job, "job")
    runs = [Group(f"one run, {_whose(share)}", share.sum, (share,)) for share in single]
    weights = sorted((_weight(run.sum, whole) for run in runs), reverse=True)
    if len(weights) > 1 and weights[0] >= max(_TENTH, _TENFOLD * weights[1]):
        return max(runs, key=lambda run: _weight(run.sum, whole))
    for groups, at_least in ((runs, 1), (tenants, 2), (jobs, 2)):
        best = max(groups, key=lambda group: _weight(group.sum, whole), default=None)
        if best and len(groups) >= at_least and _weight(best.sum, whole) >= _HALF:
            return best
    return None


def _weight(part: Sum, whole: Sum) -> float:
    if whole.paid:
        return part.paid / whole.paid
    return part.calls / whole.calls if whole.calls else 0.0


def _groups(shares: Iterable[Share], name: Callable[[Share], str | None], word: str) -> list[Group]:
    found: dict[str, list[Share]] = {}
    for share in shares:
        if (called := name(share)) is not None:
            found.setdefault(called, []).append(share)
    groups = []
    for called, same in found.items():
        total, runs = same[0].sum, sum(share.runs for share in same)
        for share in same[1:]:
            total = added(total, share.sum)
        jobs = sorted({share.job for share in same})
        of_jobs = f" of {both(jobs)}" if word == "tenant" and len(jobs) <= 3 else ""
        what = f"{word} {called} ({text.plural(runs, 'run')}{of_jobs})"
        groups.append(Group(what, total, tuple(same)))
    return groups


def _flat(day_: Day, whole: Sum) -> str:
    shares = [share for share in day_.shares if share.sum.currency == whole.currency]
    runs = sum(share.runs for share in shares)
    single = [share for share in shares if share.run_id is not None]
    start = (
        f"No run, tenant or job stands out on {day(day_.since)}: "
        f"{paid([whole])} went to {text.plural(runs, 'run')}"
    )
    if not single:
        return f"{start}."
    dearest = max(single, key=lambda share: (share.sum.paid, share.sum.calls))
    share = percent(dearest.sum.paid, whole.paid) if whole.paid else ""
    took = f"took {share[0].lower()}{share[1:]}" if share else "is one of them"
    return f"{start}; the dearest, {_whose(dearest)}, {took}."


def _parked_of(group: Group, account: Account) -> str:
    causes = by_cause([one for one in account.parked if group.has(one.run)])
    if not causes:
        return ""
    most = causes[0]
    by_one = "is parked" if len(most) == 1 else "are parked by one cause"
    return f"; {text.plural(len(most), 'run')} {by_one}: {cause(most[0].run.reason)}"


def _nothing(account: Account) -> str:
    doubt = len(account.doubts)
    parts = [f"{text.plural(doubt, 'call')} may have been billed"] if doubt else []
    if account.stories:
        story = account.stories[0]
        nothing = Sum(0, 0, account.currency, 0, 0, 0, 0, 0, 0)
        parts.append(f"{_whose(story)}: {told(story, nothing)}")
    elif account.parked:
        run = by_cause(account.parked)[0][0].run
        more = len(account.parked) - 1
        others = f" (and {more} more)" if more else ""
        parts.append(f"{_whose(run)} parked{others}: {cause(run.reason)}")
        further = sum({one.run_id: one.deliveries for one in account.replayed}.values())
        if further:
            parts.append(f"{_further(further)} cost nothing")
    elif account.key is not None:
        parts.append("its runs have paid nothing")
    said = "; ".join(parts)
    return f"Nothing was paid for in this period{f': {said}' if said else ''}."


def _whose(one: Share | Story | Run) -> str:
    of_tenant = f" of tenant {one.tenant}" if one.tenant else ""
    return f"{one.job} {one.key}{of_tenant}"


def cause(reason: str | None) -> str:
    """The first sentence of a reason: what comes after it is said as what to do."""
    return text.short((reason or "").partition(". ")[0], 160).rstrip(".") or "no reason is recorded"


def told(story: Story, cost: Sum) -> str:
    """How a run came to cost what it did."""
    parts = []
    if story.arrivals:
        parts.append(deliveries(story.arrivals))
    parts += [_failing(story), _turned_away(story), _ended(story), _use(story, cost)]
    return "; ".join(part for part in parts if part)


def _failing(story: Story) -> str:
    failed = [one for one in story.attempts if one.outcome in ("parked", "retry", "lost")]
    if not failed:
        return ""
    causes = _causes(failed)
    most = causes[0]
    how = f"{_at(most[0])}: {_reason(most[0])}"
    if len(failed) == 1:
        word = {"parked": "it parked", "retry": "its first try failed"}.get(
            failed[0].outcome or "", "its worker was lost"
        )
        return f"{word}{how}"
    if len(causes) == 1:
        who = "each" if len(failed) == len(story.attempts) else f"{len(failed)} attempts"
        return f"{who} failing{how}" if who == "each" else f"{who} failed{how}"
    return f"{len(failed)} attempts failed, {len(most)} of them{how}"


def _causes(failed: Sequence[Attempt]) -> list[list[Attempt]]:
    """Failed attempts, those of one cause and place together, the most frequent first."""

    def same_as(attempt: Attempt) -> tuple[str, str]:
        return attempt.fingerprint or attempt.outcome or "", attempt.at_step or ""

    same = [list(group) for _, group in groupby(sorted(failed, key=same_as), key=same_as)]
    return sorted(same, key=len, reverse=True)


def _at(attempt: Attempt) -> str:
    if attempt.at_step is None:
        return ""
    return f" {'in' if attempt.outcome == 'lost' else 'after'} {attempt.at_step}"


def _reason(attempt: Attempt) -> str:
    if attempt.outcome == "lost":
        return "its attempt ended without a word"
    return cause(attempt.reason)


def _turned_away(story: Story) -> str:
    count = len(story.turned_away)
    if not count:
        return ""
    return f"the {_further(count)} while it was parked cost nothing"


def _ended(story: Story) -> str:
    """What has become of it, and what going on has cost."""
    run = story.run
    if run is None:
        return "its attempts and deliveries have been pruned since"
    match run.state:
        case RunState.DONE:
            if run.attempt == 1:
                return "it is done"
            later = [one for one in story.outlays if one.attempt == run.attempt]
            spent = add_up(later, 0, 0)
            calls = sum(one.calls for one in spent)
            cost = f"paying {paid(spent)} more" if calls else "paying nothing again"
            return f"attempt {run.attempt} ended it, {cost}"
        case RunState.PARKED if run.held:
            return "it is held at the door"
        case RunState.PARKED:
            waits = " or ".join(run.wakes_on)
            return f"it waits until the {waits} changes" if waits else "it waits for a person"
        case RunState.WAITING:
            return "it waits for its next try"
        case _:
            return "an attempt is at work"


def _use(story: Story, cost: Sum) -> str:
    """How much of it was of use."""
    known = cost.paid > 0
    parts = []
    if cost.wasted:
        wasted = money(cost.waste, cost.currency) if cost.waste else f"{cost.wasted} receipts"
        parts.append(f"{wasted} wasted")
    if story.run is not None and story.run.state is not RunState.DONE and cost.calls > cost.wasted:
        left = money(cost.paid - cost.waste, cost.currency) if known else "what was paid"
        parts.append(f"{left} not yet of use")
    if cost.doubt > 0:
        parts.append(f"up to {money(cost.doubt, cost.currency)} more in doubt")
    return ", ".join(parts)


def besides(account: Account) -> list[str]:
    """What the sentence leaves out: other currencies, what is not known."""
    lines = []
    for one in account.sums:
        if one.currency != account.currency and (one.paid or one.calls > one.unpriced):
            calls = text.plural(one.calls - one.unpriced, "call")
            lines.append(f"Besides, {money(one.paid, one.currency)} was paid by {calls}.")
    unknown = sum(one.unpriced for one in account.sums)
    if unknown:
        calls = text.plural(unknown, "paid call")
        lines.append(
            f"{calls} of unknown price stand{'s' if unknown == 1 else ''} beside these amounts; "
            "app.prices(...) tells what they cost."
        )
    gone = [story for story in account.stories if story.run is None]
    if gone:
        lines.append(
            f"{text.plural(len(gone), 'run')} of these {'has' if len(gone) == 1 else 'have'} been "
            "pruned since: the money is known, the attempts and deliveries are not."
        )
    return lines


def saved(account: Account) -> str:
    """What was replayed, and what that would have cost."""
    found: dict[str, int] = {}
    for one in account.replayed:
        if one.currency is not None and one.saved:
            found[one.currency] = found.get(one.currency, 0) + one.saved
    deliveries_ = sum({one.run_id: one.deliveries for one in account.replayed}.values())
    if not deliveries_:
        return "nothing: no run was delivered again"
    calls, unknown = (
        sum(one.calls for one in account.replayed),
        sum(one.unpriced for one in account.replayed),
    )
    if not calls:
        return f"nothing: the {_further(deliveries_)} found no receipt"
    amount = sums((found[currency], currency) for currency in sorted(found))
    price = amount if found else "an unknown amount"
    beside = f", {unknown} of unknown price" if unknown and found else ""
    return (
        f"{price}: {_further(deliveries_)} would have paid {text.plural(calls, 'receipt')} "
        f"again{beside}"
    )


def _further(count: int) -> str:
    return text.plural(count, "further delivery", "further deliveries")
