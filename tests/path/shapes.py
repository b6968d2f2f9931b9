"""Classes as users have them, for values that are written down and read back."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import msgspec
import pydantic


@dataclass
class Point:
    """A dataclass."""

    x: int
    y: int | None = None


class Pair(NamedTuple):
    """A named tuple."""

    a: int
    b: str


class Told(TypedDict):
    """A typed dict."""

    text: str


class Colour(enum.Enum):
    """An enum."""

    RED = "red"


class Struct(msgspec.Struct):
    """A struct."""

    n: int


class Model(pydantic.BaseModel):
    """A pydantic model."""

    name: str
    points: list[Point] = []


class Opaque:
    """Nothing that can be written down."""

    def __repr__(self) -> str:
        return "Opaque(sk-1234567890abcdef)"
