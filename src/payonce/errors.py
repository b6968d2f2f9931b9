"""Nouns: everything that payonce raises; each says what happened, whether money moved, what to do.

PayonceError(Exception)
├── NotDone                 a job's boundary: the queue has to be told something
│   ├── Parked
│   ├── RetryLater
│   └── Busy
├── KeyReused
├── Rejected
├── ConfigError(ValueError)
│   ├── KeyTemplateError
│   ├── NotKeyable
│   ├── NotKept
│   └── StoreNotSupported
├── OutsideRun
└── JournalError
    ├── JournalNotFound
    ├── JournalTooNew
    ├── NotAJournal
    ├── RunNotFound
    └── CallNotFound

Stop(BaseException)         inside a run: neither `except Exception` nor an SDK's
├── LeaseLost               retry loop may swallow it; becomes a NotDone at the boundary
├── InDoubt
├── NotReplayable
├── SendsUsedUp
├── Drifted
├── BudgetReached
├── PriceUnknown
└── NoJournal
"""

from __future__ import annotations

from typing import Any, Literal

from payonce.money import Balance, Money

Paid = Literal["no", "yes", "unknown"]


class _Told:
    """The three sentences that every error carries as attributes and prints as one message."""

    args: tuple[Any, ...]
    what: str
    paid: Paid
    todo: str

    def _tell(self, what: str, paid: Paid, todo: str) -> None:
        self.what, self.paid, self.todo = what, paid, todo

    def __str__(self) -> str:
        return f"{self.what} (paid: {self.paid}). {self.todo}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Process pools and queues hand exceptions on as pickles."""
        return _as_it_was, (type(self), self.args), self.__dict__


def _as_it_was(kind: type[BaseException], args: tuple[object, ...]) -> BaseException:
    """An exception without its `__init__`, whose arguments it doesn't keep."""
    return kind.__new__(kind, *args)


class PayonceError(_Told, Exception):
    """The root of what a caller of a job, or of payonce itself, can catch."""

    def __init__(self, what: str, *, paid: Paid, todo: str) -> None:
        super().__init__(what)
        self._tell(what, paid, todo)


class NotDone(PayonceError):
    """A delivery ended without the job's value; queue adapters translate it.

    `job` and `run_key` name the run.
    """

    def __init__(self, what: str, *, job: str, run_key: str, paid: Paid, todo: str) -> None:
        super().__init__(what, paid=paid, todo=todo)
        self.job, self.run_key = job, run_key


class Parked(NotDone):
    """The run is set aside until the world changes; what was paid is kept.

    Deliveries of it pay nothing. `reason` is why, `kind` the failure kind, `fingerprint` the
    failure's fingerprint, `hold` whether the queue is to keep the message.
    """

    def __init__(
        self,
        reason: str,
        *,
        job: str,
        run_key: str,
        kind: str,
        fingerprint: str,
        paid: Paid,
        hold: bool = False,
        todo: str,
    ) -> None:
        what = f"run {run_key!r} of {job} is parked: {reason}"
        super().__init__(what, job=job, run_key=run_key, paid=paid, todo=todo)
        self.reason, self.kind, self.fingerprint, self.hold = reason, kind, fingerprint, hold


class RetryLater(NotDone):
    """The attempt failed in a way that time may mend: deliver again after `after` seconds."""

    def __init__(
        self, reason: str, *, job: str, run_key: str, paid: Paid, after: float, todo: str
    ) -> None:
        what = f"run {run_key!r} of {job} has to be tried again in {after:.1f} s: {reason}"
        super().__init__(what, job=job, run_key=run_key, paid=paid, todo=todo)
        self.reason, self.after = reason, after


class Busy(NotDone):
    """Another attempt is working on the run; ask again after `after` seconds."""

    def __init__(self, *, job: str, run_key: str, owner: str, after: float) -> None:
        super().__init__(
            f"run {run_key!r} of {job} is being worked on by {owner}",
            job=job,
            run_key=run_key,
            paid="no",
            todo=f"Deliver again in {after:.0f} s, or give the job a longer wait=.",
        )
        self.owner, self.after = owner, after


class KeyReused(PayonceError):
    """A delivery came with a known run key, but with other arguments; it was refused."""

    def __init__(self, job: str, run_key: str, names: tuple[str, ...]) -> None:
        differing = ", ".join(names)
        super().__init__(
            f"run {run_key!r} of {job} was started with other arguments (differing: {differing})",
            paid="no",
            todo=(
                "Give the new work a run key of its own, or name arguments that don't matter "
                "in ignore_args=."
            ),
        )
        self.job, self.run_key, self.names = job, run_key, names


class Rejected(PayonceError):
    """A paid step was asked again as often as `resamples` allows; no answer was usable."""

    def __init__(self, step: str, asked: int, reason: str) -> None:
        super().__init__(
            f"{step} was answered {asked} times and each answer was rejected: {reason}",
            paid="yes",
            todo="Mend the prompt or the check, or allow more resamples=.",
        )
        self.step, self.asked, self.reason = step, asked, reason


class ConfigError(PayonceError, ValueError):
    """The app, a job or a step is set up in a way that can't work; raised before any work."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what, paid="no", todo=todo)


class KeyTemplateError(ConfigError):
    """A key template is empty, malformed, or names an argument that the job doesn't have."""


class NotKeyable(ConfigError):
    """An argument can't be written canonically, so no stable step key can be made of it."""


class NotKept(ConfigError):
    """A job's argument can't be kept in the journal, so `wake` could not call the job again."""


class StoreNotSupported(ConfigError):
    """The store's URL names a database that this version has no journal for."""


class OutsideRun(PayonceError):
    """A billed call was made outside of a run while `outside="refuse"` is set."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} was called outside of a run and was not sent",
            paid="no",
            todo='Call it inside an @app.job, or use app.capture(outside="pass").',
        )
        self.name = name


class JournalError(PayonceError):
    """The journal could not do what was asked of it."""

    def __init__(self, what: str, todo: str, *, paid: Paid = "no") -> None:
        super().__init__(what, paid=paid, todo=todo)


class JournalNotFound(JournalError):
    """There is no journal at the store's URL, and to look is not to make one."""


class JournalTooNew(JournalError):
    """The journal was written by a newer payonce; it was left untouched."""


class NotAJournal(JournalError):
    """The file is corrupt, or is no SQLite database; it was left untouched."""


class RunNotFound(JournalError):
    """No run has this key."""


class CallNotFound(JournalError):
    """No call has this number, or it is not in doubt."""


class Stop(_Told, BaseException):
    """Ends an attempt from the inside; never caught by `except Exception`."""

    def __init__(self, what: str, *, paid: Paid, todo: str) -> None:
        super().__init__(what)
        self._tell(what, paid, todo)


class LeaseLost(Stop):
    """Another attempt took the run over; this one may not move it, its late receipts are kept."""

    def __init__(self, run_key: str, attempt: int) -> None:
        super().__init__(
            f"attempt {attempt} lost its lease on run {run_key!r}",
            paid="no",
            todo="Nothing: the attempt that took over goes on, with every receipt.",
        )
        self.run_key, self.attempt = run_key, attempt


class InDoubt(Stop):
    """A call may have been billed, and it is not (or no more) allowed to repeat it.

    `repeatable` says whether a later attempt may repeat it by itself.
    """

    def __init__(self, step: str, call_id: int, why: str, *, repeatable: bool) -> None:
        todo = (
            "The next attempt repeats it once."
            if repeatable
            else f"Find out whether it happened, then run: payonce resolve {call_id} "
            "--happened | --did-not-happen | --pay-again."
        )
        super().__init__(f"call {call_id} of {step} is in doubt: {why}", paid="unknown", todo=todo)
        self.step, self.call_id, self.why, self.repeatable = step, call_id, why, repeatable


class NotReplayable(Stop):
    """A paid answer is kept, but only as a description: it could not be serialised."""

    def __init__(self, step: str, call_id: int, description: str) -> None:
        super().__init__(
            f"the answer of {step} was paid for (call {call_id}) but can't be rebuilt; "
            f"it was {description}",
            paid="yes",
            todo=(
                "Let the step return a value that JSON, a dataclass or a pydantic model can hold; "
                f"to pay for it again, run: payonce resolve {call_id} --pay-again."
            ),
        )
        self.step, self.call_id = step, call_id


class SendsUsedUp(Stop):
    """A step was sent as often as its cap allows, hidden retries of an SDK included."""

    def __init__(self, step: str, sends: int) -> None:
        super().__init__(
            f"{step} was sent {sends} times without an answer",
            paid="no",
            todo="Look at why it is refused; sends=N in @app.job sets the cap.",
        )
        self.step, self.sends = step, sends


class BudgetReached(Stop):
    """A budget has not got left what the next call may cost; the call was not made.

    `balance` is what is used of it, `wanted` the nanos that were to be held; `waits` says that
    only calls in flight hold it back. It is worth looking again after `again` seconds, if at all.
    `rule` is the name by which the limit was said, `"*"` for that of each tenant.
    """

    def __init__(
        self,
        step: str,
        balance: Balance,
        wanted: int,
        *,
        waits: bool,
        again: float | None,
        rule: str | None = None,
    ) -> None:
        super().__init__(
            f"{step} may cost {Money(wanted, balance.currency)}, and {balance.sentence()}",
            paid="no",
            todo=(
                "It is tried again when the calls in flight have ended."
                if waits
                else f"To let it go on now, set a higher limit: {balance.command}"
                f"{_or_say(balance)}."
            ),
        )
        self.step, self.balance, self.wanted = step, balance, wanted
        self.waits, self.again = waits, again
        self.rule = balance.name if rule is None else rule


def _or_say(balance: Balance) -> str:
    """The other way, where money is in doubt."""
    return "" if balance.listing is None else f"; or say what is in doubt: {balance.listing}"


class PriceUnknown(Stop):
    """A budget holds for the next call, and nobody can tell its cost; the call was not made."""

    def __init__(self, step: str, model: str, why: str) -> None:
        super().__init__(
            f"what {step} (model {model}) will cost is not known, because {why}, and a budget "
            "holds for it",
            paid="no",
            todo=f'Tell its price: app.prices.add("{model}", …); or lift the budget.',
        )
        self.step, self.model, self.why = step, model, why


class Drifted(Stop):
    """A call would be paid for in the place of one whose receipt lies unused.

    `unused` is that call's number, `changes` are the JSON paths that differ.
    """

    def __init__(self, step: str, unused: int, changes: str) -> None:
        super().__init__(
            f"{step} asks something new while the receipt of call {unused} lies unused: {changes}",
            paid="no",
            todo=(
                "Let the code ask the same in each attempt, or name what may differ in "
                "app.capture(ignore=[…]); to pay for it, wake the run with --force."
            ),
        )
        self.step, self.unused, self.changes = step, unused, changes


class NoJournal(Stop):
    """The journal could not be written, so the call was not made."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the journal can't be written: {why}",
            paid="no",
            todo="The run goes on, with every receipt, once the journal can be written again.",
        )
