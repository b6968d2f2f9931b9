"""Edge, inside `capture`: the hook on httpx and httpx2, in both colours.

It is the *client* that is hooked, at `_transport_for_url`: that way clients are seen that were
built earlier, and those whose transport is of another make (aiohttp's, say). Where it is closed
the rest of its streams is read first: it is paid for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from payonce.capture.hooking import OnImport, Places
from payonce.capture.httpx_lines import left_by, recording_transport
from payonce.capture.registry import is_of_interest

_PLACE = "_transport_for_url"
_log = logging.getLogger("payonce")
_places = Places()


def install() -> None:
    """Hook what is imported already, and the rest once it is; again changes nothing."""
    _finder.start()


def uninstall() -> None:
    """Take the hooks out again, but where somebody else has hooked in on top."""
    _finder.stop()
    _places.put_back()


def _hook(module: ModuleType) -> None:
    """Hook a module's clients; `httpx` may be an alias of `httpx2`, which is hooked once."""
    for name, closes, wrap in (
        ("Client", ("close", "__exit__"), _closing),
        ("AsyncClient", ("aclose", "__aexit__"), _aclosing),
    ):
        client = getattr(module, name, None)
        if _places.has(client, _PLACE):
            continue
        original = getattr(client, _PLACE, None)
        if not isinstance(client, type) or original is None:
            _log.warning(
                "%s.%s has no %s: this version is unknown to payonce, and what it sends is not "
                "captured",
                module.__name__,
                name,
                _PLACE,
            )
            continue
        _places.put(client, _PLACE, _wrapped(original, module))
        for close in closes:
            _places.put(client, close, wrap(getattr(client, close)))


def _wrapped(original: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    @wraps(original)
    def transport_for_url(client: Any, url: Any) -> Any:
        transport = original(client, url)
        if not is_of_interest():
            return transport
        return recording_transport(module, client, transport)

    return transport_for_url


def _closing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Read what callers left of a client's streams before its connections are gone."""

    @wraps(original)
    def close(client: Any, *args: Any) -> Any:
        for body in left_by(client):
            body.close()
        return original(client, *args)

    return close


def _aclosing(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def aclose(client: Any, *args: Any) -> Any:
        for body in left_by(client):
            await body.aclose()
        return await original(client, *args)

    return aclose


_finder = OnImport(_hook, "httpx", "httpx2")
