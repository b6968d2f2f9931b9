"""Decision: what counts as the same failure, the same request, the same step.

A failure's fingerprint is equal for the same cause whatever ids and times its message
carries; that of a request or a step is equal for equal content whatever its order.
"""

from __future__ import annotations

import hashlib
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from enum import Enum
from functools import lru_cache
from math import isfinite
from os import PathLike, fspath
from typing import Any

import msgspec

from payonce.chain import LONGEST_CHAIN, STARTED, Chain, Link, module_of, read
from payonce.errors import NotKeyable

FAILURE_LENGTH = 16
CONTENT_LENGTH = 32
_SHORTEST_INPUT = 3
_DEEPEST_GROUP = 4


def of_failure(exc: BaseException, known: Iterable[str] = ()) -> str:
    """The fingerprint of a failure, 16 hex digits; equal for the same cause.

    Made of the chain's classes with their codes, tables, columns and constraints, the first
    message without what differs from run to run, and the application's own functions on the
    traceback (neither its line numbers, nor libraries).

    Args:
        exc: a live exception.
        known: values of the run's own input, which are taken out of the message.
    """
    return of_chain(Chain(exc), known)


def of_chain(chain: Chain, known: Iterable[str] = ()) -> str:
    """The same of a chain that has been read already."""
    parts = [*_chain(chain, _DEEPEST_GROUP), plain_message(chain.links[0].message, known)]
    return _digest(parts, FAILURE_LENGTH)


def of_request(
    provider: str, path: str, content_type: str, body: bytes, ignore: Sequence[str] = ()
) -> str:
    """The fingerprint of a request, 32 hex digits; headers play no part.

    Args:
        provider: who is asked, such as "openai".
        path: the URL's path with its query.
        content_type: the header as it is sent; a multipart boundary in it is normalised.
        body: as it is sent. JSON is compared by content, anything else by its bytes.
        ignore: dotted JSON paths that are left out, such as "metadata.sent_at" or
            "messages.*.id"; list positions count from 0, `*` stands for any.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    return _digest(
        (provider, path, media_type, canonical(content_type, body, ignore)), CONTENT_LENGTH
    )


def canonical(content_type: str, body: bytes, ignore: Sequence[str] = ()) -> bytes:
    """A request's body in the form in which it is compared; see `of_request`."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("multipart/"):
        return _without_boundary(content_type, body)
    if "json" in media_type or not media_type:
        return _canonical_json(body, ignore)
    return body


def of_step(name: str, arguments: Mapping[str, Any]) -> str:
    """The fingerprint of a step called with these arguments, 32 hex digits.

    Values count as the JSON they become, so a date equals its ISO text and a tuple a list;
    `1`, `1.0`, `True` and `"1"` all differ. Neither the order of arguments, nor that of
    dictionary keys or set members matters.

    Raises:
        NotKeyable: an argument has no canonical form; the message names it and its type.
    """
    plain = {each: _plain(name, each, value) for each, value in arguments.items()}
    return _digest((name, msgspec.json.encode(plain, order="sorted")), CONTENT_LENGTH)


def of_arguments(encoded: bytes) -> str:
    """The fingerprint of a run's arguments as they are kept (JSON), 32 hex digits."""
    return _digest((_canonical_json(encoded, ()),), CONTENT_LENGTH)


def _digest(parts: Iterable[str | bytes], length: int) -> str:
    digest = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else part.encode("utf-8", "backslashreplace")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()[:length]


# A failure --------------------------------------------------------------------------------


def _chain(chain: Chain, depth: int) -> list[str]:
    parts: list[str] = []
    for link in (chain.links + chain.background)[:LONGEST_CHAIN]:
        parts.append(_identity(link))
        if depth:
            parts += sorted({"\0".join(_chain(each, depth - 1)) for each in link.members})
    return parts


def _identity(link: Link) -> str:
    own = [f"{module}:{function}" for module, function in _own_frames(link)]
    if link.is_plain:
        return "|".join((link.names[0], str(link.errno or ""), *own))
    name = _imported(link.names[0])
    named = [link.text(*paths) or "" for paths in _NAMED]
    return "|".join((name, _code_of(link), *named, *own))


def _imported(text: str) -> str:
    """Names of a program's own module, as a process has them that imports it."""
    if not any(name in text for name in STARTED):
        return text
    main = module_of(vars(sys.modules["__main__"]))
    return re.sub(r"\b(?:__main__|__mp_main__)(?=\.)", lambda _: main, text)


_NAMED = tuple((f"diag.{each}_name", f"{each}_name") for each in ("table", "column", "constraint"))


def _code_of(link: Link) -> str:
    """The most telling code that an exception carries itself."""
    found: object = (
        link.sqlstate
        or link.text("sqlite_errorname")
        or link.text("code", "response.Error.Code", "type")
        or read(link.body, "code")
        or read(link.body, "error.code")
        or read(link.body, "error.type")
        or link.mysql_number
        or link.status
        or link.grpc_status
        or link.errno
    )
    return str(found or "")


def _own_frames(link: Link) -> Iterator[tuple[str, str]]:
    last = None
    for module, function, file in link.frames():
        if (module, function) != last and not _is_foreign(module, file):
            yield module, function
        last = (module, function)


@lru_cache(maxsize=4096)
def _is_foreign(module: str, file: str) -> bool:
    installed = "site-packages" in file or "dist-packages" in file or file.startswith("<frozen")
    return installed or module.partition(".")[0] == "payonce" or file.startswith(_STDLIB)


_STDLIB = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})

_TAIL = re.compile(
    r"\n\s*(?:LINE \d+:|DETAIL:|CONTEXT:|HINT:|For further information|For more information)"
    r"|\n?\[(?:SQL|parameters): |\(Background on this error",
)
_VALUE = re.compile(
    r"(?P<entry>Duplicate entry |with base \d+: |could not convert string to float: "
    r"|input_value=|resolve host |host name )(?P<quote>['\"]).*?(?P=quote)(?=[\s,:]|$)"
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://(?P<host>[^\s/?#'\"<>]*)[^\s'\"<>]*")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PATH = re.compile(r"(?<![\w.<])(?:~|[A-Za-z]:)?(?:[/\\][\w.@+-]+){2,}")
_WITH_DIGITS = re.compile(
    r"(?<![\w.])(?=[\w+.-]*\d)(?:"
    r"(?P<time>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?"
    r"|\d\d:\d\d:\d\d(?:[.,]\d+)?\b)"
    r"|(?P<ip>\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b)"
    r"|(?P<id>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
    r"|[A-Za-z]{2,12}[-_](?=[A-Za-z]*\d)[A-Za-z0-9]{8,}\b"
    r"|0[xX][0-9a-fA-F]+\b|(?=\d*[a-f])[0-9a-f]{8,}\b"
    r"|(?=(?:[A-Za-z]*\d){3})(?=\d*[A-Za-z])[A-Za-z0-9]{12,}\b"
    r"|[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?(?=(?:[num]?s|m|h|d|%|[KMGkmg]i?[Bb]?)?(?!\w)))"
    r")"
)
_SET = re.compile(r"\{(?P<names>'[^'{}]*'(?:, '[^'{}]*')+)\}")


def plain_message(message: str, known: Iterable[str] = ()) -> str:
    """A message without what differs from run to run.

    Ids, URLs (but their host), addresses, times, paths and numbers become placeholders, the same
    for an id as for a number, since an id may have no letter by chance; rows, statements and their
    parameters are cut off. Quoted names of columns and tables stay, those of a set in order.

    Args:
        message: as the exception gives it.
        known: values of the run's own input, which become placeholders first; texts
            shorter than three characters are left alone.
    """
    tail = _TAIL.search(message)
    if tail is not None:
        message = message[: tail.start()]
    for value in sorted(set(known), key=len, reverse=True):
        if len(value) >= _SHORTEST_INPUT:
            message = message.replace(value, "<input>")
    message = _VALUE.sub(r"\g<entry><value>", message)
    if "://" in message:
        message = _URL.sub(_host_alone, message)
    if "@" in message:
        message = _EMAIL.sub("<email>", message)
    if "/" in message or "\\" in message:
        message = _PATH.sub("<path>", message)
    message = _WITH_DIGITS.sub(lambda match: f"<{match.lastgroup}>", _imported(message)).strip()
    return _SET.sub(_in_order, message) if "{'" in message else message


def _in_order(match: re.Match[str]) -> str:
    return "{" + ", ".join(sorted(match["names"].split(", "))) + "}"


def _host_alone(match: re.Match[str]) -> str:
    host = match["host"].rpartition("@")[2].partition(":")[0]
    return "<url>" if host.replace(".", "").isdigit() else f"<url {host}>"


# A request --------------------------------------------------------------------------------


def _canonical_json(body: bytes, ignore: Sequence[str]) -> bytes:
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    for path in ignore:
        _leave_out(parsed, path.split("."))
    return msgspec.json.encode(parsed, order="sorted")


def _leave_out(value: Any, path: list[str]) -> None:
    head, rest = path[0], path[1:]
    for key in _matching(value, head):
        if rest:
            _leave_out(value[key], rest)
        elif isinstance(value, dict):
            del value[key]
        else:
            value[key] = None


def _matching(value: Any, head: str) -> list[Any]:
    if isinstance(value, dict):
        return list(value) if head == "*" else [head] * (head in value)
    if isinstance(value, list):
        if head == "*":
            return list(range(len(value)))
        return [int(head)] if head.isdecimal() and int(head) < len(value) else []
    return []


def _without_boundary(content_type: str, body: bytes) -> bytes:
    match = re.search(r"boundary=(?:\"([^\"]+)\"|([^\s;]+))", content_type, re.IGNORECASE)
    if match is None:
        return body
    boundary = (match[1] or match[2]).encode()
    return body.replace(b"--" + boundary, b"--boundary")


# A step -----------------------------------------------------------------------------------


def _plain(step: str, argument: str, value: Any) -> Any:
    try:
        plain = msgspec.to_builtins(value, order="sorted", enc_hook=_unfold)
        if b"null" in msgspec.json.encode(plain):
            _refuse_non_finite(plain)
    except (TypeError, ValueError, RecursionError) as exc:
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        todo = "Pass plain data (JSON, a dataclass, a pydantic model), or give the step key=."
        if argument in ("self", "cls"):
            todo = 'Give the step a key= of its other arguments, such as key="{customer}".'
        raise NotKeyable(
            f"argument {argument!r} of step {step!r} ({kind}) has no canonical form: {exc}", todo
        ) from exc
    return plain


def _unfold(value: Any) -> Any:
    """What stands for a value that msgspec doesn't know."""
    if isinstance(value, type):
        raise TypeError("a class can't be written as JSON")
    if isinstance(value, Enum):
        return value.value
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, str):
        return "".join(value)
    if isinstance(value, int | float):
        return value + 0
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set | Sequence):
        return sorted(value) if isinstance(value, Set) else list(value)
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return value.tolist()
    raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__} can't be JSON")


def _refuse_non_finite(value: Any) -> None:
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            _refuse_non_finite(each)
