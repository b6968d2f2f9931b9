"""Rebuilds an exception from a corpus record, so that no driver or SDK has to be installed."""

from __future__ import annotations

import ast
import builtins
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CORPUS = Path(__file__).with_name("corpus.jsonl")
_ROOTS = {"builtins.Exception": Exception, "builtins.BaseException": BaseException}


def records() -> list[dict[str, Any]]:
    """Every recorded failure: real exceptions, labelled by hand."""
    return [json.loads(line) for line in CORPUS.read_text("utf-8").splitlines()]


def stand_in(record: dict[str, Any], message: str | None = None) -> BaseException:
    """An exception with the record's class names, attributes, message and causes."""
    text = record["message"] if message is None else message
    exc = _exception(record["mro"], text, record["attributes"])
    outer = exc
    for cause in record["cause_chain"]:
        inner = _exception(_mro_of(cause["cls"]), cause["message"], cause["attributes"])
        outer.__cause__ = inner
        if record["exception_class"].startswith("sqlalchemy."):
            outer.orig = inner  # type: ignore[attr-defined]
        outer = inner
    return exc


def _exception(mro: list[str], message: str, attributes: dict[str, Any]) -> BaseException:
    exc = _class(mro)(attributes.get("args[0]", message))
    exc.recorded_message = message  # type: ignore[attr-defined]
    for path, value in attributes.items():
        if "[" not in path:
            _put(exc, path.split("."), _parsed(path, value))
    return exc


def _class(mro: list[str]) -> type[BaseException]:
    cls = _ROOTS["builtins.Exception" if "builtins.Exception" in mro else "builtins.BaseException"]
    for name in reversed([each for each in mro if each not in _ROOTS]):
        module, _, own = name.rpartition(".")
        body = {"__module__": module, "__qualname__": own, "__str__": _message}
        cls = type(own, (cls,), body)
    return cls


def _message(exc: Any) -> str:
    return str(exc.recorded_message)


def _mro_of(name: str) -> list[str]:
    own = getattr(builtins, name.removeprefix("builtins."), None)
    if own is None or not name.startswith("builtins."):
        return [name, "builtins.Exception"]
    return [f"builtins.{each.__name__}" for each in own.__mro__[:-1]]


def _parsed(path: str, value: Any) -> Any:
    if path != "body" or not isinstance(value, str):
        return value
    for whole in (value, f"{value}}}", f"{value}}}}}"):
        try:
            return ast.literal_eval(whole)
        except (SyntaxError, ValueError):
            continue
    return value


def _put(target: Any, path: list[str], value: Any) -> None:
    match path:
        case ["header", *rest]:
            response = target.__dict__.setdefault("response", SimpleNamespace())
            response.headers = {".".join(rest): value}
        case ["response", "Error", "Code"]:
            _aws(target)["Error"] = {"Code": value}
        case ["response", "HTTPStatusCode"]:
            _aws(target)["ResponseMetadata"] = {"HTTPStatusCode": value}
        case [name]:
            setattr(target, name, value)
        case [name, *rest]:
            _put(target.__dict__.setdefault(name, SimpleNamespace()), rest, value)


def _aws(target: Any) -> dict[str, Any]:
    answer: dict[str, Any] = target.__dict__.setdefault("response", {})
    return answer
