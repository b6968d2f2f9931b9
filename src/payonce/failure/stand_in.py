"""Decision, beside `failure`: an exception made from a record of one, without its library."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

_ROOTS: dict[str, type[BaseException]] = {
    "builtins.Exception": Exception,
    "builtins.BaseException": BaseException,
}
_ORIGIN = {"orig": "orig", "reason": "reason"}


def stand_in(record: Mapping[str, Any], message: str | None = None) -> BaseException:
    """An exception that `payonce.classify` takes for the recorded one.

    It has the same qualified class names along its MRO, the same attributes, message, members and
    causes; it has no traceback until it is raised.

    Args:
        record: `mro` (qualified names, most derived first) and `message`; `attributes` by dotted
            path (`response.status_code`, `code().name` for what is called, `header.retry-after`,
            `args[0]`); `cause_chain`, outermost first, each with `cls` or `mro`, `message`,
            `attributes` and `via` (`cause`, `context`, `orig` or `reason`; a cause if left out);
            `members` of a group, each a record.
        message: another message than the recorded one.
    """
    exc = _exception(record, record["message"] if message is None else message)
    outer = exc
    for each in record.get("cause_chain", ()):
        inner = _exception(each, each["message"])
        _link(outer, inner, each.get("via") or _usual(outer))
        outer = inner
    return exc


def _usual(outer: BaseException) -> str:
    return "orig" if type(outer).__module__.startswith("sqlalchemy.") else "cause"


def _link(outer: BaseException, inner: BaseException, via: str) -> None:
    if via == "context":
        outer.__context__ = inner
        return
    if via in _ORIGIN:
        setattr(outer, _ORIGIN[via], inner)
    if via != "reason":
        outer.__cause__ = inner


def _exception(record: Mapping[str, Any], message: str) -> BaseException:
    attributes = record.get("attributes") or {}
    first = [attributes[name] for name in ("args[0]", "args[1]") if name in attributes]
    exc = _class(record.get("mro") or _mro_of(record["cls"]))(*(first or [message]))
    exc.__dict__["recorded_message"] = message
    for path, value in attributes.items():
        if "[" not in path:
            _put(exc, path.split("."), _parsed(path, value))
    if record.get("members"):
        exc.__dict__["exceptions"] = tuple(stand_in(each) for each in record["members"])
    return exc


def _class(mro: Sequence[str]) -> type[BaseException]:
    """Classes of these names, one under the other; a cut MRO is continued by `Exception`."""
    cut = not any(name in _ROOTS for name in mro)
    cls = _ROOTS["builtins.Exception" if cut or "builtins.Exception" in mro else mro[-1]]
    for name in reversed([each for each in mro if each not in _ROOTS]):
        module, _, own = name.rpartition(".")
        body = {"__module__": module, "__qualname__": own, "__str__": _message}
        cls = type(own, (cls,), body)
    return cls


def _message(exc: Any) -> str:
    return str(exc.__dict__.get("recorded_message", ""))


def _mro_of(name: str) -> list[str]:
    own = getattr(builtins, name.removeprefix("builtins."), None)
    if not isinstance(own, type) or not name.startswith("builtins."):
        return [name, "builtins.Exception"]
    return [f"builtins.{each.__name__}" for each in own.__mro__[:-1]]


def _parsed(path: str, value: Any) -> Any:
    """A body that was recorded as its `repr`, cut off or not; an answer's content as bytes."""
    if path.endswith("_content") and isinstance(value, str):
        return value.encode()
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
            headers = response.__dict__.setdefault("headers", {})
            headers[".".join(rest)] = value
        case ["response", "Error", "Code"]:
            _aws(target)["Error"] = {"Code": value}
        case ["response", "HTTPStatusCode"]:
            _aws(target)["ResponseMetadata"] = {"HTTPStatusCode": value}
        case [name] if name.endswith("()"):
            setattr(target, name[:-2], lambda: value)
        case [name]:
            setattr(target, name, value)
        case [name, *rest] if name.endswith("()"):
            made = target.__dict__.get(name[:-2])
            held = made() if callable(made) else SimpleNamespace()
            _put(held, rest, value)
            setattr(target, name[:-2], lambda: held)
        case [name, *rest]:
            held = target.__dict__.setdefault(name, SimpleNamespace())
            if isinstance(held, dict):
                held[".".join(rest)] = value
            elif hasattr(held, "__dict__"):
                _put(held, rest, value)


def _aws(target: Any) -> dict[str, Any]:
    answer: dict[str, Any] = target.__dict__.setdefault("response", {})
    return answer
