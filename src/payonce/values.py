"""On the path, under the steps: values to and from payloads, by type hint; never by pickle.

Codecs: `json` (as the type hint says, or plain), `json=module:Class` (the value's own class, where
there is no hint), `described` (a text in place of a value that can't be serialised).
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

DESCRIBED = "described"
_MOST = 10_000
_log = logging.getLogger("payonce")


def encode(value: Any, hint: Any = Any, *, name: str = "value") -> Payload:
    """Turn a value into a payload that gives it back; else into one that describes it.

    `hint` is the declared type; `name` is used in the log.
    """
    for codec, kind in _ways(value, hint):
        try:
            body = _dump(value, kind)
            back = _load(body, kind)
        except Exception:  # any library's own way of saying that it can't
            continue
        if not _alike(back, value):
            _log.warning(
                "%s comes back as %r instead of %r when it is replayed: annotate its type",
                name,
                type(back).__name__,
                type(value).__name__,
            )
        return Payload(codec, body)
    text = redact(f"{_path(type(value))}: {value!r}"[:_MOST])
    return Payload(DESCRIBED, text.encode("utf-8", "replace"))


def decode(payload: Payload, hint: Any = Any) -> Any:
    """The value of a payload.

    Raises:
        ValueError: it can't be rebuilt as `hint` (a `DESCRIBED` one never can).
    """
    payload = grow(payload)
    if payload.codec == DESCRIBED:
        raise ValueError(payload.body.decode())
    _, _, path = payload.codec.partition("=")
    kind = _class(path) if path else hint
    try:
        return _load(payload.body, kind)
    except Exception as exc:
        raise ValueError(f"{exc} ({payload.body[:200]!r})") from exc


def _ways(value: Any, hint: Any) -> list[tuple[str, Any]]:
    """Codec and type to try, the best first."""
    if hint is not Any and hint is not None and hint is not type(None):
        return [("json", hint), *_ways(value, Any)]
    own = type(value)
    plain = own in (str, int, float, bool, type(None), dict, list)
    return [("json", Any)] if plain else [(f"json={_path(own)}", own), ("json", Any)]


def _dump(value: Any, kind: Any) -> bytes:
    if _of_pydantic(kind):
        from pydantic import TypeAdapter

        return TypeAdapter(kind).dump_json(value)
    return msgspec.json.encode(value)


def _load(body: bytes, kind: Any) -> Any:
    if _of_pydantic(kind):
        from pydantic import TypeAdapter

        return TypeAdapter(kind).validate_json(body)
    return msgspec.json.decode(body, type=kind)


def _of_pydantic(kind: Any) -> bool:
    if "pydantic" not in sys.modules:
        return False
    return hasattr(kind, "__pydantic_validator__") or any(map(_of_pydantic, get_args(kind)))


def _alike(back: Any, value: Any) -> bool:
    try:
        return type(back) is type(value) and bool(back == value)
    except Exception:  # a value may forbid comparing; then its type has to do
        return type(back) is type(value)


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
