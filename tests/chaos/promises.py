"""The promises, held against the provider's bill after an attack."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from tests.chaos.fleet import Outcome
from tests.journal.stores import Store
from tests.journal.sums import add_up

from payonce.journal.payload import grow
from payonce.journal.protocol import Journal, RunFilter
from payonce.model import Attempt, Call, CallState, Run, RunState

PARTS = ("one", "two", "three")
_LANES = {"in_threads": 3, "in_tasks": 3}
_OPEN = (CallState.INTENDED, CallState.IN_DOUBT)


def hold(outcome: Outcome, journal: Journal, store: Store) -> dict[str, int]:
    """Hold an outcome against the promises; what was counted is returned.

    Raises:
        AssertionError: one of them was broken; the message begins with the seed.
    """
    about = str(outcome.attack)
    runs = [summary.run for summary in journal.runs(RunFilter(limit=1_000_000))]
    assert len(runs) == outcome.attack.runs, about
    billed: defaultdict[str, list[int]] = defaultdict(list)
    for line in outcome.bill:
        billed[line.label].append(line.cost_nanos)
    counts: Counter[str] = Counter()
    for run in runs:
        where = f"{about}: {run.job} {run.key}"
        calls, attempts = journal.calls(run.id), journal.history(run.id).attempts
        _every_run_ends(run, where)
        for label, step in _by_label(run, calls).items():
            _each_bill_is_accounted_for(step, billed.pop(label, []), f"{about}: {run.job} {label}")
            _twice_only_where_it_was_in_doubt(step, attempts, f"{about}: {run.job} {label}")
        counts["starved"] += _one_doubt_per_crash_and_lane(run, calls, attempts, outcome, where)
        _all_hear_the_same(run, outcome, where)
        counts[f"{run.state} {run.evidence if run.state is RunState.PARKED else ''}".strip()] += 1
        counts["in doubt"] += sum(call.state in _OPEN for call in calls)
        counts["receipts"] += sum(call.state is CallState.PAID for call in calls)
    if not outcome.attack.outages:
        assert counts["starved"] <= 2 + len(runs) / 20, f"{about}: {counts}"
    _the_ledger_is_the_bill(outcome, journal, store, about)
    _rows_are_written_once(runs, store, about)
    assert not billed, f"{about}: billed, and no run knows of it: {dict(billed)}"
    return dict(counts) | {"billed": len(outcome.bill), "crashes": outcome.crashes}


def _rows_are_written_once(runs: Sequence[Run], store: Store, about: str) -> None:
    """What was written in the transaction that ended its run is there exactly once."""
    rows = sorted(name for (name,) in store.execute("SELECT name FROM courses"))
    done = [run.key for run in runs if run.job == "completed" and run.state is RunState.DONE]
    assert rows == sorted(done), about


def _the_ledger_is_the_bill(outcome: Outcome, journal: Journal, store: Store, about: str) -> None:
    """To the nano: what was billed is settled, or may have been and is named as in doubt."""
    journal.ledger.expire().now()
    sums = add_up(store.execute)
    assert sums.held == 0, f"{about}: held {sums.held}"
    doubts = {call.id: call for call in _in_doubt(journal)}
    assert doubts.keys() == sums.doubts.keys(), about
    recorded = _answers_recorded(journal)
    unrecorded = [call for call in outcome.bill if str(call.n) not in recorded]
    in_doubt = sum(call.cost_nanos for call in unrecorded)
    billed = sum(call.cost_nanos for call in outcome.bill)
    assert sums.spent == billed - in_doubt, f"{about}: {sums.spent} of {billed}, {in_doubt}"
    assert len(unrecorded) <= len(doubts), f"{about}: {unrecorded} and {doubts}"
    assert in_doubt <= sum(ceiling or 0 for ceiling in sums.doubts.values()), about


def _in_doubt(journal: Journal) -> list[Call]:
    runs = [summary.run for summary in journal.runs(RunFilter(limit=1_000_000))]
    return [c for run in runs for c in journal.calls(run.id) if c.state is CallState.IN_DOUBT]


def _answers_recorded(journal: Journal) -> set[str]:
    """The numbers of the billed calls whose answers are receipts."""
    numbers: set[str] = set()
    for summary in journal.runs(RunFilter(limit=1_000_000)):
        for call in journal.calls(summary.run.id):
            if call.answer is not None:
                body = grow(call.answer).body.decode("utf-8", "replace")
                numbers.update(re.findall(r"Answer (\d+) ", body))
    return numbers


def _every_run_ends(run: Run, where: str) -> None:
    assert run.state in (RunState.DONE, RunState.PARKED), f"{where} is {run.state}"


def _by_label(run: Run, calls: Sequence[Call]) -> dict[str, list[Call]]:
    """The sends of each text; those of captured calls are told apart by their order."""
    steps = defaultdict(list)
    for call in sorted(calls, key=lambda call: call.id):
        steps[call.step_key, call.occurrence].append(call)
    names = zip(PARTS, steps.values(), strict=False)
    captured = {id(step): part for part, step in names if step[0].source == "capture"}
    return {f"{run.key}-{captured.get(id(s), s[0].name)}": s for s in steps.values()}


def _each_bill_is_accounted_for(step: Sequence[Call], billed: Sequence[int], where: str) -> None:
    """Each receipt has the amount of a line of the bill, to the nano; what is over is in doubt."""
    receipts = [call.cost_nanos for call in step if call.state is CallState.PAID]
    doubts = sum(call.state in _OPEN for call in step)
    told = f"{where}: billed {billed}, receipts {receipts}, {doubts} in doubt"
    assert len(receipts) <= len(billed) <= len(receipts) + doubts, told
    assert not Counter(receipts) - Counter(billed), told
    if step[0].name == "charge":
        assert len(billed) <= 1, told


def _twice_only_where_it_was_in_doubt(
    step: Sequence[Call], attempts: Sequence[Attempt], where: str
) -> None:
    """A step is sent again only by a later attempt, after one that went without a word."""
    lost = {attempt.number for attempt in attempts if attempt.outcome == "lost"}
    silent = [call for call in step if call.state is not CallState.RELEASED]
    for before, after in pairwise(silent):
        assert before.attempt < after.attempt, f"{where}: sent twice in one attempt"
        assert before.attempt in lost or before.state in _OPEN, f"{where}: repeated without a doubt"
    assert len(silent) <= 2, f"{where}: repeated more than once"


def _one_doubt_per_crash_and_lane(
    run: Run, calls: Sequence[Call], attempts: Sequence[Attempt], outcome: Outcome, where: str
) -> int:
    """Who left a call in doubt was killed or stopped, and had no more of them than lanes.

    Where one of several lanes stops an attempt, what the others have in flight is in doubt, too.
    Returned are the attempts that lost their lease without any of it: a machine under load stops
    processes as well.
    """
    harmed = {w.pid for w in outcome.workers if w.stopped or w.code is not None}
    doubts = Counter(call.attempt for call in calls if call.state in _OPEN)
    by_number = {attempt.number: attempt for attempt in attempts}
    starved = 0
    for number, count in doubts.items():
        assert count <= _LANES.get(run.job, 1), f"{where}: {count} in doubt in one attempt"
        stopped = run.job in _LANES and by_number[number].outcome in ("parked", "retry")
        if int(by_number[number].owner.split("/")[-2]) not in harmed and not stopped:
            starved += 1
            lost = by_number[number].outcome == "lost" or outcome.attack.outages
            assert lost, f"{where}: in doubt without a crash: {by_number[number]}"
    return starved


def _all_hear_the_same(run: Run, outcome: Outcome, where: str) -> None:
    """Every delivery of a finished run hears one value, made of answers that were billed for it."""
    heard = set(outcome.answers.get(run.key, ()))
    if run.state is not RunState.DONE:
        assert not heard, f"{where}: heard {heard}"
        return
    assert len(heard) == 1, f"{where}: heard {heard}"
    texts = re.findall(r"Answer (\d+) · (\S+) a text", json.loads(heard.pop()))
    billed = {(str(call.n), call.label) for call in outcome.bill}
    assert texts, where
    assert set(texts) <= billed, f"{where}: {texts}"
    assert len(texts) == len({label for _, label in texts}), f"{where}: {texts}"
