"""Memory: nothing of a database is carried over a fork.

SQLite keeps its locks per process and must not be carried over one
(https://sqlite.org/howtocorrupt.html, 2.6): even a connection that a child never touches shares
its bookkeeping with the child's own connections. So what is open is closed before a fork, when
no write and no read is under way, and opened anew on both sides of it.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forked(Protocol):
    """What has to be quiet while its process forks."""

    def before_fork(self) -> None:
        """Wait for what is under way, close what is open, and let nothing begin."""

    def after_fork_in_parent(self) -> None:
        """Let things go on."""

    def after_fork_in_child(self) -> None:
        """Start anew, without what the parent's other threads were doing."""


_known: weakref.WeakSet[Forked] = weakref.WeakSet()
_forking = threading.Lock()
_quiet: list[Forked] = []


def survives_fork(forked: Forked) -> None:
    """Keep this quiet at each fork, for as long as it lives."""
    _known.add(forked)


def _before() -> None:
    _forking.acquire()
    for forked in list(_known):
        forked.before_fork()
        _quiet.append(forked)


def _in_parent() -> None:
    while _quiet:
        _quiet.pop().after_fork_in_parent()
    _forking.release()


def _in_child() -> None:
    while _quiet:
        _quiet.pop().after_fork_in_child()
    _forking.release()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
