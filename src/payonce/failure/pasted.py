"""Decision, beside `failure`: a pasted traceback, taken apart into records of exceptions.

It may come out of a log: with a prefix on each line, as JSON, with escaped line ends, without its
beginning, several in a row. What is read of a text is what `classify` would read of the exception:
class names, codes and statuses that stand in messages, causes, members of groups.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from payonce.failure.pasted_message import record_of

_START = "Traceback (most recent call last):"
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>.+)$')
_RAISED = re.compile(r"^(?P<name>[A-Za-z_]\w*(?:\.[\w<>]+)*)(?:: ?(?P<message>.*))?$")
_TELLING = re.compile(
    r"(?:Error|Exception|Warning|Exit|Interrupt|Group|Timeout|Refused|Violation|Expired|Fault"
    r"|NotFound|Unavailable|DoesNotExist|Cancelled\w*)$"
)
_FIRST_MEMBER = re.compile(r"^ *\+-\+-{4,} ?\d+ ?-{4,}$")
_MEMBER = re.compile(r"^ *\+-{4,} ?(?:\d+|\.\.\.) ?-{4,}$")
_END = re.compile(r"^ *\+-{10,}$")
_FIELDS = ("traceback", "exc_info", "stack_trace", "stacktrace", "exception", "error", "message",
           "msg", "textPayload", "stack", "event", "log", "jsonPayload", "exc_text")  # fmt: skip
_FOREIGN = re.compile(r"site-packages|dist-packages|/lib/python\d|<frozen|\\Lib\\")
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Pasted:
    """The last exception of a text, as a record; `where` is the application's own last frame."""

    record: dict[str, Any]
    where: str | None
    found: int


def read_pasted(text: str) -> Pasted | None:
    """Read a pasted traceback; None where there is nothing like an exception in it."""
    lines = _lines(text[-_MOST:])
    starts = _roots(lines)
    for position in reversed(starts or [0]):
        end = next((each for each in starts if each > position), len(lines))
        chain = _chain(lines[position:end])
        if chain:
            return Pasted(_joined(chain), _where(lines[position:end]), max(1, len(starts)))
    return None


def _lines(text: str) -> list[str]:
    return list(_without_prefixes(_unescaped(text).splitlines()))


def _unescaped(text: str) -> str:
    """JSON by its fields, one document or one on each line; line ends that were escaped."""
    pieces = []
    for document in (text, *text.splitlines()) if "{" in text else ():
        if document.lstrip().startswith(("{", "[", '"')):
            try:
                pieces += _texts(json.loads(document))
            except (ValueError, RecursionError):
                continue
            if document is text and pieces:
                break
    telling = [each for each in pieces if _START in each or _is_raised(each.strip())]
    if telling:
        return "\n".join(telling)
    if text.count("\\n") > text.count("\n"):
        text = text.replace("\\r", "").replace("\\n", "\n").replace('\\"', '"').replace("\\t", "  ")
    return text


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if isinstance(value, dict):
        return [text for name in _FIELDS if name in value for text in _texts(value[name])]
    return []


def _without_prefixes(lines: Sequence[str]) -> Iterator[str]:
    """A log writes its time, level and process before each line, or before the first only."""
    width = 0
    shape = ""
    for line in lines:
        position = line.find(_START)
        if position > 0 and not line[:position].strip(" |+"):
            position = 0
        if position >= 0:
            width, shape = position, _shape(line[: max(0, position)])
        if width and _shape(line[:width]) == shape:
            yield line[width:]
        else:
            yield line


def _shape(prefix: str) -> str:
    return re.sub(r"\d", "0", prefix)


def _roots(lines: Sequence[str]) -> list[int]:
    """Where a traceback starts that doesn't go on an earlier one."""
    found: list[int] = []
    for position, line in enumerate(lines):
        if line.lstrip(" +|").startswith(("Exception Group " + _START, _START)):
            before = [each.strip(" |") for each in lines[max(0, position - 3) : position]]
            inside = line.startswith("  ") and bool(found)
            if not inside and _CAUSE not in before and _CONTEXT not in before:
                found.append(position)
    return found


def _chain(lines: Sequence[str]) -> list[tuple[dict[str, Any], str]]:
    """Each exception of a chain with the way by which it led to the next, innermost first."""
    found: list[tuple[dict[str, Any], str]] = []
    block: list[str] = []
    for line in [*lines, _CONTEXT]:
        if line.strip() not in (_CAUSE, _CONTEXT):
            block.append(line)
            continue
        record = _group(block) or _single(block)
        if record is not None:
            found.append((record, "cause" if line.strip() == _CAUSE else "context"))
        block = []
    return found


def _joined(chain: Sequence[tuple[dict[str, Any], str]]) -> dict[str, Any]:
    """One record: the last exception, with those that led to it from the nearest to the root."""
    record, _ = chain[-1]
    causes = [*record.get("cause_chain", ())]
    for inner, via in reversed(chain[:-1]):
        causes += [{**inner, "via": via}, *inner.pop("cause_chain", ())]
    return {**record, "cause_chain": causes}


def _single(lines: Sequence[str]) -> dict[str, Any] | None:
    """The exception that a block ends with, and its message on as many lines as it has."""
    after = max((i + 1 for i, line in enumerate(lines) if _FRAME.match(line)), default=0)
    for position in range(after, len(lines)):
        line = lines[position]
        if line[:1].isspace() or line.startswith(("Traceback", "Exception Group")):
            continue
        if _is_raised(line, sure=after > 0):
            match = _RAISED.match(line)
            assert match is not None
            rest = [each.rstrip() for each in lines[position + 1 :]]
            message = "\n".join([match["message"] or "", *rest]).strip()
            return record_of(match["name"], message)
    return None


def _is_raised(line: str, *, sure: bool = False) -> bool:
    """Whether a line reads `package.Class: message`; `sure` where frames stand before it."""
    match = _RAISED.match(line.partition("\n")[0])
    if match is None:
        return False
    module, _, name = match["name"].rpartition(".")
    if sure or _TELLING.search(name) or (module and name.endswith("error")):
        return True
    known = getattr(builtins, name, None)
    is_one = isinstance(known, type) and issubclass(known, BaseException)
    return is_one if not module else name[:1].isupper() or name.startswith("error_")


def _group(lines: Sequence[str]) -> dict[str, Any] | None:
    """A group: what it says of itself, then its members, each further in than the group."""
    first = next((i for i, line in enumerate(lines) if _FIRST_MEMBER.match(line)), None)
    if first is None:
        return None
    depth = _depth(lines[first])
    record = _single([_without_margin(line, depth) for line in lines[:first]])
    if record is None:
        return None
    parts: list[list[str]] = []
    for line in lines[first:]:
        inside = _depth(line) == depth + 2
        if (_depth(line) == depth and _FIRST_MEMBER.match(line)) or (
            inside and _MEMBER.match(line)
        ):
            parts.append([])
        elif not (inside and _END.match(line)):
            parts[-1].append(_without_margin(line, depth + 2))
    chains = [_chain(part) for part in parts]
    return {**record, "members": [_joined(chain) for chain in chains if chain]}


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _without_margin(line: str, depth: int) -> str:
    if line[:depth].isspace() or not depth:
        inner = line[depth:]
        if inner.startswith("|"):
            return inner[2:] if inner.startswith("| ") else inner[1:]
    return line


def _where(lines: Sequence[str]) -> str | None:
    frames = [match for line in lines if (match := _FRAME.match(line.lstrip(" |")))]
    own = [each for each in frames if not _FOREIGN.search(each["file"])]
    if not own:
        return None
    last = own[-1]
    return f"{last['file']}:{last['line']} in {last['function'].strip()}"
