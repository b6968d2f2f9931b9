"""Front: the app behind a name such as `module:attribute`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from types import ModuleType
from typing import Any

from payonce.app import Payonce
from payonce.errors import ConfigError


def app_at(target: str, store: str | None) -> Payonce:
    """Import the app that a target names, from the working directory or an installed package.

    Args:
        target: `module:attribute`, or `module` where it has one app only.
        store: the store that the app has to have; the app takes it where its own code names none.

    Raises:
        ConfigError: there is no such app, its module can't be imported, or it keeps its journal
            somewhere else.
    """
    if store is not None:
        os.environ["PAYONCE_STORE"] = store
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    name, _, attribute = target.partition(":")
    _set_django_up()
    module = _module(name)
    app = _attribute(module, attribute) if attribute else _only_app(module)
    if store is not None and app.store != store:
        raise ConfigError(
            f"{target} keeps its journal in {app.store}: its own code says so",
            "Leave out --store.",
        )
    return app


def _set_django_up() -> None:
    """What `manage.py` does before it imports anything: models can't be imported without."""
    settings = os.environ.get("DJANGO_SETTINGS_MODULE")
    if not settings or importlib.util.find_spec("django") is None:
        return
    try:
        importlib.import_module("django").setup()
    except Exception as exc:
        raise _failed(f"Django, with DJANGO_SETTINGS_MODULE={settings},", exc) from exc


def _module(name: str) -> ModuleType:
    if name == "MODULE":
        raise ConfigError(
            "MODULE:APP stands for the place of your app",
            "Write it as in an import: shop.jobs:app.",
        )
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(
            f"{name!r} is no module's name", "Write it as in an import: package.module:app."
        )
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and f"{name}.".startswith(f"{exc.name}."):
            raise ConfigError(
                f"there is no module {exc.name!r} in {os.getcwd()}, nor is it installed",
                "Start payonce where the app is started.",
            ) from exc
        raise _failed(name, exc) from exc
    except Exception as exc:
        raise _failed(name, exc) from exc


def _failed(name: str, exc: Exception) -> ConfigError:
    last = traceback.extract_tb(exc.__traceback__)[-1]
    todo = f"It was raised in {last.filename}, line {last.lineno}."
    if type(exc).__module__.startswith("django."):
        todo = "Set DJANGO_SETTINGS_MODULE to your project's settings, as manage.py does."
    return ConfigError(
        f"{name} can't be imported: {type(exc).__name__}: {str(exc).rstrip('.')}", todo
    )


def _attribute(module: ModuleType, path: str) -> Payonce:
    found: Any = module
    for part in path.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Payonce):
        kind = "not there" if found is None else f"a {type(found).__name__}"
        apps = ", ".join(f"{module.__name__}:{name}" for name in _apps(module))
        raise ConfigError(
            f"{module.__name__}:{path} is no Payonce app: it is {kind}",
            f"Did you mean: {apps}?" if apps else "Name the module that has app = Payonce(…).",
        )
    return found


def _only_app(module: ModuleType) -> Payonce:
    apps = _apps(module)
    if len({id(app) for app in apps.values()}) == 1:
        return next(iter(apps.values()))
    if not apps:
        raise ConfigError(
            f"{module.__name__} has no Payonce app", "Name the module that has app = Payonce(…)."
        )
    names = ", ".join(f"{module.__name__}:{name}" for name in apps)
    raise ConfigError(f"{module.__name__} has {len(apps)} apps", f"Name one of them: {names}.")


def _apps(module: ModuleType) -> dict[str, Payonce]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Payonce)}
