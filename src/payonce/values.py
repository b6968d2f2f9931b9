"""On the path, under the steps: values to and from payloads, by type hint; never by pickle.

Codecs: `json` (as the type hint says), `json=module:Class` (the value's own class, where the hint
doesn't fit), `plain` and `msgpack` (what JSON has, and what it hasn't, such as infinity),
`described` (a text in place of a value that can't be serialised).
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any, get_args

import msgspec

from payonce.journal.payload import grow
from payonce.model import Payload
from payonce.redact import redact

BY_HINT = "json"
DESCRIBED = "described"
_MOST = 10_000
_log = logging.getLogger("payonce")


def encode(value: Any, hint: Any = Any, *, name: str = "value") -> Payload:
    """Turn a value into a payload that gives it back; else into one that describes it.

    `hint` is the declared type; `name` is used in the log.
    """
    second_best = None
    for codec, kind in _ways(value, hint):
        try:
            body = _dump(codec, value, kind)
            back = _load(codec, body, kind)
        except Exception:  # any library's own way of saying that it can't
            continue
        if type(back) is type(value):
            if _equal(back, value):
                return Payload(codec, body)
            second_best = second_best or Payload(codec, body)
    if second_best is None:
        text = redact(f"{_path(type(value))}: {_shown(value)}"[:_MOST])
        return Payload(DESCRIBED, text.encode("utf-8", "replace"))
    if any("__eq__" in vars(kind) for kind in type(value).__mro__[:-1]):
        _log.warning("%s is replayed as something not quite equal: annotate its type", name)
    return second_best


def decode(payload: Payload, hint: Any = Any) -> Any:
    """The value of a payload.

    Raises:
        ValueError: it can't be rebuilt as `hint` (a `DESCRIBED` one never can).
    """
    payload = grow(payload)
    if payload.codec == DESCRIBED:
        raise ValueError(payload.body.decode())
    codec, _, path = payload.codec.partition("=")
    try:
        kind = _class(path) if path else hint if codec == BY_HINT else Any
        return _load(codec, payload.body, kind)
    except Exception as exc:
        raise ValueError(f"{exc} ({payload.body[:200]!r} as {path or hint})") from exc


def _ways(value: Any, hint: Any) -> list[tuple[str, Any]]:
    """Codec and type to try, the best first."""
    own = type(value)
    ways: list[tuple[str, Any]] = [("plain", Any), ("msgpack", Any)]
    if own not in (str, int, float, bool, type(None), dict, list):
        ways = [(f"{BY_HINT}={_path(own)}", own), *reversed(ways)]
    hinted = hint is not Any and hint is not None and hint is not type(None)
    return [(BY_HINT, hint), *ways] if hinted else ways


def _dump(codec: str, value: Any, kind: Any) -> bytes:
    if codec == "msgpack":
        return msgspec.msgpack.encode(value)
    if _of_pydantic(kind):
        from pydantic import TypeAdapter

        return TypeAdapter(kind).dump_json(value)
    return msgspec.json.encode(value)


def _load(codec: str, body: bytes, kind: Any) -> Any:
    if codec == "msgpack":
        return msgspec.msgpack.decode(body)
    if _of_pydantic(kind):
        from pydantic import TypeAdapter

        return TypeAdapter(kind).validate_json(body)
    return msgspec.json.decode(body, type=kind)


def _of_pydantic(kind: Any) -> bool:
    if "pydantic" not in sys.modules:
        return False
    return hasattr(kind, "__pydantic_validator__") or any(map(_of_pydantic, get_args(kind)))


def _equal(back: Any, value: Any) -> bool:
    try:
        return bool(back == value)
    except Exception:  # a value may forbid comparing; then its type has to do
        return True


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # a value may need what is gone by now, such as its session
        return "it can't be shown"


def _path(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(path: str) -> Any:
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if not isinstance(found, type):
        raise ValueError(f"{path} is not a class")
    return found
