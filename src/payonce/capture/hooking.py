"""Edge, inside `capture`: the places in other people's classes that are hooked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from payonce.importing import OnImport

__all__ = ["OnImport", "Places"]


class Places:
    """The methods of other people's classes that are hooked, until they are put back."""

    def __init__(self) -> None:
        self._hooked: dict[tuple[type, str], Callable[..., Any]] = {}

    def has(self, owner: object, name: str) -> bool:
        """Whether a method is hooked already."""
        return (owner, name) in self._hooked

    def put(self, owner: type, name: str, ours: Callable[..., Any]) -> None:
        """Hook a method; `ours.__wrapped__` is what it was."""
        self._hooked[owner, name] = ours
        setattr(owner, name, ours)

    def put_back(self) -> None:
        """Take the hooks out again, but where somebody else has hooked in on top."""
        for (owner, name), ours in list(self._hooked.items()):
            if owner.__dict__.get(name) is ours:
                setattr(owner, name, ours.__wrapped__)
                del self._hooked[owner, name]
