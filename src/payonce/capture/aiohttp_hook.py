"""Edge, inside `capture`: the hook on aiohttp, at the session; google-genai's clients use it.

What the hook does is in `aiohttp_session`, which is loaded when aiohttp is.
"""

from __future__ import annotations

from types import ModuleType

from payonce.capture.hooking import OnImport, Places
from payonce.capture.registry import unknown

_PLACES = (("ClientSession", "_request"), ("ClientSession", "close"), ("BaseConnector", "connect"))
_places = Places()


def install() -> None:
    """Hook it if it is imported already, or once it is; again changes nothing."""
    _finder.start()


def uninstall() -> None:
    """Take the hooks out again, but where somebody else has hooked in on top."""
    _finder.stop()
    _places.put_back()


def _hook(module: ModuleType) -> None:
    session, connector = module.ClientSession, module.BaseConnector
    if _places.has(session, "_request"):
        return
    missing = [f"{owner}.{name}" for owner, name in _PLACES if not _has(module, owner, name)]
    if missing:
        unknown(module, " and no ".join(missing))
        return
    from payonce.capture.aiohttp_session import closing, connecting, requesting

    _places.put(session, "_request", requesting(session._request))
    _places.put(session, "close", closing(session.close))
    _places.put(connector, "connect", connecting(connector.connect))


def _has(module: ModuleType, owner: str, name: str) -> bool:
    return callable(getattr(getattr(module, owner, None), name, None))


_finder = OnImport(_hook, "aiohttp")
