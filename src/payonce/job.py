"""On the path, before the door: a job, its run keys, and its arguments as they are kept."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Formatter
from types import GenericAlias
from typing import Any, get_args

import msgspec

from payonce import values
from payonce.errors import ConfigError, KeyTemplateError, NotKept
from payonce.fingerprint import of_arguments
from payonce.model import Payload
from payonce.money import Money
from payonce.policy import Limits
from payonce.ready import Need

_MOST = 2_000
"""Bytes of a run key or a tenant: with the job's name beside it, it has to fit into an entry of an
index of PostgreSQL, a third of a page (https://www.postgresql.org/docs/current/btree.html)."""


class Template:
    """A key template such as `course:{course_id}` over a function's arguments."""

    def __init__(self, text: str, function: Callable[..., Any]) -> None:
        self._text = text
        try:
            fields = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
        except ValueError as exc:
            raise KeyTemplateError(
                f"the template {text!r} is malformed: {exc}", 'Write it like "course:{course_id}".'
            ) from exc
        known = inspect.signature(function).parameters
        for name in fields:
            root = name.partition(".")[0].partition("[")[0]
            if root not in known:
                raise KeyTemplateError(
                    f"the template {text!r} names {root or '{}'!r}, which is no argument of "
                    f"{function.__qualname__}",
                    f"Its arguments are: {', '.join(known) or 'none'}.",
                )

    def fill(self, arguments: Mapping[str, Any]) -> str:
        """The text for one call's arguments.

        Raises:
            KeyTemplateError: an argument in it is None or empty, so that runs would be mixed up, or
                the text is too long to be found by.
        """
        for _, name, _, _ in Formatter().parse(self._text):
            if name is not None:
                value, _ = Formatter().get_field(name, (), arguments)
                if value is None or value == "":
                    raise KeyTemplateError(
                        f"the template {self._text!r} needs {name}, which is {value!r}",
                        "Give each delivery a value for it.",
                    )
        text = self._text.format_map(arguments)
        if len(text) > _MOST // 4 and (size := len(text.encode("utf-8", "replace"))) > _MOST:
            raise KeyTemplateError(
                f"the template {self._text!r} is filled with {size:,} bytes; {_MOST:,} is the most",
                "Put an id or a hash in it.",
            )
        return text


@dataclass(frozen=True, slots=True)
class Arguments:
    """One call's arguments: by name, as kept (JSON), and the fingerprint they are compared by."""

    by_name: Mapping[str, Any]
    kept: bytes
    fingerprint: str
    bound: inspect.BoundArguments


@dataclass(frozen=True, slots=True)
class Job:
    """A function that deliveries call; `name` is the same in every process and deploy."""

    name: str
    function: Callable[..., Any]
    key: Template
    tenant: Template | None
    limits: Limits
    hold: bool
    ignored: frozenset[str]
    version: str | None
    needs: tuple[Need, ...] = ()
    budget: Money | None = None
    is_async: bool = field(init=False)
    signature: inspect.Signature = field(init=False)
    hints: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "is_async", inspect.iscoroutinefunction(self.function))
        set_(self, "signature", inspect.signature(self.function))
        set_(self, "hints", hints_of(self.function))
        if (first := next(iter(self.signature.parameters), None)) in ("self", "cls"):
            raise ConfigError(
                f"{self.name} takes {first}, which the journal can't keep",
                "Make a function the job, and let it call the method.",
            )
        if unknown := self.ignored - set(self.signature.parameters):
            raise ConfigError(
                f"ignore_args of {self.name} names {', '.join(sorted(unknown))}, which it "
                "doesn't take",
                f"Its arguments are: {', '.join(self.signature.parameters)}.",
            )

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        """Bind one call's arguments.

        Raises:
            TypeError: they don't fit the function.
            NotKept: one of them can't be kept and isn't ignored.
        """
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        kept, compared = {}, {}
        for name, value in bound.arguments.items():
            payload = values.encode(value, self._hint(name), name=f"argument {name}")
            if payload.codec not in (values.DESCRIBED, "msgpack"):
                kept[name] = (payload.codec, msgspec.Raw(payload.body))
            elif name not in self.ignored:
                raise NotKept(
                    f"argument {name} of {self.name} can't be kept: it is a {type(value).__name__}",
                    "Pass a plain value, a dataclass or a pydantic model instead, or name it in "
                    "ignore_args= and give it a default.",
                )
            default = self.signature.parameters[name].default
            if name not in self.ignored and not is_default(value, default):
                compared[name] = kept[name]
        fingerprint = of_arguments(msgspec.json.encode(compared, order="sorted"))
        return Arguments(bound.arguments, msgspec.json.encode(kept), fingerprint, bound)

    def call(self, arguments: Arguments) -> Any:
        """The user's function, as it is."""
        value = self.function(*arguments.bound.args, **arguments.bound.kwargs)
        if inspect.iscoroutine(value) and not self.is_async:
            value.close()
            raise ConfigError(
                f"{self.name} is a plain function that returned a coroutine",
                "Make it async and await what it calls, so that the work belongs to the run.",
            )
        return value

    @property
    def returns(self) -> Any:
        """The declared type of the value."""
        return self.hints.get("return", Any)

    def _hint(self, name: str) -> Any:
        hint = self.hints.get(name, Any)
        match self.signature.parameters[name].kind:
            case inspect.Parameter.VAR_POSITIONAL:
                return GenericAlias(tuple, (hint, ...))
            case inspect.Parameter.VAR_KEYWORD:
                return GenericAlias(dict, (str, hint))
            case _:
                return hint

    def differing(self, one: bytes, other: bytes) -> tuple[str, ...]:
        """The names of arguments that two kept sets differ in, but for those that may."""
        a, b = (msgspec.json.decode(kept) for kept in (one, other))
        names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
        return tuple(name for name in names if name not in self.ignored)

    def unbind(self, kept: bytes) -> dict[str, Any]:
        """The arguments behind what was kept, as keyword arguments where that is possible."""
        found = msgspec.json.decode(kept, type=dict[str, tuple[str, msgspec.Raw]])
        return {
            name: values.decode(Payload(codec, bytes(raw)), self._hint(name))
            for name, (codec, raw) in found.items()
            if name in self.signature.parameters
        }

    def again(self, kept: bytes) -> Arguments:
        """The same arguments once more, after the queue's message is gone.

        Raises:
            NotKept: the job takes an argument that the journal doesn't have.
        """
        given = self.unbind(kept)
        bound = self.signature.bind_partial()
        bound.arguments.update(given)
        bound.apply_defaults()
        if missing := [n for n in self.signature.parameters if n not in bound.arguments]:
            raise NotKept(
                f"{self.name} takes {', '.join(missing)}, which the journal has not kept",
                "Give it a default, or deliver the message again.",
            )
        return self.bind(bound.args, bound.kwargs)


def refuse_unfit(function: Callable[..., Any]) -> None:
    """What can't be a job or a step: told where it is written.

    A generator works only while it is read, after its run or its step has ended.
    """
    if isinstance(function, classmethod | staticmethod):
        kind = type(function).__name__
        raise ConfigError(
            f"{function.__qualname__} is a {kind}", f"Write @{kind} above, not below."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"{function.__qualname__} is a generator",
            "Let it return all that it yields, as a list.",
        )


def refuse_other(name: str, word: str, kind: Any) -> None:
    """A word that isn't one of a `Literal`'s."""
    if word not in get_args(kind):
        known = " or ".join(f'"{each}"' for each in get_args(kind))
        raise ConfigError(f"{name}= is {word!r}", f"Give it {known}.")


def is_default(value: Any, default: Any) -> bool:
    """Whether an argument is what it would be anyway: a deploy may add it, and nothing changes."""
    try:
        return value is default or (type(value) is type(default) and bool(value == default))
    except Exception:  # a value may forbid comparing
        return False


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The resolved type hints; none of them when one can't be resolved."""
    try:
        return typing.get_type_hints(function)
    except Exception:  # an annotation may name what is only imported for type checking
        return {}
