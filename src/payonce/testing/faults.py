"""Testing: what can go wrong at a provider, billed or not, in the order it was queued."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from payonce.testing.asking import Finish, ToolCall
from payonce.testing.bill import BilledCall

Ending = Literal["answer", "status", "drop", "cut", "error_event"]
HangUp = Literal["close", "reset", "finish"]
Hook = Callable[[BilledCall | None], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request; build one with the functions of this module.

    In this order: the call is billed (if `billed`), `hook` is called, `wait` seconds pass, and
    the request comes to its `ending`. Where a stream is to be answered and `after_events` is a
    number, its head and so many of its events go out before the hook and the wait. Events are
    `pace` seconds apart; `hang_up` is how a connection ends that is dropped or cut.
    """

    ending: Ending = "answer"
    billed: bool = True
    wait: float = 0.0
    status: int = 200
    code: str | None = None
    message: str | None = None
    retry_after: float | None = None
    headers: tuple[tuple[str, str], ...] = ()
    after_events: int | None = None
    pace: float = 0.0
    hang_up: HangUp = "close"
    text: str | None = None
    finish: Finish = "stop"
    tool_call: ToolCall | None = None
    hook: Hook | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The fault as plain values, for a provider in another process.

        Raises:
            ValueError: it has a hook (a hold has one), and a function can't leave its process.
        """
        if self.hook is not None:
            raise ValueError("a hook or hold works only with a provider in the same process")
        return {name: value for name, value in asdict(self).items() if name != "hook"}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Fault:
        """Read what `to_json` wrote; what is left out has its default.

        Only a plain status is not billed by default.

        Raises:
            ValueError: a name is not known.
        """
        billed = values.get("ending") != "status"
        try:
            pairs = tuple((str(k), str(v)) for k, v in values.get("headers", ()))
            call = values.get("tool_call")
            given = {"headers": pairs, "tool_call": None if call is None else ToolCall(**call)}
            return cls(**{"billed": billed, **values, **given})
        except TypeError as exc:
            raise ValueError(f"not a fault: {dict(values)!r}") from exc


def status(
    status: int,
    *,
    code: str | None = None,
    message: str | None = None,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
    billed: bool = False,
) -> Fault:
    """Answer with an HTTP error in the provider's own words.

    `retry_after` is in seconds (`Retry-After`, and `retry-after-ms` for fractions); `billed`
    generates and charges first, as a gateway that fails after the fact does.
    """
    return Fault(
        "status",
        billed=billed,
        status=status,
        code=code,
        message=message,
        retry_after=retry_after,
        headers=tuple((headers or {}).items()),
    )


def insufficient_quota() -> Fault:
    """The account's money is used up: OpenAI says so with 429, Anthropic with 400, others else."""
    return status(429, code="insufficient_quota")


def stall(seconds: float, *, billed: bool = True, after_events: int | None = None) -> Fault:
    """Keep the client waiting, so that it times out: for its first byte, or within a stream.

    Billed, the answer (or the rest of the stream) comes after `seconds`; not billed, the
    connection is closed then.
    """
    ending: Ending = "answer" if billed else "drop"
    return Fault(ending, billed=billed, wait=seconds, after_events=after_events)


def slow(first_byte: float = 0.0, *, between: float = 0.0) -> Fault:
    """Answer, but only after `first_byte` seconds, and with so many between a stream's events."""
    return Fault(wait=first_byte, pace=between)


def drop(*, billed: bool = True, reset: bool = False) -> Fault:
    """Close the connection without a byte of an answer; `reset` it (RST) as a crash does."""
    return Fault("drop", billed=billed, hang_up="reset" if reset else "close")


def cut(after_events: int = 1, *, reset: bool = False, clean: bool = False) -> Fault:
    """Bill, then break off: after so many events of a stream, or in the middle of a body.

    `clean` ends the HTTP answer properly, so that only its content tells that something is missing.
    """
    how: HangUp = "finish" if clean else "reset" if reset else "close"
    return Fault("cut", after_events=after_events, hang_up=how)


def gateway(status: int = 502, *, billed: bool = True) -> Fault:
    """A page of HTML from something in between, which may have passed the request on."""
    page = f"<html><head><title>{status}</title></head><body>gateway</body></html>"
    return Fault("status", billed=billed, status=status, text=page)


def error_event(
    code: str | None = None,
    *,
    message: str | None = None,
    after_events: int = 1,
    billed: bool = True,
) -> Fault:
    """Status 200, some events of the stream, then an error event; a 500 if nothing streams."""
    return Fault(
        "error_event",
        billed=billed,
        status=500,
        code=code,
        message=message,
        after_events=after_events,
    )


def reply(text: str, *, finish: Finish = "stop") -> Fault:
    """No fault, but a given text: bad JSON, say, or one that was stopped by `"length"`."""
    return Fault(text=text, finish=finish)


def call_tool(name: str, arguments: Mapping[str, Any] | str) -> Fault:
    """No fault, but an answer that calls a tool; arguments given as text may be malformed."""
    given = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Fault(finish="tool_calls", tool_call=ToolCall(name, given))


def hook(function: Hook, *, billed: bool = True) -> Fault:
    """Answer, after calling `function` with the billed call on the server's thread."""
    return Fault(billed=billed, hook=function)


class Hold:
    """A request that is billed and waits: the moment to kill the client.

    With `after_events` a stream brings so many events before it waits. `arrived` is set once it
    waits, `call` is what was billed; `release` lets it be answered. As a context manager it is
    released at the end; stopping the provider releases it too.
    """

    def __init__(self, *, billed: bool = True, after_events: int | None = None) -> None:
        self.arrived = threading.Event()
        self.call: BilledCall | None = None
        ending: Ending = "answer" if billed else "drop"
        self.fault = Fault(ending, billed=billed, after_events=after_events, hook=self._wait)
        self._released = threading.Event()

    def release(self) -> None:
        """Let the request be answered; later ones don't wait."""
        self._released.set()

    def _wait(self, call: BilledCall | None) -> None:
        self.call = call
        self.arrived.set()
        self._released.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def hold(*, billed: bool = True, after_events: int | None = None) -> Hold:
    """Keep a request waiting after it was billed, until the test releases it."""
    return Hold(billed=billed, after_events=after_events)


@dataclass(slots=True)
class _Queued:
    label: str | None
    fault: Fault
    times: int | None


class FaultQueue:
    """Faults that wait for their request: the first that matches its label is taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queued: list[_Queued] = []

    def add(self, label: str | None, fault: Fault, times: int | None) -> None:
        """Queue a fault for the next `times` requests with this label; None means any, ever."""
        if times is not None and times < 1:
            raise ValueError(f"times is a positive number or None, not {times}")
        with self._lock:
            self._queued.append(_Queued(label, fault, times))

    def take(self, label: str) -> Fault:
        """The fault for this request; one that does nothing when none is queued."""
        with self._lock:
            for queued in self._queued:
                if queued.label in (None, label):
                    return self._use(queued)
        return Fault()

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._queued.clear()

    def _use(self, queued: _Queued) -> Fault:
        if queued.times is not None:
            queued.times -= 1
            if queued.times == 0:
                self._queued.remove(queued)
        return queued.fault
