"""Testing: where the metered provider notes requests, bills calls and makes up answers."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from payonce.testing.asking import Answer, Ask, Request, ToolCall
from payonce.testing.bill import Bill, BilledCall
from payonce.testing.example import example
from payonce.testing.faults import Fault, FaultQueue, Hook
from payonce.testing.idempotency import IdempotencyKeys
from payonce.testing.prices import DEFAULT_PRICES, Price, price_of
from payonce.testing.wire import Wire

Say = Callable[[Ask, int], str]
_EXCERPT = 60


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One physical request, refused ones included.

    `status` is None while it waits, and stays None when the connection was closed on it; header
    names are in lower case; `body_sha` is the SHA-256 of the body's bytes, in hex.
    """

    label: str
    path: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body_sha: str = ""


def say(ask: Ask, n: int) -> str:
    """The text that answers the `n`-th billed call: the same for the same test, never twice."""
    about = " ".join(ask.prompt.replace("[", "").replace("]", "").split())[:_EXCERPT]
    return f"Answer {n} · {about} · as paid for once, word by word."


@dataclass(slots=True)
class Desk:
    """What all requests of one provider share.

    `latency` is in seconds, `text` makes up an answer from the request and its number, `fragment`
    is the size in bytes of a stream's chunks, 0 for one chunk an event.
    """

    bill: Bill
    prices: Mapping[str, Price] = field(default_factory=lambda: DEFAULT_PRICES)
    text: Say = say
    hook: Hook | None = None
    latency: float = 0.0
    gzip: bool = False
    fragment: int = 0
    faults: FaultQueue = field(default_factory=FaultQueue)
    keys: IdempotencyKeys = field(default_factory=IdempotencyKeys)
    stopping: threading.Event = field(default_factory=threading.Event)
    _seen: list[SeenRequest] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def seen(self) -> list[SeenRequest]:
        """All physical requests, in the order of their arrival."""
        with self._lock:
            return list(self._seen)

    def arrive(self, label: str, request: Request) -> int:
        """Note a request; its number counts from 0."""
        sha = hashlib.sha256(request.content).hexdigest()
        with self._lock:
            self._seen.append(SeenRequest(label, request.path, None, request.headers, sha))
            return len(self._seen) - 1

    def note(self, number: int, status: int) -> None:
        """Note with which status a request is answered."""
        with self._lock:
            self._seen[number] = replace(self._seen[number], status=status)

    def serve(
        self, wire: Wire, ask: Ask, fault: Fault, request: Request
    ) -> tuple[Answer, BilledCall | None]:
        """Bill the call as the fault says, and make up its answer.

        Raises:
            KeyMisused: its idempotency key came with another request before.
        """
        key = request.headers.get("idempotency-key") if wire.honours_keys else None
        answer: Answer
        call: BilledCall | None
        if not fault.billed:
            answer, call = self._answer(ask, fault, 0), None
        elif key is None:
            answer, call = self._charge(wire, ask, fault, request)
        else:
            sha = hashlib.sha256(request.path.encode() + request.content).hexdigest()
            charge = partial(self._charge, wire, ask, fault, request)
            answer, call = self.keys.once(key, sha, charge)
        if self.hook is not None:
            self.hook(call)
        self.stopping.wait(self.latency)
        return answer, call

    def pause(self, fault: Fault, call: BilledCall | None) -> None:
        """Let the fault's hook run and its time pass."""
        if fault.hook is not None:
            fault.hook(call)
        self.stopping.wait(fault.wait)

    def _charge(
        self, wire: Wire, ask: Ask, fault: Fault, request: Request
    ) -> tuple[Answer, BilledCall]:
        answers: list[Answer] = []

        def make(n: int) -> BilledCall:
            answer = self._answer(ask, fault, n)
            answers.append(answer)
            output_tokens = wire.output_tokens(answer)
            price = price_of(ask.model, self.prices, wire.price)
            cost = price.cost(ask.input_tokens, output_tokens)
            return BilledCall(
                at=time.time(),
                n=n,
                provider=ask.provider,
                path=request.path,
                model=ask.model,
                label=ask.label,
                prompt_sha=ask.prompt_sha,
                input_tokens=ask.input_tokens,
                output_tokens=output_tokens,
                cost_nanos=cost.nanos,
                idempotency_key=request.headers.get("idempotency-key"),
                user_agent=request.headers.get("user-agent"),
                stream=ask.stream,
            )

        call = self.bill.add(make)
        return answers[0], call

    def _answer(self, ask: Ask, fault: Fault, n: int) -> Answer:
        """What the fault gives, else what the request demands, else the text."""
        at = int(time.time())
        if fault.tool_call is not None:
            return Answer(ask, n, "", "tool_calls", at, fault.tool_call)
        if fault.text is not None:
            return Answer(ask, n, fault.text, fault.finish, at)
        text = self.text(ask, n)
        if ask.tool is not None:
            arguments = json.dumps(
                example({"type": "object", **ask.tool.schema}, text), ensure_ascii=False
            )
            return Answer(ask, n, "", "tool_calls", at, ToolCall(ask.tool.name, arguments))
        if ask.schema is not None and self.text is say:
            text = json.dumps(example(ask.schema, text), ensure_ascii=False)
        return Answer(ask, n, text, fault.finish, at)
