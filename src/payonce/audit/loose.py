"""Reading, for `audit`: log entries as a cloud's log page copies them, which is nearly JSON.

Keys stand without quotes, and commas may be missing between lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from payonce.audit.decoding import LONGEST

_TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<mark>[{}\[\]:,])'
    r"|(?P<word>[^\s{}\[\]:,\"][^\s{}\[\]:,]*))"
)
_START = re.compile(r"\s*\[?\s*\{\s*[@A-Za-z_][\w.@/-]*\s*:")
_DEEPEST = 64


def is_loose(head: str) -> bool:
    """Whether a text starts like an entry without quotes around its keys."""
    return _START.match(head) is not None


def tightened(given: Iterable[str]) -> Iterator[str]:
    """Each outermost entry as a line of JSON; what can't be read is handed on as it is."""
    depth, begun = 0, 0
    held = ""
    for piece in given:
        start = len(held)
        held += piece
        for match in re.finditer(r'"(?:[^"\\\n]|\\.)*"|[{}]', held[start:]):
            mark = match[0]
            if mark == "{":
                begun = start + match.start() if depth == 0 else begun
                depth += 1
            elif mark == "}" and depth:
                depth -= 1
                if depth == 0:
                    yield _tight(held[begun : start + match.end()])
        held = held[begun:] if depth else ""
        begun = 0
        if len(held) > LONGEST:
            held, depth = "", 0
    if depth:
        yield _tight(held)


def _tight(entry: str) -> str:
    tokens = [match.groupdict() for match in _TOKEN.finditer(entry)]
    try:
        value, _ = _value(tokens, 0, 0)
    except (IndexError, ValueError):
        return entry.replace("\n", " ")
    return json.dumps(value)


def _value(tokens: list[dict[str, Any]], at: int, depth: int) -> tuple[Any, int]:
    if depth > _DEEPEST:
        raise ValueError
    token = tokens[at]
    if token["mark"] == "{":
        return _members(tokens, at + 1, depth)
    if token["mark"] == "[":
        return _elements(tokens, at + 1, depth)
    return _scalar(token), at + 1


def _scalar(token: dict[str, Any]) -> Any:
    if token["string"] is not None:
        return json.loads(token["string"])
    if token["word"] is None:
        raise ValueError
    try:
        return json.loads(token["word"])
    except ValueError:
        return token["word"]


def _members(tokens: list[dict[str, Any]], at: int, depth: int) -> tuple[Any, int]:
    found: dict[str, Any] = {}
    while tokens[at]["mark"] != "}":
        if tokens[at]["mark"] == ",":
            at += 1
            continue
        name = str(_scalar(tokens[at]))
        if tokens[at + 1]["mark"] != ":":
            raise ValueError
        found[name], at = _value(tokens, at + 2, depth + 1)
    return found, at + 1


def _elements(tokens: list[dict[str, Any]], at: int, depth: int) -> tuple[Any, int]:
    found: list[Any] = []
    while tokens[at]["mark"] != "]":
        if tokens[at]["mark"] == ",":
            at += 1
            continue
        value, at = _value(tokens, at, depth + 1)
        found.append(value)
    return found, at + 1
