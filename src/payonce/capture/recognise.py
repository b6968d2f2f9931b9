"""Edge, inside `capture`: which requests are billed calls, and whose; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from payonce.capture import anthropic, openai
from payonce.capture.wire import Wire, generic
from payonce.fingerprint import of_request
from payonce.policy import Doubt
from payonce.redact import redact
from payonce.step import Asked

WIRES = (anthropic.WIRE, openai.WIRE)

_SECRET_HEADERS = ("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key")
_METHODS = frozenset({"POST", "PUT", "PATCH"})
_SDKS = ("OpenAI/Python", "AsyncOpenAI/Python", "Anthropic/Python", "AsyncAnthropic/Python")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as a hook sees it; `target` is the path with its query.

    `headers` have names in lower case and are only looked at, never stored.
    """

    method: str
    host: str
    port: int | None
    target: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.target.partition("?")[0]

    def secrets(self) -> list[str]:
        """The keys that the request carries: an error may repeat them, whatever they look like."""
        values = [self.headers[name] for name in _SECRET_HEADERS if self.headers.get(name)]
        return [value.rpartition(" ")[2] for value in values]

    @property
    def from_sdk(self) -> bool:
        """Whether an SDK that Stainless generates sends it: these obey `x-should-retry`."""
        return any(name.startswith("x-stainless-") for name in self.headers)


@dataclass(frozen=True, slots=True)
class Billed:
    """A request that is recognised as a billed call."""

    sent: Sent
    wire: Wire
    in_doubt: Doubt

    @property
    def name(self) -> str:
        """The step's name; paths may hold keys, so they are redacted."""
        return f"{self.wire.name} {self.sent.method} {redact(self.sent.path)}"

    def asked(self, body: bytes) -> Asked:
        """The step that this call is."""
        content_type = self.sent.headers.get("content-type", "")
        return Asked(
            name=self.name,
            key=of_request(self.wire.name, self.sent.target, content_type, body),
            source="capture",
            in_doubt=self.in_doubt,
            model=_model(body),
        )


def recognise(sent: Sent, hosts: Collection[str], in_doubt: Doubt) -> Billed | None:
    """Tell a billed call from what passes through.

    Args:
        sent: the request.
        hosts: further hosts that bill, as `host` or `host:port`, in lower case.
        in_doubt: what happens to a provider's call in doubt. One to a host of which nothing is
            known is repeated only where the request has an `Idempotency-Key`.
    """
    if sent.method not in _METHODS:
        return None
    named = sent.host in hosts or f"{sent.host}:{sent.port}" in hosts
    if sent.method == "POST":
        for wire in WIRES:
            if sent.path.rstrip("/").endswith(wire.paths) and (named or _speaks_to(sent, wire)):
                return Billed(sent, wire, in_doubt)
    if not named:
        return None
    return Billed(sent, generic(sent.host), "retry" if _has_key(sent) else "park")


def _speaks_to(sent: Sent, wire: Wire) -> bool:
    if any(sent.host == own or sent.host.endswith(f".{own}") for own in wire.hosts):
        return True
    by_sdk = sent.headers.get("user-agent", "").startswith(_SDKS)
    return by_sdk or "x-stainless-lang" in sent.headers


def _has_key(sent: Sent) -> bool:
    return bool(sent.headers.get("idempotency-key"))


class _Request(msgspec.Struct):
    model: Any = None


def _model(body: bytes) -> str | None:
    try:
        model = msgspec.json.decode(body, type=_Request).model
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return model if isinstance(model, str) else None
