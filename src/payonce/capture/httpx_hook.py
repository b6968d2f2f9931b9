"""Edge, inside `capture`: the hook on httpx and httpx2, in both colours.

It is the *client* that is hooked, at `_transport_for_url`: that way clients are seen that were
built earlier, and those whose transport is of another make (aiohttp's, say). Where it is closed
the rest of its streams is read first: it is paid for. A module that is
not imported yet is hooked when it is: importing it here would cost the time of an import that
may not be needed, and would make a later `httpx2.alias_httpx()` fail.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from payonce.capture.httpx_lines import left_by, recording_transport
from payonce.capture.registry import is_of_interest

_MODULES = ("httpx", "httpx2")
_PLACE = "_transport_for_url"
_log = logging.getLogger("payonce")
_hooked: dict[tuple[type, str], Callable[..., Any]] = {}


def install() -> None:
    """Hook what is imported already, and the rest once it is; again changes nothing."""
    for name in _MODULES:
        module = sys.modules.get(name)
        if module is not None:
            _hook(module)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Take the hooks out again, but where somebody else has hooked in on top."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for (client, name), ours in list(_hooked.items()):
        if client.__dict__.get(name) is ours:
            setattr(client, name, ours.__wrapped__)
            del _hooked[client, name]


def _hook(module: ModuleType) -> None:
    """Hook a module's clients; `httpx` may be an alias of `httpx2`, which is hooked once."""
    for name, closes, wrap in (
        ("Client", ("close", "__exit__"), _closing),
        ("AsyncClient", ("aclose", "__aexit__"), _aclosing),
    ):
        client = getattr(module, name, None)
        if (client, _PLACE) in _hooked:
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
        _put(client, _PLACE, _wrapped(original, module))
        for close in closes:
            _put(client, close, wrap(getattr(client, close)))


def _put(client: type, name: str, ours: Callable[..., Any]) -> None:
    _hooked[client, name] = ours
    setattr(client, name, ours)


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


class _Finder(MetaPathFinder):
    """Sees a module being imported, lets it be loaded as ever, and hooks it then."""

    def __init__(self) -> None:
        self._looked_for: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with the hook behind its loading."""
        if fullname not in _MODULES or fullname in self._looked_for:
            return None
        self._looked_for.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        except ValueError:  # a module without a spec stands in for it
            return None
        finally:
            self._looked_for.discard(fullname)
        if spec is not None and spec.loader is not None:
            _hook_when_loaded(spec.loader)
        return spec


def _hook_when_loaded(loader: Any) -> None:
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module
        load(module)
        _hook(module)

    loader.exec_module = exec_module


_finder = _Finder()
