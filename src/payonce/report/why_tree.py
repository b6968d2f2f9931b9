"""Reading: where a period's money went, as a tree: day, job, tenant, run, attempt, step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from payonce.journal.ledger import Again, Outlay, Share, Sum
from payonce.ledger import DAY, Account, Day, Story, add_up, added
from payonce.model import Attempt
from payonce.report import text
from payonce.report.why_words import again as further_deliveries
from payonce.report.why_words import day as day_named

_MOST = 5
"""How many branches of one twig are shown one by one."""
_OPENED = 0.1
"""What has less than this part of its day is not opened, but for the first."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the money with the parts that it consists of; `whole` is that of its day."""

    name: str
    sum: Sum
    note: str = ""
    children: tuple[Node, ...] = ()

    def lines(self, guide: str = "", branch: str = "") -> Iterator[tuple[str, Node]]:
        """This node and all below it, each with what is drawn before its name."""
        yield branch, self
        for number, child in enumerate(self.children):
            last = number == len(self.children) - 1
            yield from child.lines(
                guide + ("   " if last else "│  "), guide + ("└─ " if last else "├─ ")
            )


def trees(account: Account, currency: str) -> list[Node]:
    """The days of a period, in one currency; those that were looked into with their branches."""
    stories = {story.run_id: story for story in account.stories}
    found = []
    for day in account.days:
        for whole in day.sums:
            if whole.currency == currency:
                again = [one for one in account.again if one.day <= day.since < one.day + DAY]
                children = _jobs(day, whole, stories, again)
                found.append(Node(day_named(day.since), whole, "", children))
    return found


def _jobs(
    day: Day, whole: Sum, stories: dict[int, Story], again: Sequence[Again]
) -> tuple[Node, ...]:
    shares = [share for share in day.shares if share.sum.currency == whole.currency]
    return _branches(
        shares,
        again,
        whole,
        lambda one: f"job {one.job}",
        lambda same, own: _tenants(same, own, whole, stories),
    )


def _tenants(
    shares: Sequence[Share], again: Sequence[Again], whole: Sum, stories: dict[int, Story]
) -> tuple[Node, ...]:
    if all(share.tenant is None for share in shares):
        return _runs(shares, whole, stories)
    return _branches(
        shares,
        again,
        whole,
        lambda one: f"tenant {one.tenant}" if one.tenant else "no tenant",
        lambda same, own: _runs(same, whole, stories),
    )


def _branches(
    shares: Sequence[Share],
    again: Sequence[Again],
    whole: Sum,
    name: Callable[[Share | Again], str],
    open_: Callable[[Sequence[Share], Sequence[Again]], tuple[Node, ...]],
) -> tuple[Node, ...]:
    found: dict[str, list[Share]] = {}
    for share in shares:
        found.setdefault(name(share), []).append(share)
    groups = sorted(
        ((named, same, _total(share.sum for share in same)) for named, same in found.items()),
        key=lambda group: (-group[2].paid, -group[2].calls, group[0]),
    )
    nodes = []
    for n, (named, same, total) in enumerate(groups[:_MOST]):
        own = [one for one in again if name(one) == named]
        children = open_(same, own) if _is_opened(n, total, whole) else ()
        nodes.append(Node(named, total, _count(same, own), children))
    rest = groups[_MOST:]
    if rest:
        word = name(rest[0][1][0]).partition(" ")[0]
        nodes.append(Node(f"{len(rest)} more {word}s", _total(total for _, _, total in rest)))
    return tuple(nodes)


def _count(shares: Iterable[Share], again: Iterable[Again]) -> str:
    runs = text.plural(sum(share.runs for share in shares), "run")
    further = further_deliveries(again)
    return f"{runs}, {further}" if further else runs


def _is_opened(number: int, part: Sum, whole: Sum) -> bool:
    if whole.paid:
        return number == 0 or part.paid >= _OPENED * whole.paid
    return number == 0 or part.calls >= _OPENED * whole.calls


def _runs(shares: Sequence[Share], whole: Sum, stories: dict[int, Story]) -> tuple[Node, ...]:
    single = [share for share in shares if share.run_id is not None]
    nodes = [
        _run(share, stories.get(share.run_id or 0) if _is_opened(n, share.sum, whole) else None)
        for n, share in enumerate(single[:_MOST])
    ]
    rest = [*single[_MOST:], *(share for share in shares if share.run_id is None)]
    if rest:
        count = sum(share.runs for share in rest)
        total = _total(share.sum for share in rest)
        nodes.append(Node(f"{text.plural(count, 'more run', 'more runs')}", total))
    return tuple(nodes)


def _run(share: Share, story: Story | None) -> Node:
    state = share.state.value if share.state else "pruned since"
    children = () if story is None else _attempts(story, share.sum)
    return Node(f"run {share.key}", share.sum, state, children)


def _attempts(story: Story, whole: Sum) -> tuple[Node, ...]:
    outlays = [one for one in story.outlays if one.day <= whole.since < one.day + DAY]
    known = {attempt.number: attempt for attempt in story.attempts}
    started = {n for n, a in known.items() if whole.since <= a.started_at < whole.until}
    numbers = sorted({one.attempt for one in outlays} | started)
    nodes = []
    for number in numbers:
        own = [one for one in outlays if one.attempt == number]
        total = _in_currency(own, whole)
        nodes.append(
            Node(f"attempt {number}", total, _outcome(known.get(number)), _steps(own, whole))
        )
    if len(nodes) <= _MOST + 1:
        return tuple(nodes)
    hidden = nodes[_MOST - 1 : -1]
    between = f"{len(hidden)} more attempts"
    return (*nodes[: _MOST - 1], Node(between, _total(n.sum for n in hidden)), nodes[-1])


def _outcome(attempt: Attempt | None) -> str:
    if attempt is None:
        return ""
    outcome = attempt.outcome or "at work"
    return f"{outcome}: {text.short(attempt.reason, 72)}" if attempt.reason else outcome


def _steps(outlays: Sequence[Outlay], whole: Sum) -> tuple[Node, ...]:
    found: dict[str, list[Outlay]] = {}
    for one in outlays:
        found.setdefault(one.step, []).append(one)
    nodes = []
    for step, same in found.items():
        total = _in_currency(same, whole)
        if total.calls or total.doubt:
            models = sorted({one.model for one in same if one.model})
            nodes.append(Node(step, total, ", ".join(models)))
    nodes.sort(key=lambda node: (-node.sum.paid, -node.sum.calls))
    rest = nodes[_MOST:]
    more = [Node(f"{len(rest)} more steps", _total(n.sum for n in rest))] if rest else []
    return (*nodes[:_MOST], *more)


def _in_currency(outlays: Sequence[Outlay], whole: Sum) -> Sum:
    nothing = replace(whole, paid=0, waste=0, doubt=0, calls=0, unpriced=0, wasted=0)
    found = add_up(outlays, whole.since, whole.until)
    return next((one for one in found if one.currency == whole.currency), nothing)


def _total(sums: Iterable[Sum]) -> Sum:
    first, *others = sums
    for other in others:
        first = added(first, other)
    return first
