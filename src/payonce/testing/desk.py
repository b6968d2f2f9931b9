"""Testing: where the metered provider notes requests, bills calls and makes up answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from payonce.testing.bill import Bill, BilledCall
from payonce.testing.faults import Fault, FaultQueue, Hook
from payonce.testing.prices import DEFAULT_PRICES, Price, price_of
from payonce.testing.wire import Answer, Ask, Wire

Say = Callable[[Ask, int], str]
_EXCERPT = 60


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One physical request, refused ones included.

    `status` is None while it waits, and stays None when the connection was closed on it; header
    names are in lower case.
    """

    label: str
    path: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def say(ask: Ask, n: int) -> str:
    """The text that answers the `n`-th billed call: the same for the same test, never twice."""
    about = " ".join(ask.prompt.replace("[", "").replace("]", "").split())[:_EXCERPT]
    return f"Answer {n} · {about} · as paid for once, word by word."


@dataclass(slots=True)
class Desk:
    """What all requests of one provider share.

    `latency` is in seconds, `text` makes up an answer from the request and its number.
    """

    bill: Bill
    prices: Mapping[str, Price] = field(default_factory=lambda: DEFAULT_PRICES)
    text: Say = say
    hook: Hook | None = None
    latency: float = 0.0
    gzip: bool = False
    faults: FaultQueue = field(default_factory=FaultQueue)
    stopping: threading.Event = field(default_factory=threading.Event)
    _seen: list[SeenRequest] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def seen(self) -> list[SeenRequest]:
        """All physical requests, in the order of their arrival."""
        with self._lock:
            return list(self._seen)

    def arrive(self, label: str, path: str, headers: Mapping[str, str]) -> int:
        """Note a request; its number counts from 0."""
        with self._lock:
            self._seen.append(SeenRequest(label, path, None, headers))
            return len(self._seen) - 1

    def note(self, number: int, status: int) -> None:
        """Note with which status a request is answered."""
        with self._lock:
            self._seen[number] = replace(self._seen[number], status=status)

    def serve(
        self, wire: Wire, ask: Ask, fault: Fault, path: str, headers: Mapping[str, str]
    ) -> Answer:
        """Bill the call as the fault says, let its hooks run and its time pass."""
        if not fault.billed:
            answer, call = self._answer(ask, fault, 0), None
        else:
            call, answer = self._charge(wire, ask, fault, path, headers)
        for hook in (self.hook, fault.hook):
            if hook is not None:
                hook(call)
        self.stopping.wait(self.latency + fault.wait)
        return answer

    def _charge(
        self, wire: Wire, ask: Ask, fault: Fault, path: str, headers: Mapping[str, str]
    ) -> tuple[BilledCall, Answer]:
        answers: list[Answer] = []

        def make(n: int) -> BilledCall:
            answer = self._answer(ask, fault, n)
            answers.append(answer)
            output_tokens = wire.output_tokens(answer)
            cost = price_of(ask.model, self.prices).cost(ask.input_tokens, output_tokens)
            return BilledCall(
                at=time.time(),
                n=n,
                provider=ask.provider,
                path=path,
                model=ask.model,
                label=ask.label,
                prompt_sha=ask.prompt_sha,
                input_tokens=ask.input_tokens,
                output_tokens=output_tokens,
                cost_nanos=cost.nanos,
                idempotency_key=headers.get("idempotency-key"),
                user_agent=headers.get("user-agent"),
                stream=ask.stream,
            )

        return self.bill.add(make), answers[0]

    def _answer(self, ask: Ask, fault: Fault, n: int) -> Answer:
        text = self.text(ask, n) if fault.text is None else fault.text
        return Answer(ask, n, text, fault.finish, int(time.time()))
