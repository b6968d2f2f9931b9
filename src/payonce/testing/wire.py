"""Testing: what every provider's wire format has to say."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from payonce.testing.asking import Answer, Ask, Body, Request
from payonce.testing.faults import Fault
from payonce.testing.prices import Price


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as the provider words it."""

    status: int
    body: Body
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Blob:
    """An answer that is no JSON; `chunked`, its length isn't told before."""

    kind: str
    content: bytes
    chunked: bool = False


class Words(ABC):
    """How one provider names itself and its requests, and how it says no."""

    provider: ClassVar[str]
    id_header: ClassVar[str] = "x-request-id"

    @abstractmethod
    def refusal(self, fault: Fault, id: str) -> Refusal:
        """An error in this provider's words; the status may differ from the one asked for."""


class Wire(Words):
    """One provider's format of one endpoint.

    `price` is that of models which the provider's table doesn't name, `honours_keys` says that an
    `Idempotency-Key` is billed once.
    """

    stream_kind: ClassVar[str] = "text/event-stream; charset=utf-8"
    price: ClassVar[Price | None] = None
    honours_keys: ClassVar[bool] = False

    @abstractmethod
    def read(self, request: Request) -> Ask:
        """Read a request; ValueError says what is wrong with it."""

    @abstractmethod
    def whole(self, answer: Answer) -> Body | Blob:
        """The answer in one piece."""

    def events(self, answer: Answer) -> Iterator[bytes]:
        """The answer as a stream; a format without one never asks for it."""
        raise NotImplementedError(f"{type(self).__name__} does not stream")

    def error_event(self, fault: Fault, id: str) -> bytes:
        """An error that comes inside a stream, after status 200."""
        raise NotImplementedError(f"{type(self).__name__} does not stream")

    def output_tokens(self, answer: Answer) -> int:
        """The output tokens that are billed: by default those of the text."""
        return answer.output_tokens


def told(fault: Fault, name: object) -> str:
    """What an error says, unless the fault has a message."""
    return fault.message or f"The metered provider was told to answer {fault.status} ({name})."


def event(data: Body, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
