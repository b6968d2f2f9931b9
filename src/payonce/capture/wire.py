"""Edge, inside `capture`: what has to be known of a provider's wire format.

A provider is one file with its `Wire` in it, named in `recognise.WIRES`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from typing import Any, Protocol, TypeVar

import msgspec

from payonce.capture.sse import Event
from payonce.model import Said

E = TypeVar("E", bound=Exception)
_MOST_FINISHES = 32
_LONGEST_WORD = 256


class Sign(Enum):
    """What an event of a stream says of the answer.

    Callers stop reading at `FINISH` or `LAST`, some without closing: both are held back until
    the receipt is durable. After `FINISH` more follows that belongs to the answer (its usage);
    nothing does after `LAST`.
    """

    GOES_ON = auto()
    FINISH = auto()
    LAST = auto()
    ERROR = auto()


@dataclass(slots=True)
class Seen:
    """What was read out of an answer so far.

    `error` is the provider's word for what failed; `texts` are the pieces of a streamed text;
    `beside` is what an answer tells of its bill outside of its usage; `id` is its own, `finishes`
    are the provider's words for why it ended.
    """

    model: str | None = None
    usage: dict[str, Any] | None = None
    error: str | None = None
    finished: bool = False
    texts: list[str] = field(default_factory=list)
    beside: dict[str, Any] = field(default_factory=dict)
    id: str | None = None
    finishes: list[str] = field(default_factory=list)

    @property
    def said(self) -> Said | None:
        """What the answer says of itself, if anything."""
        if self.id is None and not self.finishes:
            return None
        return Said(self.id, tuple(self.finishes[:_MOST_FINISHES]))

    def name(self, id_: Any) -> None:
        """Keep the answer's id, the first that it says."""
        if self.id is None and isinstance(id_, str) and 0 < len(id_) <= _LONGEST_WORD:
            self.id = id_

    def end(self, why: Any) -> None:
        """Keep why a text of it ended."""
        if isinstance(why, str) and 0 < len(why) <= _LONGEST_WORD:
            self.finishes.append(why)

    @property
    def used(self) -> dict[str, Any] | None:
        """The usage, with what the answer tells beside it of how it is billed."""
        return None if self.usage is None else {**self.usage, **self.beside}

    def take(self, model: Any, usage: Any) -> None:
        """Keep the answer's model, and add to its usage; what is not as expected is ignored."""
        if isinstance(model, str):
            self.model = model
        if isinstance(usage, dict):
            self.usage = {**(self.usage or {}), **usage}

    def serve(self, tier: Any) -> None:
        """Keep by which service tier it was answered."""
        if isinstance(tier, str | dict) and tier:
            self.beside["service_tier"] = tier

    def ran(self, tool: str) -> None:
        """Count a tool that the provider ran, and may bill for itself."""
        tools = self.beside.setdefault("server_tools", {})
        tools[tool] = tools.get(tool, 0) + 1

    def fail(self, error: Any) -> None:
        """Keep the most telling word of an error object."""
        names = ("code", "type", "status")
        words = [error.get(name) for name in names] if isinstance(error, dict) else [error]
        self.error = next((word for word in words if isinstance(word, str) and word), "error")


ReadEvent = Callable[[Event, Seen], Sign]


class Splitter(Protocol):
    """Cuts the bytes of a stream into events, whatever its chunks are."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""


def read_whole(body: bytes, seen: Seen) -> None:
    """Read what is told of an answer in one piece; it may be anything."""
    try:
        whole = msgspec.json.decode(body, type=_Whole)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    seen.take(whole.model, whole.usage)
    seen.name(whole.id)
    for choice in objects(whole.choices):
        seen.end(choice.get("finish_reason"))
    seen.end(whole.stop_reason or whole.stopReason)
    seen.end(object_of(whole.incomplete_details).get("reason"))
    if isinstance(whole.error, dict):
        seen.fail(whole.error)


@dataclass(frozen=True, slots=True)
class Wire:
    """One provider's format.

    Args:
        name: the provider's name in step keys and step names.
        hosts: its own hosts; their subdomains count too.
        paths: how the paths of billed requests end; `*` stands for one segment.
        event: reads one event of a stream.
        refusal: an error body in the provider's shape, of a type and a message.
        root_error: `module:class` of its SDK's root error, which the SDK doesn't wrap.
        agents: how the `User-Agent` of its SDKs starts.
        whole: reads an answer in one piece.
        model_in: finds the model in a path, as its first group; else it is in the body.
    """

    name: str
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    event: ReadEvent | None
    refusal: Callable[[str, str], Mapping[str, Any]]
    root_error: str = ""
    agents: tuple[str, ...] = ()
    whole: Callable[[bytes, Seen], None] = read_whole
    model_in: re.Pattern[str] | None = None

    def bills(self, path: str) -> bool:
        """Whether a request to this path is billed."""
        return _ending(self.paths).search(path) is not None

    def is_its_own(self, host: str) -> bool:
        """Whether a host is the provider's; Google's regions stand before a hyphen."""
        return any(host == own or host.endswith((f".{own}", f"-{own}")) for own in self.hosts)


@cache
def _ending(paths: tuple[str, ...]) -> re.Pattern[str]:
    endings = (re.escape(path).replace(r"\*", "[^/]+") for path in paths)
    return re.compile(rf"(?:{'|'.join(endings)})/*$")


class _Whole(msgspec.Struct):
    model: Any = None
    usage: Any = None
    error: Any = None
    id: Any = None
    choices: Any = None
    stop_reason: Any = None
    stopReason: Any = None
    incomplete_details: Any = None


def read_events(event: ReadEvent, splitter: Splitter, body: bytes, seen: Seen) -> None:
    """Read a stream that is there as a whole."""
    signs = {event(each, seen) for each in splitter.feed(body)}
    seen.finished = not signs.isdisjoint((Sign.FINISH, Sign.LAST))


def read_data(event: Event) -> dict[str, Any]:
    """An event's data, where it is a JSON object; else nothing."""
    return read_object(event.data)


def read_object(body: bytes) -> dict[str, Any]:
    """A body that is a JSON object; else nothing."""
    try:
        value = msgspec.json.decode(body) if body else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return object_of(value)


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; none if it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def object_of(value: Any) -> dict[str, Any]:
    """The value itself where it is an object; else an empty one."""
    return value if isinstance(value, dict) else {}


def let_through(error: E, wire: Wire) -> E:
    """Make an error one of the SDK's own errors too, which the SDK doesn't wrap or retry."""
    module, _, name = wire.root_error.partition(":")
    root = getattr(sys.modules.get(module), name, None)
    if isinstance(root, type) and issubclass(root, Exception) and not isinstance(error, root):
        own = type(error)
        error.__class__ = type(own.__name__, (own, root), {"__module__": own.__module__})
    return error


def generic(host: str) -> Wire:
    """The format of a host that was named in `hosts=`: nothing is known of it."""
    return Wire(
        name=host,
        hosts=(),
        paths=(),
        event=None,
        refusal=lambda kind, message: {"error": {"type": kind, "message": message}},
    )
