"""Decision, under `failure` and `fingerprint`: an exception and what led to it, read by name.

Everything is read by qualified class names and by attributes, so that no optional package is
imported and a recorded exception can be read like a live one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import TracebackType
from typing import Any

import msgspec

LONGEST_CHAIN = 32
STARTED = ("__main__", "__mp_main__")
"""What a module is called in the process that it was started in, or that multiprocessing made."""

_LONGEST_BODY = 65_536
_LONGEST_MESSAGE = 8_192


@dataclass(frozen=True, eq=False)
class Link:
    """One exception of a chain; whatever it doesn't carry reads as None."""

    exc: BaseException

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Qualified class names along the MRO, most derived first, without `object`."""
        return _names(type(self.exc).__mro__)

    @cached_property
    def shorts(self) -> tuple[str, ...]:
        """The same as top-level package and class: "httpx.ReadTimeout", "builtins.OSError"."""
        return _shorts(type(self.exc).__mro__)

    @cached_property
    def package(self) -> str:
        """The top-level package that the exception's class comes from."""
        return self.names[0].partition(".")[0]

    @cached_property
    def is_plain(self) -> bool:
        """Whether it is one of Python's own with nothing added: it can't carry foreign codes."""
        return self.package == "builtins" and not getattr(self.exc, "__dict__", None)

    @cached_property
    def message(self) -> str:
        """The exception's text; empty where it can't be had."""
        try:
            return str(self.exc)[:_LONGEST_MESSAGE]
        except Exception:
            return ""

    def read(self, path: str) -> Any:
        """What lies at a dotted path of attributes or mapping keys, None where nothing does."""
        return read(self.exc, path)

    def text(self, *paths: str) -> str | None:
        """The first non-empty string among these paths."""
        for path in paths:
            value = self.read(path)
            if isinstance(value, str) and value:
                return value
        return None

    @cached_property
    def sqlstate(self) -> str | None:
        """The five characters of a SQLSTATE; ODBC drivers carry it as their first argument."""
        if self.is_plain:
            return None
        found = self.text("sqlstate", "pgcode", "diag.sqlstate")
        if found is None and self.package in ("pyodbc", "aioodbc"):
            first = next(iter(self.exc.args), None)
            found = first if isinstance(first, str) else None
        return found if found and len(found) == 5 and found.isalnum() else None

    @cached_property
    def mysql_number(self) -> int | None:
        """The number that MySQL's and MariaDB's drivers keep in `errno` or as first argument."""
        if self.package not in _MYSQL_DRIVERS:
            return None
        number = self.read("errno") or next(iter(self.exc.args), None)
        return number if isinstance(number, int) and number > 0 else None

    @cached_property
    def response(self) -> Any:
        """The HTTP answer that the exception carries, if any."""
        return self.read("response")

    @cached_property
    def has_no_status(self) -> bool:
        """Whether what looks like a status is none: aiohttp makes up a 400 for what is no HTTP."""
        cause = self.exc.__cause__
        shorts = () if cause is None else _shorts(type(cause).__mro__)
        return not _NO_STATUS.isdisjoint((*self.shorts, *shorts))

    @cached_property
    def status(self) -> int | None:
        """The HTTP status (300 to 599), under any of the names that libraries give it."""
        if self.is_plain or self.has_no_status:
            return None
        for path in _STATUS_PATHS:
            status = _status(self.read(path))
            if status is not None and (path != "code" or status in _REGISTERED):
                return status
        return None

    @cached_property
    def grpc_status(self) -> str | None:
        """The gRPC or Google status name, such as "UNAVAILABLE"."""
        for path in ("code", "grpc_status_code", "status"):
            value = self.read(path)
            if callable(value) and not isinstance(value, type):
                value = _called(value)
            name = getattr(value, "name", value)
            if isinstance(name, str) and name.isupper() and name in GRPC_NAMES:
                return name
        return None

    @cached_property
    def body(self) -> dict[str, Any]:
        """The provider's error object as parsed JSON; empty where there is none.

        An answer that has not been read yet is left unread.
        """
        for path in ("body", "json_body", "details"):
            value = self.read(path)
            if isinstance(value, dict):
                return value
        raw = getattr(self.response, "_content", None)
        if not isinstance(raw, bytes) or not 2 <= len(raw) <= _LONGEST_BODY:
            return {}
        try:
            parsed = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}
        return parsed if isinstance(parsed, dict) else {}

    def read_body(self, path: str) -> Any:
        """What lies at a dotted path in the provider's error object."""
        return read(self.body, path)

    def header(self, name: str) -> str | None:
        """A header of the answer, by its lower-case name."""
        for path in ("response.headers", "headers", "response.ResponseMetadata.HTTPHeaders"):
            headers = self.read(path)
            get = getattr(headers, "get", None)
            value = _called(get, name) if callable(get) else None
            if isinstance(value, str):
                return value
        return None

    @cached_property
    def errno(self) -> int | None:
        """The operating system's number of an `OSError`."""
        value = self.read("errno") if "builtins.OSError" in self.names else None
        return value if isinstance(value, int) else None

    def frames(self) -> Iterator[tuple[str, str, str]]:
        """Module, qualified function and file of each frame of the traceback, outermost first."""
        trace: TracebackType | None = self.exc.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            yield module_of(trace.tb_frame.f_globals), code.co_qualname, code.co_filename
            trace = trace.tb_next

    @cached_property
    def members(self) -> tuple[Chain, ...]:
        """The chains of the exceptions that a group holds."""
        if "builtins.BaseExceptionGroup" not in self.names:
            return ()
        held = self.read("exceptions")
        return tuple(Chain(each) for each in held) if isinstance(held, tuple | list) else ()


@dataclass(frozen=True, eq=False)
class Chain:
    """An exception with what led to it; read once, then shared by all who ask."""

    exc: BaseException

    @cached_property
    def links(self) -> list[Link]:
        """The exception and what it was explicitly raised from, outermost first."""
        return _causes(self.exc)

    @cached_property
    def background(self) -> list[Link]:
        """What was being handled when these were raised, nearest first."""
        return _background(self.links)


_MYSQL_DRIVERS = frozenset({"pymysql", "MySQLdb", "mysql", "aiomysql", "asyncmy", "mariadb"})
GRPC_NAMES = frozenset(
    {
        "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
        "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
        "UNAUTHENTICATED",
    }
)  # fmt: skip
_REGISTERED = frozenset({*range(300, 309), *range(400, 452), *range(498, 512), *range(520, 531)})
# Their numbers are not those of an answer's status.
_NO_STATUS = frozenset(
    {"builtins.SystemExit", "pymongo.PyMongoError", "aiohttp.HttpProcessingError"}
)
_STATUS_PATHS = (
    "status_code",
    "response.status_code",
    "status",
    "http_status",
    "response.status",
    "response.ResponseMetadata.HTTPStatusCode",
    "response.HTTPStatusCode",
    "meta.status",
    "response_code",
    "code",
)


def module_of(names: dict[str, Any]) -> str:
    """A module's name, by its globals; also where it was started as a program.

    Another process may import the same module.
    """
    name = str(names.get("__name__", ""))
    if name not in STARTED:
        return name
    spec = names.get("__spec__")
    if spec is not None:
        return str(spec.name)
    file = str(names.get("__file__", name))
    return file.replace("\\", "/").rpartition("/")[2].removesuffix(".py")


def read(value: Any, path: str) -> Any:
    """What lies at a dotted path of attributes or mapping keys, None where nothing does."""
    try:
        for name in path.split(".") if "." in path else (path,):
            if value is None:
                return None
            value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    except Exception:
        return None
    return value


def _causes(exc: BaseException) -> list[Link]:
    """Follow `__cause__`, SQLAlchemy's `orig` and the `reason` of urllib and urllib3."""
    found: list[Link] = []
    seen: set[int] = set()
    waiting = [exc]
    while waiting and len(found) < LONGEST_CHAIN:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        found.append(Link(current))
        further = (read(current, "reason"), current.__cause__, read(current, "orig"))
        waiting += [each for each in further if isinstance(each, BaseException)]
    return found


def _background(links: list[Link]) -> list[Link]:
    """Follow `__context__`, unless `raise … from …` suppressed it."""
    found: list[Link] = []
    seen = {id(link.exc) for link in links}
    waiting = list(links)
    while waiting and len(found) < LONGEST_CHAIN:
        exc = waiting.pop(0).exc
        context = None if exc.__suppress_context__ else exc.__context__
        if context is None or id(context) in seen:
            continue
        new = [link for link in _causes(context) if id(link.exc) not in seen]
        seen.update(id(link.exc) for link in new)
        found += new
        waiting += new
    return found


@lru_cache(maxsize=1024)
def _names(mro: tuple[type, ...]) -> tuple[str, ...]:
    return tuple(f"{cls.__module__}.{cls.__qualname__}" for cls in mro[:-1])


@lru_cache(maxsize=1024)
def _shorts(mro: tuple[type, ...]) -> tuple[str, ...]:
    return tuple(f"{cls.__module__.partition('.')[0]}.{cls.__name__}" for cls in mro[:-1])


def _status(value: Any) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 300 <= value <= 599:
        return int(value)
    return None


def _called(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except Exception:
        return None
