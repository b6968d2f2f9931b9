"""Edge, inside `capture`: connections that outlive their event loop.

A client that is kept over two `asyncio.run` has idle connections that belong to a loop which has
ended. What is sent by one is received, and billed; but its answer can't be read any more. So
captured calls don't go by such connections.
"""

from __future__ import annotations

import sys
from typing import Any
from weakref import WeakKeyDictionary, ref

_seen: WeakKeyDictionary[Any, list[ref[Any]]] = WeakKeyDictionary()


def note(transport: Any) -> None:
    """The running event loop is about to send something by this transport."""
    loop = _running()
    if loop is None:
        return
    try:
        loops = _seen.setdefault(transport, [])
    except TypeError:  # it can't be referred to weakly
        return
    if not loops or loops[-1]() is not loop:
        loops.append(ref(loop))


def forget_ended(transport: Any) -> None:
    """Drop a transport's connections if one of the loops that it worked for has ended.

    None of them is at work: nobody is left to await it. Transports of another make than
    httpcore's keep their connections.
    """
    loops = _seen.get(transport, ())
    if all((loop := each()) is not None and not loop.is_closed() for each in loops):
        return
    connections = getattr(getattr(transport, "_pool", None), "_connections", None)
    if isinstance(connections, list):
        connections.clear()
    _seen[transport] = [each for each in loops if (loop := each()) and not loop.is_closed()]


def _running() -> Any:
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()
