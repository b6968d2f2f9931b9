"""The façade: `Payonce` ties jobs, steps, capture and watched databases to one journal."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from payonce import budget as budgets
from payonce.alarm import Alarms
from payonce.databases import Databases
from payonce.delivery import LOOKOUT, WAKE, current
from payonce.effects import Way, adrive, drive, running_loop, wait_for
from payonce.errors import ConfigError, KeyTemplateError
from payonce.failure.rules import Rules
from payonce.handle import deliver
from payonce.job import Arguments, Job, Template, refuse_other, refuse_unfit
from payonce.journal import journal_at
from payonce.lookout import Lookout
from payonce.money import Budget, Money, Per
from payonce.notices import Notice
from payonce.notifying import Board, Hook
from payonce.observing import Observer, flush
from payonce.paid import module_of, paid_step
from payonce.policy import Breaker, Doubt, Limits
from payonce.pricing import Prices
from payonce.ready import Need
from payonce.threads import carry_runs
from payonce.watching import delivering

if TYPE_CHECKING:
    from payonce.capture import Capture
    from payonce.journal.protocol import Journal

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
OnPark = Literal["ack", "hold"]

DEFAULT_STORE = "sqlite:///payonce.db"
_BREAKER, _ALARMS = Breaker(), Alarms()


class Payonce(Databases):
    """One application: its jobs, its journal, and what its parked runs wait for.

    Nothing is opened before the first delivery, so an app may be made at import time and in a
    process that forks.

    Args:
        store: where the journal is, `sqlite:///relative.db` or `sqlite:////absolute.db`; by
            default `$PAYONCE_STORE`, else the file `payonce.db` in the working directory.
        version: the code's version; by default found in the environment (see `docs/concepts.md`).
        lease: seconds that a run stays with a process that has stopped to renew its lease.
        patience: seconds that a write waits for other processes' writes.
        clock: seconds since the epoch, for tests.
        look_every: seconds between two looks after parked runs, by a thread that begins shortly
            after the first delivery; None leaves them to deliveries and to `payonce wake`.
        alarms: when hooks are told of unusual spending and deliveries; None: never.

    Raises:
        StoreNotSupported: the store's URL names a database that there is no journal for.
    """

    def __init__(
        self,
        store: str | None = None,
        *,
        version: str | None = None,
        lease: float = 30.0,
        patience: float = 30.0,
        clock: Callable[[], float] | None = None,
        look_every: float | None = 30.0,
        alarms: Alarms | None = _ALARMS,
    ) -> None:
        self.store = store or os.environ.get("PAYONCE_STORE") or DEFAULT_STORE
        self.version = version
        self.lease = lease
        self.journal: Journal = journal_at(self.store, clock=clock, patience=patience)
        self.failures = Rules()
        self.prices = Prices()
        self.jobs: dict[str, Job] = {}
        self._budgets: list[Budget] = []
        self._capture: Capture | None = None
        super().__init__(self.store)
        self.lookout = Lookout(self, look_every, alarms)
        self._board = Board(self.journal)
        self.observer: Observer | None = None

    def __repr__(self) -> str:
        return f"Payonce({self.store!r})"

    def job(
        self,
        key: str,
        *,
        name: str | None = None,
        tenant: str | None = None,
        budget: Money | str | None = None,
        attempts: int = 5,
        sends: int = 20,
        wait: float = 10.0,
        backoff: float = 1.0,
        on_park: OnPark = "ack",
        breaker: Breaker | None = _BREAKER,
        ignore_args: Sequence[str] = (),
        needs: Sequence[Need] = (),
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Register a function that deliveries call: one run per key, whatever happens.

        Calling it handles one delivery: it returns the function's value (a finished run's
        recorded one), or raises `Parked`, `RetryLater` or `Busy`.

        Args:
            key: the run key, a template over the function's arguments: `"course:{course_id}"`.
            name: the job's name in the journal; by default the module's and the function's.
            tenant: who it is for, a template too.
            budget: what one run may spend in all, such as `"5 USD"`; see `app.budget` for others.
            attempts: how often a run may be attempted before it parks.
            sends: how often one step may be sent, hidden retries of SDKs included.
            wait: seconds that a duplicate waits for the result of the attempt that works.
            backoff: seconds before the first retry, at most; doubled each time, up to 300.
            on_park: `"ack"` takes a parked run's message off the queue, `"hold"` keeps it there.
            breaker: when new runs are held, because others have failed; None: never.
            ignore_args: arguments that two deliveries of one run may differ in.
            needs: what databases have to hold before anything is paid: `app.schema()`.

        Raises:
            KeyTemplateError: the key is empty, or names an argument that isn't there.
            ValueError: the budget is no amount of money.
            ConfigError: `ignore_args` does, the name is taken, a cap is too low, or it is a method.
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            refuse_unfit(function)
            job = Job(
                name=name or f"{module_of(function)}.{function.__qualname__}",
                function=function,
                key=_key(key, function),
                tenant=Template(tenant, function) if tenant else None,
                limits=limits,
                hold=on_park == "hold",
                ignored=frozenset(ignore_args),
                version=self.version,
                needs=tuple(needs),
                budget=None if budget is None else Money.parse(budget),
            )
            return self._register(job, function)

        _refuse_unfit(key, on_park)
        limits = _limits(attempts, sends, wait, backoff, self.lease, breaker)
        return decorate

    def budget(
        self,
        limit: Money | str,
        *,
        job: str | None = None,
        tenant: str | None = None,
        per: Per = "total",
    ) -> None:
        """Limit what may be spent: by the application, or by one job or tenant, or each of them.

        Before a call is made what it may cost is held in the journal; where too little is left,
        the run parks, and goes on when a person sets a higher limit (`payonce budget set`) or the
        period is over.

        Args:
            limit: such as `"50 USD"`; calls that cost another currency don't count.
            job: a job's name, or `"*"` for each job.
            tenant: a tenant's, or `"*"` for each.
            per: `"day"` and `"month"` are those of UTC.

        Raises:
            ValueError: the limit is no amount of money.
            ConfigError: both a job and a tenant are named, or there is no such period.
        """
        self._budgets.append(budgets.told(limit, job=job, tenant=tenant, per=per))

    def budgets_of(self, job: Job) -> Sequence[Budget]:
        """The budgets that the code has for the runs of this job, its tenants and all."""
        own = [] if job.budget is None else [budgets.of_run(job.name, job.budget)]
        return (*self._budgets, *own)

    def _register(self, job: Job, function: Callable[P, R]) -> Callable[P, R]:
        taken = self.jobs.get(job.name)
        if taken is not None and inspect.getsourcefile(taken.function) != inspect.getsourcefile(
            function
        ):
            raise ConfigError(f"two jobs are named {job.name}", "Give one of them another name=.")
        self.jobs[job.name] = job
        carry_runs()

        if job.is_async:

            @wraps(function)
            async def acall(*args: P.args, **kwargs: P.kwargs) -> Any:
                self._begin(asynchronous=True)
                return await adrive(self._delivered(job, job.bind(args, kwargs)))

            return acall  # type: ignore[return-value]

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            self._begin()
            return drive(self._delivered(job, job.bind(args, kwargs)))

        return call

    @overload
    def step(self, function: Callable[P, R], /) -> Callable[P, R]: ...

    @overload
    def step(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        key: str | None = None,
        cost: Money | str | Callable[[Any], Money | str] | None = None,
        ceiling: Money | str | None = None,
        check: Callable[[Any], Any] | None = None,
        resamples: int = 2,
        in_doubt: Doubt | None = None,
        verify: Callable[..., Any] | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def step(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        key: str | None = None,
        cost: Money | str | Callable[[Any], Money | str] | None = None,
        ceiling: Money | str | None = None,
        check: Callable[[Any], Any] | None = None,
        resamples: int = 2,
        in_doubt: Doubt | None = None,
        verify: Callable[..., Any] | None = None,
    ) -> Any:
        """Make a function that is paid for, or has an effect, a step: called once per run.

        Outside of a run it is the plain function. Equal calls in a loop are told apart by their
        occurrence. A function that takes `idempotency_key` is given one, the same for each
        repetition of the same call.

        Args:
            name: the step's name in the journal; by default the module's and the function's.
            key: a template over the arguments; by default all arguments, canonically.
            cost: what one call costs (`"0.02 USD"`), or a function of the answer that tells.
            ceiling: what it costs at most, for budgets, where `cost` is a function; else the call
                is held for twice what its step has cost lately, or for all that is left.
            check: a function of the answer; where it raises or returns False, the answer is
                rejected and asked for again, at most `resamples` times.
            resamples: see `check`; also the cap for `payonce.reject`.
            in_doubt: `"retry"` repeats a call that may have been billed, at most once, `"park"`
                asks a person. By default `"park"`, unless the function takes `idempotency_key`
                or has `verify`; and a step that other calls were made inside of is as certain as
                those are, unless `"park"` or `verify` is said.
            verify: a function with the same arguments (and `idempotency_key`, if it takes it)
                that returns the answer of a call in doubt, or `payonce.NOT_PAID`.

        Raises:
            KeyTemplateError: the key names an argument that isn't there.
            ValueError: the cost is no amount of money.
        """

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            return paid_step(
                self,
                function,
                name=name,
                key=key,
                cost=cost,
                ceiling=ceiling,
                check=check,
                resamples=resamples,
                in_doubt=in_doubt,
                verify=verify,
            )

        return decorate if function is None else decorate(function)

    def capture(
        self,
        hosts: Sequence[str] = (),
        outside: Literal["pass", "refuse"] = "pass",
        *,
        drift: Literal["pay", "park"] = "pay",
        ignore: Sequence[str] = (),
        sketches: bool = True,
        strict: bool = False,
    ) -> Capture:
        """Journal each billed call that an LLM SDK makes inside a run, and replay it.

        Args:
            hosts: other hosts whose calls are paid for: gateways, other billed APIs.
            outside: what happens to a billed call outside of any run: it passes through, or is
                refused with `OutsideRun`.
            drift: what happens to a call that certainly stands in the place of another, whose
                receipt lies unused: it is paid for and shown, or the run parks before it.
            ignore: dotted JSON paths of requests that are no part of a call's identity, such as
                `"metadata.sent_at"` or `"messages.*.id"`.
            sketches: keep a sketch of each request with its receipt (the beginning of each value,
                secrets masked), so that drift can be shown; False keeps nothing of requests.
            strict: refuse a version of a library whose insides are unknown, and which therefore
                can't be captured; else it is warned of once, and passes through.

        Returns:
            What was installed; its `release()` takes it out again.

        Raises:
            ConfigError: an argument is none that could work, or `strict` refuses a library.
        """
        from payonce.capture import install

        self._capture = install(
            self,
            hosts=hosts,
            outside=outside,
            drift=drift,
            ignore=ignore,
            sketches=sketches,
            strict=strict,
        )
        return self._capture

    def transport(
        self,
        wrapped: T,
        *,
        hosts: Sequence[str] = (),
        outside: Literal["pass", "refuse"] = "pass",
        drift: Literal["pay", "park"] = "pay",
        ignore: Sequence[str] = (),
        sketches: bool = True,
    ) -> T:
        """Capture one client alone: a transport for it that does what `capture` does.

        Nothing is hooked. Beside `capture` a call is journaled once, on the terms of that.

        Args:
            wrapped: the transport that sends, of httpx or httpx2, blocking or awaited; its
                connections are closed with it.
            hosts: as for `capture`, as are all that follow.
            outside: what happens to a billed call outside of any run.
            drift: what happens to a call that stands in the place of another.
            ignore: JSON paths that are no part of a call's identity.
            sketches: keep a sketch of each request.

        Raises:
            ConfigError: an argument is none that could work.
        """
        from payonce.capture import told
        from payonce.capture.transport import Transport

        settings = told(
            self, hosts=hosts, outside=outside, drift=drift, ignore=ignore, sketches=sketches
        )
        transport: Any = Transport(settings, wrapped)
        return transport  # type: ignore[no-any-return]

    def release(self) -> None:
        """Capture no more; without a capture nothing changes."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def again(self, job: Job, arguments: bytes, loop: Any = None) -> Any:
        """Call a job with the arguments that the journal kept, as one delivery.

        An async job is called in the event loop that is given, which runs in another thread, or
        else in one of its own.

        Raises:
            NotKept: the journal doesn't have all that the job takes.
            NotDone: as the job itself.
        """
        way = self._delivered(job, job.again(arguments))
        if not job.is_async:
            return drive(way)
        return wait_for(adrive(way), loop)

    def notify(self, hook: Hook) -> None:
        """Tell this hook of runs that park and wake, of the breaker, and of calls in doubt.

        It is called once per cause, by one of all processes, in a thread of its own.

        Args:
            hook: a function of one notice, see `payonce.notices`; `payonce.notify.Apprise` has
                webhooks, chats and e-mail. The log is told in any case.
        """
        self._board.add(hook)

    def observe(self, observer: Observer) -> None:
        """Let deliveries, attempts and calls be observed while they last; of two the later does.

        Args:
            observer: `payonce.otel.OpenTelemetry` makes spans and metrics of them. What it raises
                is logged, and harms no run.
        """
        self.observer = observer

    def _delivered(self, job: Job, arguments: Arguments) -> Way[Any]:
        way: Way[Any] = deliver(self, job, arguments)
        return way if self.observer is None else delivering(self.observer, job, arguments, way)

    def tell(self, notice: Notice) -> None:
        """Put up a notice; it returns at once, and never raises."""
        self._board.tell(notice)

    def start(self) -> None:
        """Look after parked runs from now on, before the first delivery has come.

        A server calls this when it starts, so that runs whose messages are gone go on with a new
        version. Called inside an event loop, async jobs are called again in that loop.
        """
        self._begin(asynchronous=True)

    def _begin(self, *, asynchronous: bool = False) -> None:
        if current().delivery.queue in (WAKE, LOOKOUT):
            return
        self.lookout.begin(running_loop() if asynchronous else None)

    def complete(self, session: Any, result: Any = None) -> None:
        """Finish the current run inside the user's own transaction: its effect happens once.

        Args:
            session: an SQLAlchemy session or connection, or a `sqlite3` connection, to the
                database that the journal's tables live in. The caller commits it.
            result: the run's value.

        Raises:
            OutsideRun: no run is being worked on.
            ConfigError: the journal's tables aren't in that database.
            LeaseLost: another attempt has taken the run over.
        """
        from payonce.within import complete_within

        complete_within(self, session, result)

    def close(self) -> None:
        """Write what is still to be written, and close the journal; the next use opens it."""
        self.lookout.stop()
        self._board.flush()
        self.journal.stop()
        flush(self.observer)
        self.close_databases()


def _refuse_unfit(key: str, on_park: OnPark) -> None:
    if not isinstance(key, str):
        raise KeyTemplateError("@app.job needs a key", 'Write @app.job(key="course:{id}").')
    refuse_other("on_park", on_park, OnPark)


def _key(key: str, function: Callable[..., Any]) -> Template:
    if not key:
        raise KeyTemplateError(
            f"{function.__qualname__} has no run key",
            'Give it one that names the work: @app.job(key="course:{course_id}").',
        )
    return Template(key, function)


def _limits(
    attempts: int,
    sends: int,
    wait: float,
    backoff: float,
    lease: float,
    breaker: Breaker | None,
) -> Limits:
    _refuse_odd_caps(attempts=attempts, sends=sends, wait=wait, backoff=backoff)
    if breaker is not None:
        _refuse_odd_caps(runs=breaker.runs, probe_after=breaker.probe_after or 0)
    return Limits(
        attempts=attempts, sends=sends, wait=wait, backoff=backoff, lease=lease, breaker=breaker
    )


def _refuse_odd_caps(**given: float) -> None:
    for name, value in given.items():
        least = 1 if name in ("attempts", "sends", "runs") else 0
        if value < least:
            raise ConfigError(f"{name}= is {value}", f"Give it {least} or more.")
