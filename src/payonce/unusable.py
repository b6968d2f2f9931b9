"""Decision: which text a failure was raised over: a paid answer, or what the job was given.

pydantic's errors carry the `input` that they refused and its place, a `JSONDecodeError` the whole
`doc`, an SDK's own error the completion. What they carry is looked up in the answers, so that the
receipt that is to blame is found, and not simply the last one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from payonce.chain import Chain, Link, read

_LEAST = 16
_MOST_NODES = 20_000
_MOST_ERRORS = 20
_PYDANTIC = frozenset({"pydantic_core.ValidationError", "pydantic.ValidationError"})
_COMPLETIONS = ("completion.id", "last_completion.id", "raw_response.id", "response.id")
_OUTPUTS = ("doc", "llm_output", "failed_generation")
_FENCED = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)
_TOOL_INPUTS = frozenset({"input", "args", "arguments"})
"""Where an answer has what a model gave to a tool, as an object."""

_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Refused:
    """What a parser refused: whole texts, values with their place in a document, answers' ids."""

    texts: tuple[str, ...] = ()
    values: tuple[tuple[tuple[Any, ...], str, Any], ...] = ()
    ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.texts or self.values or self.ids)


def refused(exc: BaseException) -> Refused:
    """What the exception, or one that led to it, was raised over; empty if none says so."""
    chain = Chain(exc)
    for link in chain.links + chain.background:
        found = _refused_by(link)
        if found:
            return found
        for member in link.members:
            if found := refused(member.exc):
                return found
    return Refused()


def _refused_by(link: Link) -> Refused:
    if not _PYDANTIC.isdisjoint(link.shorts):
        return _of_pydantic(link)
    texts = [text for path in _OUTPUTS if (text := link.text(path)) and text.strip()]
    ids = [text for path in _COMPLETIONS if (text := link.text(path))]
    if "jsonschema.ValidationError" in link.shorts:
        place = link.read("absolute_path")
        value = (tuple(place or ()), "value", link.read("instance"))
        return Refused(values=(value,))
    return Refused(tuple(texts), ids=tuple(ids))


def _of_pydantic(link: Link) -> Refused:
    try:
        told = link.exc.errors(include_url=False, include_context=False)  # type: ignore[attr-defined]
    except Exception:  # an older pydantic, or an error that can't be told
        return Refused()
    texts, values = [], []
    for each in told[:_MOST_ERRORS]:
        value, place = each.get("input", _NOTHING), tuple(each.get("loc", ()))
        if isinstance(value, str) and (each.get("type") == "json_invalid" or not place):
            texts.append(value)
        elif value is not _NOTHING:
            values.append((place, each.get("type", ""), value))
    return Refused(tuple(texts), tuple(values))


def came_from(found: Refused, answer: Any) -> bool:
    """Whether what was refused is part of an answer: a step's value, or a captured body."""
    if isinstance(answer, bytes) and any(f'"{each}"'.encode() in answer for each in found.ids):
        return True
    strings, documents = _pieces(answer)
    if found.texts:
        return all(any(_is_in(text, each) for each in strings) for text in found.texts)
    if not found.values:
        return False
    return any(all(_is_at(*value, each) for value in found.values) for each in documents)


def was_given(found: Refused, values: Sequence[Any]) -> bool:
    """Whether what was refused is, as a whole, one of the values that the job was called with."""
    for value in values:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str) and value in found.texts:
            return True
        if found.values and came_from(Refused(values=found.values), value):
            return True
    return False


def _is_in(text: str, whole: str) -> bool:
    plain = text.strip()
    return bool(plain) and (plain == whole.strip() or (len(plain) >= _LEAST and plain in whole))


def _is_at(place: tuple[Any, ...], kind: str, value: Any, document: Any) -> bool:
    held = _at(document, place[:-1] if kind == "missing" else place)
    return type(held) is type(value) and bool(held == value)


def _at(document: Any, place: tuple[Any, ...]) -> Any:
    """What lies at a place; names that only a union or a validator put there are passed over."""
    for name in place:
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif isinstance(name, int):
            fits = isinstance(document, list) and name < len(document)
            if not fits:
                return _NOTHING
            document = document[name]
    return document


def _pieces(answer: Any) -> tuple[list[str], list[Any]]:
    """All texts in an answer, and all documents: the JSON in its texts, and its own objects."""
    strings, documents = [], []
    for node in _nodes(_parsed(answer)):
        if isinstance(node, str):
            strings.append(node)
            documents += _documents(node)
        elif isinstance(node, dict | list):
            documents.append(node)
    return strings, documents


def _parsed(answer: Any) -> Any:
    if not isinstance(answer, bytes):
        return answer if isinstance(answer, str | dict | list) else read(answer, "__dict__")
    text = answer.decode("utf-8", "replace")
    whole = _json(text)
    if whole is not _NOTHING:
        return whole
    lines = text.rstrip().rsplit("\n", 1)
    return [each for each in map(_json, lines) if each is not _NOTHING]


def _nodes(value: Any) -> Iterator[Any]:
    waiting, seen = [value], 0
    while waiting and seen < _MOST_NODES:
        node = waiting.pop()
        seen += 1
        yield node
        if isinstance(node, dict):  # an empty object elsewhere is none of the model's making
            waiting += [each for name, each in node.items() if each != {} or name in _TOOL_INPUTS]
        elif isinstance(node, list | tuple):
            waiting += node


def _documents(text: str) -> list[Any]:
    """The JSON that a text is, or has between fences or braces."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 and "[" not in text:
        return []
    candidates = [text, *_FENCED.findall(text), text[start : end + 1]]
    found = [each for candidate in candidates if (each := _json(candidate)) is not _NOTHING]
    return [each for each in found if isinstance(each, dict | list)]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOTHING
