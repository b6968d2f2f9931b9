"""Reading, for `audit`: what payonce would make of an error that is only a text in a log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from payonce.audit.wording import legible
from payonce.failure import classify
from payonce.failure.pasted import read_pasted
from payonce.failure.pasted_message import record_of
from payonce.failure.stand_in import stand_in
from payonce.model import Kind

_REPR = re.compile(
    r"^(?P<name>[A-Za-z_][\w.]*)\((?P<quote>['\"])(?P<text>.*?)(?P=quote),?\)$", re.S
)
_WRAPPED = re.compile(r"^(?P<name>[A-Z]\w*Error): (?P<text>\((?:[a-z]\w*\.)+\w+\) .*)", re.S)
_IN_ONE_LINE = re.compile(r"^Retry in \d+s(?:econds)?: (?P<text>.*)", re.S)
_ORDER = (Kind.DETERMINISTIC, Kind.THROTTLED, Kind.TRANSIENT, Kind.STOCHASTIC, Kind.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Blame:
    """An error: its text, its failure kind, its reason, and how often it was told."""

    text: str
    kind: Kind
    reason: str
    count: int


def blame(errors: Sequence[tuple[str, int]]) -> Blame | None:
    """The error that says most of all: a deterministic one first, then the most frequent.

    Args:
        errors: texts with their counts, the most frequent first.
    """
    found = [_blame(text, count) for text, count in errors]
    frequent = [each for each in found if each.count * 2 >= max(e.count for e in found)]
    return min(frequent, key=lambda each: _ORDER.index(each.kind), default=None)


def _blame(text: str, count: int) -> Blame:
    text = _written(text)
    pasted = read_pasted(text)
    if pasted is None:
        _, _, told = text.rpartition("failed: ")
        record = record_of("__main__.Error", told or text)
    else:
        record = pasted.record
    diagnosis = classify(stand_in(record))
    return Blame(legible(text) or "", diagnosis.kind, legible(diagnosis.reason) or "", count)


def _written(text: str) -> str:
    """An error as a traceback writes it: not as its `repr`, SQLAlchemy's by their full name."""
    text = text.strip()
    if match := _IN_ONE_LINE.match(text):
        text = match["text"].strip()
    if match := _REPR.match(text):
        text = f"{match['name']}: {match['text']}".replace("\\n", "\n").replace("\\'", "'")
    if match := _WRAPPED.match(text):
        text = f"sqlalchemy.exc.{match['name']}: {match['text']}"
    return text
