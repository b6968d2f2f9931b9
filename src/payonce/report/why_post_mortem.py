"""Reading: `payonce why --markdown`, a post-mortem to paste."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from payonce.ledger import Account, Story
from payonce.report import text
from payonce.report.why_next import to_do
from payonce.report.why_sentence import besides, saved, sentence
from payonce.report.why_tree import Node, trees
from payonce.report.why_view import amount, by_model, in_doubt, notes
from payonce.report.why_words import clock, deliveries, money, paid

_MARKS = re.compile(r"([\\`*_\[\]<>|#])")


def post_mortem(account: Account, chosen: str) -> str:
    """The same as Markdown, with what was seen of the dearest runs in the order of time."""
    return "\n".join(_lines(account, chosen)) + "\n"


def _lines(account: Account, chosen: str) -> Iterator[str]:
    yield from ("# What happened", "", plain(sentence(account)))
    for line in besides(account):
        yield from ("", plain(line))
    yield from ("", f"Period: {plain(chosen)}.", "", "## What it cost", "")
    yield f"- Paid: {plain(paid(account.sums) if account.sums else 'nothing')}"
    for one in account.sums:
        if one.wasted:
            count = text.plural(one.wasted, "receipt")
            yield f"- Wasted: {money(one.waste, one.currency)}, {count}"
    yield f"- In doubt: {plain(in_doubt(account))}"
    yield f"- Saved: {plain(saved(account))}"
    if (models := by_model(account)) is not None:
        yield f"- By model: {plain(models)}"
    for one in account.sums:
        if nodes := trees(account, one.currency):
            yield from ("", "| where | paid | calls | |", "|---|--:|--:|---|")
            yield from _table(nodes)
    told = [story for story in account.stories if story.arrivals]
    if told:
        yield from ("", "## How it came", "")
        for story in told[:3]:
            yield from _timeline(story)
    yield from ("", "## What to do now", "")
    yield from (f"- {plain(line)}" for line in to_do(account))


def _table(nodes: Sequence[Node]) -> Iterator[str]:
    for top in nodes:
        for guide, node in top.lines():
            indent = "&nbsp;&nbsp;" * (len(guide) // 3)
            cells = (amount(node.sum), str(node.sum.calls), plain(notes(node)))
            yield f"| {indent}{plain(node.name)} | {' | '.join(cells)} |"


def _timeline(story: Story) -> Iterator[str]:
    first, last = story.arrivals[0], story.arrivals[-1]
    yield f"Run {plain(story.key)} of {plain(story.job)}: {plain(deliveries(story.arrivals))}."
    yield ""
    moments = [(first.at, "first delivery")]
    for attempt in story.attempts[:20]:
        moments.append((attempt.started_at, f"attempt {attempt.number} began"))
        if attempt.ended_at is not None:
            reason = f": {text.short(attempt.reason, 160)}" if attempt.reason else ""
            ended = f"attempt {attempt.number} ended, {attempt.outcome}{reason}"
            moments.append((attempt.ended_at, ended))
    if len(story.arrivals) > 1:
        moments.append((last.at, "last delivery"))
    for at, what in sorted(moments, key=lambda moment: moment[0]):
        yield f"- {clock(at)} UTC: {plain(what)}"
    yield ""


def plain(words: str) -> str:
    """A text that Markdown shows as it is: names and errors are anybody's."""
    return _MARKS.sub(r"\\\1", words)
