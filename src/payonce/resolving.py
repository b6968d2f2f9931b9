"""On the path, beside it: a person's word on a call that payonce can't decide on by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from payonce import policy, values
from payonce.errors import CallNotFound, InDoubt, JournalError
from payonce.journal.ledger import EntryFilter
from payonce.journal.payload import grow
from payonce.journal.protocol import Journal, Resolution, RunFilter
from payonce.model import Call, CallState, Receipt, Run, RunState

_PARKED_FOR_A_WORD = ("InDoubt", "NotReplayable")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What was resolved; `woken` says whether its run, parked because of it, may go on."""

    call: Call
    resolution: Resolution
    run: Run
    woken: bool


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A call in doubt that nobody has resolved, and whose run it belongs to."""

    call: Call
    job: str
    key: str
    tenant: str | None


def resolve(
    journal: Journal,
    call_id: int,
    resolution: Resolution,
    *,
    answer: Any = None,
    because: str = "",
) -> Resolved:
    """Take down a person's word on a call in doubt, or on an answer that can't be rebuilt.

    Args:
        journal: where the call is.
        call_id: its number, as `payonce show` has it.
        resolution: `"happened"` pays the call by `answer`, at what it costs at most, as far as that
            is known; `"did_not_happen"` releases it, `"pay_again"` lets it be repeated.
        answer: the value that a step that happened is to return from now on.
        because: a person's reason, kept with the call.

    Raises:
        CallNotFound: there is no such call, or there is nothing to resolve about it.
        JournalError: the word doesn't fit the call.
    """
    call = next(iter(journal.calls(call_id=call_id)), None)
    if call is None:
        raise CallNotFound(
            f"there is no call {call_id}", "See the numbers of a run's calls: payonce show KEY."
        )
    _resolvable(call)
    _fits(call, resolution)
    receipt = None
    if resolution == "happened":
        body = values.encode(answer, name=f"the answer of {call.name}")
        receipt = Receipt(body, cost_nanos=call.ceiling_nanos, currency=call.hold_currency)
    if not journal.resolve(call_id, resolution, because or "no reason given", receipt).now():
        raise CallNotFound(
            f"call {call_id} changed meanwhile", "Look at it again: payonce show KEY."
        )
    run = _run_of(journal, call)
    return Resolved(call, resolution, run, woken=_wake(journal, run))


def doubtful(
    journal: Journal,
    wanted: EntryFilter,
    resolution: Resolution | None = None,
    *,
    key: str | None = None,
    step: str | None = None,
) -> list[Doubtful]:
    """The calls in doubt that came into doubt in a period, the oldest first.

    Args:
        journal: where they are.
        wanted: the period; whose.
        resolution: only those that this word can be said of. `"did_not_happen"`, and None: all,
            also those that were repeated since, for a budget counts them; `"pay_again"`: those that
            no receipt stands for; `"happened"`: of these the steps, not what was captured.
        key: only those of runs with this key.
        step: only those of this step.
    """
    found = [
        Doubtful(call, entry.job, entry.key, entry.tenant)
        for doubt in journal.ledger.doubts(wanted)
        if doubt.resolution is None and (entry := doubt.entry).key == (key or entry.key)
        if entry.step == (step or entry.step)
        for call in journal.calls(call_id=entry.call_id)
        if call.state is CallState.IN_DOUBT and call.resolution is None
    ]
    if resolution not in ("pay_again", "happened"):
        return found
    runs = {each.call.run_id: _run_of(journal, each.call) for each in found}
    asked = {
        call.id
        for run in runs.values()
        for call in questions(run, journal.calls(run.id))
        if run.state is not RunState.DONE
    }
    return [
        each
        for each in found
        if each.call.id in asked and (resolution == "pay_again" or each.call.source == "step")
    ]


def resolve_each(
    journal: Journal,
    found: Iterable[Doubtful],
    resolution: Resolution,
    *,
    answer: Any = None,
    because: str = "",
) -> list[Resolved]:
    """Say one word of many calls, each by itself; those that changed meanwhile are left alone."""
    done = []
    for each in found:
        try:
            done.append(resolve(journal, each.call.id, resolution, answer=answer, because=because))
        except CallNotFound:
            continue
    return done


def doubts(calls: Sequence[Call]) -> list[Call]:
    """The calls in doubt that nobody has resolved yet.

    A step that calls were made inside of is as certain as those are.
    """
    parents = {call.parent_id for call in calls}
    made_of_calls = {(call.step_key, call.occurrence) for call in calls if call.id in parents}
    return [
        call for call in _in_doubt(calls) if (call.step_key, call.occurrence) not in made_of_calls
    ]


def questions(run: Run, calls: Sequence[Call]) -> list[Call]:
    """The calls that only a person can decide on: no other receipt stands for their step.

    A run that was parked for a step which does something of its own, whatever was called inside of
    it, asks about that one.
    """
    places: dict[tuple[str, int], list[Call]] = {}
    for call in calls:
        places.setdefault((call.step_key, call.occurrence), []).append(call)

    def is_open(call: Call) -> bool:
        return policy.standing(places[call.step_key, call.occurrence]) is None

    asked = {call.id for call in doubts(calls) if is_open(call)}
    if not asked and run.state is RunState.PARKED and run.evidence == InDoubt.__name__:
        asked = {call.id for call in _in_doubt(calls) if is_open(call)}
    return [
        call for call in calls if call.id in asked or (is_described(call) and not call.rejected)
    ]


def _in_doubt(calls: Sequence[Call]) -> list[Call]:
    return [c for c in calls if c.state is CallState.IN_DOUBT and c.resolution is None]


def is_described(call: Call) -> bool:
    """Whether a call was paid, but its answer is kept as a description only."""
    return (
        call.state is CallState.PAID
        and call.answer is not None
        and grow(call.answer).codec == values.DESCRIBED
    )


def _resolvable(call: Call) -> None:
    if call.resolution is not None:
        word = call.resolution.replace("_", " ")
        raise CallNotFound(
            f"call {call.id} of {call.name} was resolved before: {word}",
            "Nothing: the word that was given stays.",
        )
    if call.state is CallState.IN_DOUBT or (is_described(call) and not call.rejected):
        return
    todo = {
        CallState.INTENDED: "If its worker is dead, the run's next delivery or payonce wake "
        "finds that out; resolve it after that.",
        CallState.PAID: "Nothing: its answer is replayed.",
        CallState.RELEASED: "Nothing: it was surely not billed, and may be made again.",
        CallState.IN_DOUBT: "",
    }[call.state]
    state = f"{call.state.value} and rejected" if call.rejected else call.state.value
    raise CallNotFound(f"call {call.id} of {call.name} is not in doubt: it is {state}", todo)


def _fits(call: Call, resolution: Resolution) -> None:
    if call.state is CallState.PAID and resolution != "pay_again":
        raise JournalError(
            f"call {call.id} of {call.name} is paid; its answer can't be rebuilt",
            f"Let it be paid again: payonce resolve {call.id} --pay-again.",
            paid="yes",
        )
    if call.source == "capture" and resolution == "happened":
        raise JournalError(
            f"call {call.id} of {call.name} can't be replayed without the provider's answer",
            f"Let it be repeated: payonce resolve {call.id} --pay-again; "
            "or, if it was not billed, --did-not-happen.",
            paid="unknown",
        )


def _run_of(journal: Journal, call: Call) -> Run:
    [summary] = journal.runs(RunFilter(run_id=call.run_id))
    return summary.run


def _wake(journal: Journal, run: Run) -> bool:
    """Let a run go on that was parked for want of a person's word, and for nothing else."""
    if run.state is not RunState.PARKED or run.evidence not in _PARKED_FOR_A_WORD:
        return False
    return journal.wake(run).now()
