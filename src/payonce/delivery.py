"""On the path, first: the delivery that is being handled, and what its queue will be told.

A queue adapter opens a scope around the user's handler; each job that the handler calls notes
its verdict there. The scope is one mutable object, so that it is seen through copied contexts
(a framework's worker threads).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from payonce.model import Delivery, Verdict

WAKE, LOOKOUT = "wake", "lookout"
"""What stands in the place of a queue where a run is called again, by a person or by the app."""

_WEIGHT = {"done": 0, "park": 1, "busy": 2, "retry": 3}
_scope: ContextVar[DeliveryScope | None] = ContextVar("payonce_delivery", default=None)


@dataclass(slots=True)
class DeliveryScope:
    """One delivery and the verdict so far: of several jobs', the one that asks the most.

    `carrier` is what else came with it (headers): looked at for a trace's context, never stored.
    """

    delivery: Delivery
    verdict: Verdict | None = None
    carrier: Mapping[str, str] = field(default_factory=dict, repr=False)

    def note(self, verdict: Verdict) -> None:
        """Take a job's verdict into account."""
        if self.verdict is None or _WEIGHT[verdict.word] > _WEIGHT[self.verdict.word]:
            self.verdict = verdict


@contextmanager
def receiving(
    delivery: Delivery, carrier: Mapping[str, str] | None = None
) -> Iterator[DeliveryScope]:
    """Handle one delivery: jobs called inside belong to it."""
    scope = DeliveryScope(delivery, carrier=carrier or {})
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        _scope.reset(token)


def current() -> DeliveryScope:
    """The delivery being handled; a job that is called outside of any gets a direct one."""
    return _scope.get() or DeliveryScope(Delivery())
