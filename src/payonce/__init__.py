"""What was paid for is never paid again.

`Payonce` is the application, `reject` says that a paid answer is unusable, `classify` tells a
failure that can't get better from one that time mends. Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "payonce.app": ("Payonce",),
    "payonce.rejecting": ("reject",),
    "payonce.alarm": ("Alarms",),
    "payonce.policy": ("Breaker",),
    "payonce.step": ("NOT_PAID",),
    "payonce.failure": ("Rule", "classify"),
    "payonce.money": ("Money",),
    "payonce.model": ("Diagnosis", "Kind", "WakesOn"),
    "payonce.errors": (
        "Busy",
        "CallNotFound",
        "ConfigError",
        "Drifted",
        "InDoubt",
        "JournalError",
        "JournalNotFound",
        "JournalTooNew",
        "KeyReused",
        "KeyTemplateError",
        "LeaseLost",
        "NoJournal",
        "NotAJournal",
        "NotDone",
        "NotKept",
        "NotKeyable",
        "NotReplayable",
        "OutsideRun",
        "Parked",
        "PayonceError",
        "Rejected",
        "RetryLater",
        "RunNotFound",
        "SendsUsedUp",
        "Stop",
        "StoreNotSupported",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(["__version__", *_HOME])

if TYPE_CHECKING:
    from payonce.alarm import Alarms as Alarms
    from payonce.app import Payonce as Payonce
    from payonce.errors import Busy as Busy
    from payonce.errors import CallNotFound as CallNotFound
    from payonce.errors import ConfigError as ConfigError
    from payonce.errors import Drifted as Drifted
    from payonce.errors import InDoubt as InDoubt
    from payonce.errors import JournalError as JournalError
    from payonce.errors import JournalNotFound as JournalNotFound
    from payonce.errors import JournalTooNew as JournalTooNew
    from payonce.errors import KeyReused as KeyReused
    from payonce.errors import KeyTemplateError as KeyTemplateError
    from payonce.errors import LeaseLost as LeaseLost
    from payonce.errors import NoJournal as NoJournal
    from payonce.errors import NotAJournal as NotAJournal
    from payonce.errors import NotDone as NotDone
    from payonce.errors import NotKept as NotKept
    from payonce.errors import NotKeyable as NotKeyable
    from payonce.errors import NotReplayable as NotReplayable
    from payonce.errors import OutsideRun as OutsideRun
    from payonce.errors import Parked as Parked
    from payonce.errors import PayonceError as PayonceError
    from payonce.errors import Rejected as Rejected
    from payonce.errors import RetryLater as RetryLater
    from payonce.errors import RunNotFound as RunNotFound
    from payonce.errors import SendsUsedUp as SendsUsedUp
    from payonce.errors import Stop as Stop
    from payonce.errors import StoreNotSupported as StoreNotSupported
    from payonce.failure import Rule as Rule
    from payonce.failure import classify as classify
    from payonce.model import Diagnosis as Diagnosis
    from payonce.model import Kind as Kind
    from payonce.model import WakesOn as WakesOn
    from payonce.money import Money as Money
    from payonce.policy import Breaker as Breaker
    from payonce.rejecting import reject as reject
    from payonce.step import NOT_PAID as NOT_PAID


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'payonce' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
