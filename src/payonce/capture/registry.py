"""Edge, inside `capture`: which apps capture, and whether a request is one of theirs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from payonce.capture.recognise import Billed, Sent, Terms, recognise
from payonce.capture.recording import is_sending
from payonce.capture.wire import let_through
from payonce.errors import ConfigError, OutsideRun
from payonce.scope import RunScope, current

Outside = Literal["pass", "refuse"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What one app captures."""

    app: object
    hosts: frozenset[str]
    outside: Outside
    terms: Terms
    strict: bool = False

    def recognise(self, sent: Sent) -> Billed | None:
        """Whether this app holds a request for a billed call."""
        return recognise(sent, self.hosts, self.terms)


_settings: dict[int, Settings] = {}
_unknown: set[str] = set()
_log = logging.getLogger("payonce")
_lock = threading.Lock()


def add(settings: Settings) -> None:
    """Let an app capture; what it was told before is replaced."""
    with _lock:
        _settings[id(settings.app)] = settings


def remove(app: object) -> bool:
    """Let an app capture no more; True when none is left that does."""
    with _lock:
        _settings.pop(id(app), None)
        return not _settings


def unknown(module: ModuleType, lacks: str) -> None:
    """Tell once that a version of a library can't be captured; a strict app refuses it.

    Args:
        module: the library.
        lacks: what it was to be hooked at, such as "Client._transport_for_url".

    Raises:
        ConfigError: an app that captures is strict.
    """
    which = f"{module.__name__} {getattr(module, '__version__', 'of no version')}"
    what = f"{which} is unknown to payonce: it has no {lacks}, so what it sends is not captured"
    if any(each.strict for each in list(_settings.values())):
        raise ConfigError(
            what, f"Install a version of {module.__name__} that payonce knows, or leave out strict."
        )
    if which not in _unknown:
        _unknown.add(which)
        _log.warning(
            "%s, and is paid for again in each attempt. Install a version that payonce knows; "
            "app.capture(strict=True) refuses to go on without.",
            what,
        )


def is_of_interest() -> bool:
    """Whether what the calling code sends has to be looked at."""
    if not _settings or is_sending():
        return False
    scope = current()
    if scope is not None:
        return id(scope.app) in _settings
    return any(each.outside == "refuse" for each in list(_settings.values()))


def claim(sent: Sent, only: Settings | None = None) -> tuple[RunScope, Billed] | None:
    """The run that a request belongs to, where it is a billed call of it.

    Args:
        sent: the request.
        only: the app whose runs alone are asked, on these terms; by default each that captures.

    Raises:
        OutsideRun: it is billed, belongs to no run, and an app refuses that.
    """
    scope = current()
    if scope is None:
        _refuse(sent, list(_settings.values()) if only is None else [only])
        return None
    settings = _settings.get(id(scope.app)) if only is None else only
    billed = settings.recognise(sent) if settings and settings.app is scope.app else None
    return None if billed is None else (scope, billed)


def _refuse(sent: Sent, among: Sequence[Settings]) -> None:
    for settings in among:
        if settings.outside == "refuse" and (billed := settings.recognise(sent)) is not None:
            raise let_through(OutsideRun(billed.name), billed.wire)
