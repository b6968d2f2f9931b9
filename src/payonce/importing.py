"""On the path, beside it: libraries are hooked once they are imported, and not imported for it.

Importing one here would cost the time of an import that may not be needed, and would make a later
`httpx2.alias_httpx()` fail.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Hook = Callable[[ModuleType], None]


class OnImport(MetaPathFinder):
    """Sees modules being imported, lets them be loaded as ever, and hooks each then."""

    def __init__(self, hook: Hook, *names: str) -> None:
        self._hook, self._names = hook, names
        self._looked_for: set[str] = set()

    def start(self) -> None:
        """Hook what is imported already, and the rest once it is; again changes nothing."""
        for name in self._names:
            module = sys.modules.get(name)
            if module is not None:
                self._hook(module)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Look no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with the hook behind its loading."""
        if fullname not in self._names or fullname in self._looked_for:
            return None
        self._looked_for.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        except ValueError:  # a module without a spec stands in for it
            return None
        finally:
            self._looked_for.discard(fullname)
        if spec is not None and spec.loader is not None:
            self._hook_when_loaded(spec.loader)
        return spec

    def _hook_when_loaded(self, loader: Any) -> None:
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            load(module)
            self._hook(module)

        loader.exec_module = exec_module
