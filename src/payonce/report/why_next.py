"""Reading: what a person can do now, the morning after."""

from __future__ import annotations

import shlex

from payonce import budget
from payonce.journal.ledger import Doubt
from payonce.ledger import Account, Story
from payonce.model import Run, RunState, WakesOn
from payonce.report import text
from payonce.report.causes import by_cause
from payonce.report.commands import command
from payonce.report.why_words import lasting

_LATELY = 3600.0
_NO_QUEUE = frozenset({"direct", "lookout", "wake"})
_MOST = 3


def to_do(account: Account) -> list[str]:
    """Sentences with commands, the most pressing first."""
    lines = [
        *_still_going(account),
        *_parked(account),
        *_doubts(account),
        *_wasted(account),
        *_look(account),
    ]
    return lines or ["Nothing."]


def _still_going(account: Account) -> list[str]:
    lines = []
    for story in account.stories:
        if not story.further or story.run is None or story.run.state is RunState.DONE:
            continue
        ago = account.now - story.arrivals[-1].at
        queued = story.arrivals[-1].delivery.queue not in _NO_QUEUE
        if queued and ago < _LATELY and len(story.further) > 1:
            lines.append(
                f"Deliveries of {story.key} still came {lasting(max(0.0, ago))} ago: "
                "take its message off the queue, or leave it: while the run is parked it is free."
            )
    return lines[:_MOST]


def _parked(account: Account) -> list[str]:
    lines = []
    failed = [one for one in account.parked if one.run.evidence != "InDoubt"]
    for cause in by_cause(failed)[:_MOST]:
        run = cause[0].run
        count = text.plural(len(cause), "run")
        go, alone = (
            ("they go on", "by themselves") if len(cause) > 1 else ("it goes on", "by itself")
        )
        wake = command(f"payonce wake MODULE:APP --job {shlex.quote(run.job)}")
        if run.wakes_on == (WakesOn.BUDGET,):
            what = f"{_raising(run)} raises the budget; {go} then"
        elif run.wakes_on:
            waits = " or ".join(run.wakes_on)
            what = f"change the {waits}; {go} {alone} then, or at once by {wake}"
        else:
            what = f"mend what failed, then {wake} --force"
        lines.append(f"{count} of {run.job} parked, {text.short(run.reason, 96)}: {what}.")
    return lines


def _raising(run: Run) -> str:
    """The command that raises the limit which a run was parked by."""
    rule = budget.of_fingerprint(run.fingerprint)
    return command(rule.command if rule is not None else "payonce budget set")


def _doubts(account: Account) -> list[str]:
    asked = [doubt for doubt in account.doubts if _is_open(doubt)]
    lines = [
        f"Find out whether call {doubt.entry.call_id} ({doubt.entry.step}) happened, then: "
        f"{command(f'payonce resolve {doubt.entry.call_id}')} {_words(doubt)}"
        for doubt in asked[:_MOST]
    ]
    if len(asked) > _MOST:
        every = command("payonce resolve --all")
        lines.append(f"So for {len(asked) - _MOST} more calls: {every} lists them.")
    if len(asked) < len(account.doubts):
        count = text.plural(len(account.doubts) - len(asked), "call")
        lines.append(f"{count} in doubt may be on the provider's bill: compare it with that day's.")
    return lines


def _is_open(doubt: Doubt) -> bool:
    """Whether only a person can say: it was not repeated, nobody has, and its run is there."""
    return doubt.resolution is None and doubt.repeat_nanos is None and doubt.reason is not None


def _words(doubt: Doubt) -> str:
    happened = "" if doubt.entry.source == "capture" else "--happened | "
    return f"{happened}--did-not-happen | --pay-again"


def _wasted(account: Account) -> list[str]:
    wasteful = [s for s in account.stories if any(one.sum.wasted for one in s.outlays)]
    return [
        f"See which answers of {story.key} did no good: {_show(story)} --answers"
        for story in wasteful[:_MOST]
        if story.run is not None
    ]


def _look(account: Account) -> list[str]:
    known = [story for story in account.stories if story.run is not None]
    return [f"See the whole of the dearest run: {_show(known[0])}"] if known else []


def _show(story: Story) -> str:
    return command(f"payonce show {shlex.quote(story.key)} --job {shlex.quote(story.job)}")
