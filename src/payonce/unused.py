"""On the path, inside an attempt: the receipts of earlier attempts that this one has not asked for.

Only captured calls count. What a replayed step once asked for inside is asked for with it.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol

from payonce import drift
from payonce.drift import Drift, Earlier
from payonce.model import Call, CallState, Payload
from payonce.sketch import Sketch

MOST = 200
"""How many unused receipts a request is held against, at most."""


class Request(Protocol):
    """A captured call's request, as far as drift is concerned."""

    @property
    def rule(self) -> drift.Rule:
        """What happens where it drifted."""

    @property
    def ignore(self) -> Sequence[str]:
        """The JSON paths that are no part of its identity."""

    def sketch(self) -> Sketch:
        """What is kept of it."""

    def sketch_of(self, answer: Payload) -> Sketch | None:
        """What a receipt's answer has kept of its own request, if anything."""


def _worker() -> tuple[int, int | None]:
    """The thread and the task that the calling code is part of."""
    asyncio = sys.modules.get("asyncio")
    try:
        task = None if asyncio is None else id(asyncio.current_task())
    except RuntimeError:  # no event loop is running here
        task = None
    return threading.get_ident(), task


class Unused:
    """The unused receipts of one attempt; safe to use from many threads."""

    def __init__(self, calls: Iterable[Call], attempt: int) -> None:
        earlier = sorted((c for c in calls if c.attempt < attempt), key=lambda call: call.id)
        captured = [call for call in earlier if call.source == "capture"]
        self._lying = {c.id: c for c in captured if c.state is CallState.PAID and not c.rejected}
        self._inside: dict[int, list[Call]] = defaultdict(list)
        for call in earlier:
            if call.parent_id is not None:
                self._inside[call.parent_id].append(call)
        self._one_by_one = drift.one_by_one(captured)
        self._paid = Counter((call.name, call.attempt) for call in self._lying.values())
        self._begun: Counter[str] = Counter()
        self._fresh: list[tuple[int, str, Request]] = []
        self._sketches: dict[int, Sketch | None] = {}
        self._in_flight: set[int] = set()
        self._worker = _worker()
        self._lock = threading.Lock()
        self.codes: dict[int, str] | None = None

    def __bool__(self) -> bool:
        return bool(self._lying)

    def use(self, calls: Iterable[Call]) -> None:
        """These calls were asked for, and with them what was called inside of them."""
        with self._lock:
            waiting = list(calls)
            while waiting:
                call = waiting.pop()
                self._lying.pop(call.id, None)
                waiting += self._inside.pop(call.id, ())

    def begin(self, name: str) -> None:
        """A captured call of this name is asked for."""
        with self._lock:
            self._begun[name] += 1

    def sent(self, call: Call, request: Request | None) -> None:
        """A captured call is on its way; with its request, if nothing like it is known."""
        with self._lock:
            self._in_flight.add(call.id)
            if request is not None and self._lying and call.drift is None:
                self._fresh.append((call.id, call.name, request))

    def ended(self, call: Call) -> None:
        """It is on its way no more."""
        self._in_flight.discard(call.id)

    @property
    def in_order(self) -> bool:
        """Whether the run makes its calls one by one, as far as can be seen."""
        return self._one_by_one and not self._in_flight and self._worker == _worker()

    def earlier(self, name: str, request: Request, code: str) -> list[Earlier]:
        """The unused receipts of one endpoint whose request was kept, in their order."""
        codes = self.codes or {}
        return [
            Earlier(call, sketch, codes.get(call.attempt) == code)
            for call in self._of(name)
            if (sketch := self._sketch(call, request)) is not None
        ]

    def _of(self, name: str) -> list[Call]:
        with self._lock:
            return list(islice((c for c in self._lying.values() if c.name == name), MOST))

    def _sketch(self, call: Call, request: Request) -> Sketch | None:
        if call.id not in self._sketches:
            kept = None if call.answer is None else request.sketch_of(call.answer)
            self._sketches[call.id] = kept
        return self._sketches[call.id]

    def leftovers(self, code: str, *, finished: bool) -> list[tuple[int, Drift]]:
        """The calls of this attempt that stand in the place of others, now that it is over.

        A failed attempt may not have come as far as an earlier one: it counts where the code was
        the same, and asked that endpoint as often.
        """
        found = []
        for name in dict.fromkeys(name for _, name, _ in self._fresh):
            fresh = [(call_id, request) for call_id, n, request in self._fresh if n == name]
            lying = self.earlier(name, fresh[0][1], code)
            if not finished:
                lying = [each for each in lying if each.same_code and self._came_as_far(each)]
            sketches = [(call_id, request.sketch()) for call_id, request in fresh]
            found += [
                (call_id, drift.drift(earlier, asked))
                for call_id, earlier, asked in drift.leftover(sketches, lying)
            ]
        return found

    def _came_as_far(self, earlier: Earlier) -> bool:
        call = earlier.call
        return self._begun[call.name] >= self._paid[call.name, call.attempt]
