"""Testing: a provider that counts what it bills and a queue that delivers at least once.

Both are real HTTP over loopback, so a batch is tested with the SDKs and the framework it runs
with. Only the standard library is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payonce.testing.backoff import Backoff as Backoff
    from payonce.testing.bill import BilledCall as BilledCall
    from payonce.testing.bill import read_bill as read_bill
    from payonce.testing.desk import SeenRequest as SeenRequest
    from payonce.testing.faults import Fault as Fault
    from payonce.testing.faults import Hold as Hold
    from payonce.testing.faults import call_tool as call_tool
    from payonce.testing.faults import cut as cut
    from payonce.testing.faults import drop as drop
    from payonce.testing.faults import error_event as error_event
    from payonce.testing.faults import gateway as gateway
    from payonce.testing.faults import hold as hold
    from payonce.testing.faults import hook as hook
    from payonce.testing.faults import insufficient_quota as insufficient_quota
    from payonce.testing.faults import reply as reply
    from payonce.testing.faults import slow as slow
    from payonce.testing.faults import stall as stall
    from payonce.testing.faults import status as status
    from payonce.testing.known import KnownRefusal as KnownRefusal
    from payonce.testing.known import refusals as refusals
    from payonce.testing.prices import Price as Price
    from payonce.testing.prices import listed as listed
    from payonce.testing.provider import MeteredProvider as MeteredProvider
    from payonce.testing.provider_process import SpawnedProvider as SpawnedProvider
    from payonce.testing.provider_process import spawn_provider as spawn_provider
    from payonce.testing.queue import AtLeastOnceQueue as AtLeastOnceQueue
    from payonce.testing.stand_in import stand_in as stand_in
    from payonce.testing.task import AlreadyExists as AlreadyExists
    from payonce.testing.task import QueueDelivery as QueueDelivery
    from payonce.testing.task import Task as Task
    from payonce.testing.task import TaskGone as TaskGone

_HOME = {
    "AlreadyExists": "task",
    "AtLeastOnceQueue": "queue",
    "Backoff": "backoff",
    "BilledCall": "bill",
    "Fault": "faults",
    "Hold": "faults",
    "KnownRefusal": "known",
    "MeteredProvider": "provider",
    "Price": "prices",
    "QueueDelivery": "task",
    "SeenRequest": "desk",
    "SpawnedProvider": "provider_process",
    "Task": "task",
    "TaskGone": "task",
    "call_tool": "faults",
    "cut": "faults",
    "drop": "faults",
    "error_event": "faults",
    "gateway": "faults",
    "hold": "faults",
    "hook": "faults",
    "insufficient_quota": "faults",
    "listed": "prices",
    "read_bill": "bill",
    "refusals": "known",
    "reply": "faults",
    "slow": "faults",
    "spawn_provider": "provider_process",
    "stall": "faults",
    "stand_in": "stand_in",
    "status": "faults",
}

__all__ = [
    "AlreadyExists",
    "AtLeastOnceQueue",
    "Backoff",
    "BilledCall",
    "Fault",
    "Hold",
    "KnownRefusal",
    "MeteredProvider",
    "Price",
    "QueueDelivery",
    "SeenRequest",
    "SpawnedProvider",
    "Task",
    "TaskGone",
    "call_tool",
    "cut",
    "drop",
    "error_event",
    "gateway",
    "hold",
    "hook",
    "insufficient_quota",
    "listed",
    "read_bill",
    "refusals",
    "reply",
    "slow",
    "spawn_provider",
    "stall",
    "stand_in",
    "status",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
