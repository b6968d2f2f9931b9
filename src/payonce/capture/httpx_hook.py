"""Edge, inside `capture`: the hook on httpx and httpx2, in both colours.

It is the *client* that is hooked, at `_transport_for_url`: that way clients are seen that were
built earlier, and those whose transport is of another make (aiohttp's, say). Where it is closed
the rest of its streams is read first: it is paid for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import unwrap
from types import ModuleType
from typing import Any

from payonce.capture import loops
from payonce.capture.hooking import OnImport, Places
from payonce.capture.httpx_lines import left_by, recording_transport
from payonce.capture.registry import is_of_interest, unknown

_PLACE, _SENDER = "_transport_for_url", "_send_single_request"
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
    lacks = [name for name in _CLIENTS if not _is_known(getattr(module, name, None))]
    if lacks:
        unknown(module, " and no ".join(f"{name}.{_PLACE}" for name in lacks))
    for name in _CLIENTS:
        client: Any = getattr(module, name, None)
        if name in lacks or _places.has(client, _PLACE):
            continue
        _places.put(client, _PLACE, _wrapped(getattr(client, _PLACE), module))
        closes, wrap = _CLIENTS[name]
        for close in closes:
            _places.put(client, close, wrap(getattr(client, close)))


def _is_known(client: Any) -> bool:
    """Whether a client's sending goes by the place that is hooked."""
    sender = getattr(client, _SENDER, None)
    if not isinstance(client, type) or not callable(sender):
        return False
    code = getattr(unwrap(sender), "__code__", None)
    return callable(getattr(client, _PLACE, None)) and (code is None or _PLACE in code.co_names)


def _wrapped(original: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    @wraps(original)
    def transport_for_url(client: Any, url: Any) -> Any:
        transport = original(client, url)
        loops.note(transport)
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


_CLIENTS = {
    "Client": (("close", "__exit__"), _closing),
    "AsyncClient": (("aclose", "__aexit__"), _aclosing),
}
_finder = OnImport(_hook, "httpx", "httpx2")
