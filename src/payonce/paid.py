"""On the path: `@app.step`, a function whose call is paid for: once per run and arguments."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from payonce import chain, values
from payonce.effects import Effect, Invoke, Way, Work, adrive, drive
from payonce.errors import ConfigError, NotDone, NotReplayable, Stop
from payonce.failure.billing import fate
from payonce.fingerprint import of_step
from payonce.job import Template, hints_of, is_default, refuse_other, refuse_unfit
from payonce.model import Call, CallState, Receipt
from payonce.money import Money
from payonce.policy import STOPPED_INSIDE, Doubt
from payonce.pricing import Prices
from payonce.redact import redact
from payonce.scope import RunScope, current, within
from payonce.step import Asked, Ticket, begin, complete, fail, reject

IDEMPOTENCY_KEY = "idempotency_key"
_STOPS = (Stop, NotDone)
_log = logging.getLogger("payonce")
Cost = Money | Callable[[Any], Money | str] | None


@dataclass(frozen=True, slots=True)
class Step:
    """What `@app.step` was told about a function."""

    app: object
    function: Callable[..., Any]
    name: str
    key: Template | None
    cost: Cost
    ceiling: Money | None
    check: Callable[[Any], Any] | None
    resamples: int
    in_doubt: Doubt
    own: bool
    verify: Callable[..., Any] | None
    signature: inspect.Signature
    hint: Any
    plain: tuple[str, ...] | None

    @property
    def takes_key(self) -> bool:
        """Whether the function wants the idempotency key."""
        return IDEMPOTENCY_KEY in self.signature.parameters


def paid_step(
    app: object,
    function: Callable[..., Any],
    *,
    name: str | None,
    key: str | None,
    cost: Money | str | Callable[[Any], Money | str] | None,
    ceiling: Money | str | None,
    check: Callable[[Any], Any] | None,
    resamples: int,
    in_doubt: Doubt | None,
    verify: Callable[..., Any] | None,
) -> Callable[..., Any]:
    """Wrap a function: inside a run of `app` it is a step, outside it is itself."""
    refuse_unfit(function)
    if in_doubt is not None:
        refuse_other("in_doubt", in_doubt, Doubt)
    signature = inspect.signature(function)
    repeatable = verify is not None or IDEMPOTENCY_KEY in signature.parameters
    step = Step(
        app=app,
        function=function,
        name=name or f"{module_of(function)}.{function.__qualname__}",
        key=Template(key, function) if key is not None else None,
        cost=cost if cost is None or callable(cost) else Money.parse(cost),
        ceiling=None if ceiling is None else Money.parse(ceiling),
        check=check,
        resamples=resamples,
        in_doubt=in_doubt or ("retry" if repeatable else "park"),
        own=in_doubt == "park" or verify is not None,
        verify=verify,
        signature=signature,
        hint=hints_of(function).get("return", Any),
        plain=_plain(signature),
    )
    _refuse_unfit(step)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            scope = current()
            if scope is None or scope.app is not app:
                return await function(*args, **kwargs)
            return await adrive(_way(step, scope, args, kwargs))

        return acall

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        scope = current()
        if scope is None or scope.app is not app:
            return function(*args, **kwargs)
        return drive(_way(step, scope, args, kwargs))

    return call


def _plain(signature: inspect.Signature) -> tuple[str, ...] | None:
    """The names of the parameters where each may be given by its place."""
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    by_place = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return tuple(signature.parameters) if kinds <= by_place else None


def _refuse_unfit(step: Step) -> None:
    if step.resamples < 0:
        raise ConfigError(f"resamples of {step.name} is {step.resamples}", "Give it 0 or more.")
    if step.check is not None and inspect.iscoroutinefunction(step.check):
        raise ConfigError(f"the check= of {step.name} is async", "Give it a plain function.")
    is_async = inspect.iscoroutinefunction
    if step.verify is not None and is_async(step.verify) and not is_async(step.function):
        raise ConfigError(
            f"{step.name} is a plain function, and its verify= is async",
            "Give it a plain function, too.",
        )


def module_of(function: Callable[..., Any]) -> str:
    """The module's name, also where it was started as a program (`python -m …`)."""
    if function.__module__ not in chain.STARTED:
        return function.__module__
    return chain.module_of(function.__globals__)


def _way(step: Step, scope: RunScope, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Way[Any]:
    asked = _asked(step, args, kwargs)
    while True:
        ticket = yield from begin(scope, asked)
        if ticket.receipt is not None:
            return _replayed(step, scope, ticket)
        value, call = yield from _pay(step, scope, ticket, args, kwargs)
        scope.answered(value, call, step.resamples)
        why = _unusable(step, value)
        if why is None:
            return value
        yield from reject(scope, call, why)


def _asked(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked:
    given = _given(step, args, kwargs)
    told = {"key": step.key.fill(given)} if step.key else _chosen(step, given)

    def receipt(value: Any) -> Receipt:
        return _receipt(step, value, inner=False)

    def ask(key: str) -> Effect:
        function = step.verify
        assert function is not None
        with_key = IDEMPOTENCY_KEY in inspect.signature(function).parameters
        extra = {**kwargs, IDEMPOTENCY_KEY: key} if with_key else kwargs
        kind = Invoke if inspect.iscoroutinefunction(function) else Work
        return kind(lambda: function(*args, **extra))

    return Asked(
        name=step.name,
        key=of_step(step.name, told),
        source="step",
        in_doubt=step.in_doubt,
        resamples=step.resamples,
        verify=ask if step.verify is not None else None,
        receipt=receipt,
        ceiling=(ceiling := _ceiling(step)),
        charged=step.cost is not None or ceiling is not None,
        own=step.own,
    )


def _given(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments but the idempotency key; TypeError where they don't fit the function."""
    if step.takes_key:
        kwargs = {IDEMPOTENCY_KEY: "", **kwargs}
    elif step.plain is not None and not kwargs and len(args) == len(step.plain):
        return dict(zip(step.plain, args, strict=True))  # binding takes ten times as long
    bound = step.signature.bind(*args, **kwargs)
    bound.apply_defaults()
    bound.arguments.pop(IDEMPOTENCY_KEY, None)
    return bound.arguments


def _chosen(step: Step, given: Mapping[str, Any]) -> dict[str, Any]:
    parameters = step.signature.parameters
    return {n: v for n, v in given.items() if not is_default(v, parameters[n].default)}


def _replayed(step: Step, scope: RunScope, ticket: Ticket) -> Any:
    assert ticket.receipt is not None
    try:
        value = values.decode(ticket.receipt, step.hint)
    except ValueError as exc:
        raise scope.stop(NotReplayable(step.name, ticket.call.id, str(exc))) from exc
    scope.answered(value, ticket.call, step.resamples)
    return value


def _pay(
    step: Step, scope: RunScope, ticket: Ticket, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Way[tuple[Any, Call]]:
    if step.takes_key:
        kwargs = {**kwargs, IDEMPOTENCY_KEY: ticket.idempotency_key}
    try:
        with within(ticket.call.id), scope.seen.inside(ticket.call):
            value = yield Invoke(lambda: step.function(*args, **kwargs))
    except BaseException as exc:
        state, why = _fate(exc)
        if not step.own and scope.only_replays(ticket.call.id):
            state, why = CallState.RELEASED, "all that was called inside of it was replayed"
        fail(scope, ticket, state, redact(f"{why}: {_told(exc)}"[:500]))
        raise
    _refuse_unbegun(step, scope, ticket, value)
    receipt = _receipt(step, value, inner=_is_made_of_calls(scope, ticket.call))
    call = yield from complete(scope, ticket, receipt)
    return value, call


def _is_made_of_calls(scope: RunScope, call: Call) -> bool | str:
    """Whether calls inside of this one are paid for themselves; or the currency they were paid in,
    where that was in an earlier attempt: then this one cost nothing.
    """
    if call.id in scope.parents and scope.billed_inside(call.id) is not None:
        return True
    return scope.replayed_inside(call.id) or False


def _receipt(step: Step, value: Any, *, inner: bool | str) -> Receipt:
    """The receipt of a step; what its captured calls cost is on their own receipts."""
    answer = values.encode(value, step.hint, name=f"the answer of {step.name}")
    if isinstance(inner, str):
        return Receipt(answer, cost_nanos=0, currency=inner)
    if inner:
        return Receipt(answer)
    try:
        cost = _cost(step, value)
    except Exception:
        _log.exception("the cost of %s can't be told; its receipt is kept without", step.name)
        return Receipt(answer)
    if cost is None:
        return Receipt(answer)
    return Receipt(answer, cost_nanos=cost.nanos, currency=cost.currency)


def _cost(step: Step, value: Any) -> Money | None:
    if step.cost is not None:
        return Money.parse(step.cost(value) if callable(step.cost) else step.cost)
    return _told_price(step)


def _told_price(step: Step) -> Money | None:
    prices = getattr(step.app, "prices", None)
    return prices.step(step.name) if isinstance(prices, Prices) else None


def _ceiling(step: Step) -> Money | None:
    """What it costs at most, if that is known."""
    if step.ceiling is not None:
        return step.ceiling
    return step.cost if isinstance(step.cost, Money) else _told_price(step)


def _fate(exc: BaseException) -> tuple[CallState, str]:
    """What became of a step that raised; what was stopped inside of it says that for itself."""
    rest = exc.split(_STOPS)[1] if isinstance(exc, BaseExceptionGroup) else exc
    if rest is None or isinstance(rest, _STOPS):
        return CallState.IN_DOUBT, STOPPED_INSIDE
    return fate(exc)


def _refuse_unbegun(step: Step, scope: RunScope, ticket: Ticket, value: Any) -> None:
    """A plain function that hands on a coroutine has only promised to call."""
    if inspect.iscoroutine(value):
        value.close()
        fail(scope, ticket, CallState.RELEASED, "it returned a coroutine, which had not begun")
        raise ConfigError(
            f"{step.name} is a plain function that returned a coroutine",
            "Make it async and await what it calls, so that its receipt is that of the answer.",
        )


def _told(exc: BaseException) -> str:
    try:
        return f"{type(exc).__name__}: {exc}"
    except Exception:  # an exception's text may need what is gone by now
        return type(exc).__name__


def _unusable(step: Step, value: Any) -> str | None:
    if step.check is None:
        return None
    try:
        answer = step.check(value)
    except Exception as exc:
        return redact(_told(exc)[:500])
    return "check= said no" if answer is False else None
