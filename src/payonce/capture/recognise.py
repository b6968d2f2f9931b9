"""Edge, inside `capture`: which requests are billed calls, and whose; pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import msgspec

from payonce.capture import anthropic, bedrock, cohere, gemini, mistral, openai
from payonce.capture.drawn import Drawn
from payonce.capture.wire import Wire, generic
from payonce.drift import Rule
from payonce.fingerprint import of_request
from payonce.policy import Doubt
from payonce.redact import names_secret, redact
from payonce.step import Asked

WIRES = (
    *(anthropic.WIRE, openai.WIRE, openai.GROQ, openai.TOGETHER),
    *(mistral.WIRE, cohere.WIRE, gemini.WIRE, bedrock.WIRE, bedrock.OF_ANTHROPIC),
)

_SECRET_ARGUMENT = re.compile(
    r"(?<=[?&])(?:(?:api|subscription)?[_-]?key|(?:access|auth)[_-]?token)=([^&]*)&?",
    re.IGNORECASE,
)
_METHODS = frozenset({"POST", "PUT", "PATCH"})
_OF_MANY = ("litellm/",)


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
        named = [name for name in self.headers if name != "cookie" and names_secret(name)]
        secrets = [self.headers[name].rpartition(" ")[2] for name in named if self.headers[name]]
        return secrets + [each for each in _SECRET_ARGUMENT.findall(self.target) if each]

    def cookies(self) -> list[str]:
        """The values of its cookies, which an error may repeat as well."""
        parts = self.headers.get("cookie", "").split(";")
        return [value for part in parts if (value := part.partition("=")[2].strip())]

    def account(self) -> tuple[str, ...]:
        """Who pays: the keys, without what AWS signs anew for each send (Signature Version 4)."""
        scheme, _, told = self.headers.get("authorization", "").partition(" ")
        if scheme.startswith("AWS4-"):
            return (told.partition("Credential=")[2].partition("/")[0],)
        return tuple(self.secrets())

    @property
    def public_target(self) -> str:
        """The path with its query, but for a key in it: a new key makes no new request."""
        return _SECRET_ARGUMENT.sub("", self.target).rstrip("?&")

    @property
    def agent(self) -> str:
        """What sends it, by its own word."""
        return self.headers.get("user-agent", "")

    @property
    def from_sdk(self) -> bool:
        """Whether an SDK that Stainless generates sends it: these obey `x-should-retry`."""
        return any(name.startswith("x-stainless-") for name in self.headers)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms an app's calls are journaled; see `capture.install`."""

    in_doubt: Doubt = "retry"
    drift: Rule = "pay"
    ignore: tuple[str, ...] = ()
    sketches: bool = True


@dataclass(frozen=True, slots=True)
class Billed:
    """A request that is recognised as a billed call."""

    sent: Sent
    wire: Wire
    terms: Terms

    @property
    def name(self) -> str:
        """The step's name; paths may hold keys, so they are redacted."""
        return f"{self.wire.name} {self.sent.method} {redact(self.sent.path)}"

    def asked(self, body: bytes) -> Asked:
        """The step that this call is."""
        content_type, terms = self.sent.headers.get("content-type", ""), self.terms
        return Asked(
            name=self.name,
            key=of_request(
                self.wire.name, self.sent.public_target, content_type, body, terms.ignore
            ),
            source="capture",
            in_doubt=terms.in_doubt,
            model=_model(self.wire, self.sent.path, body),
            request=Drawn(
                content_type,
                body,
                rule=terms.drift,
                ignore=terms.ignore,
                keep=terms.sketches,
                provider=self.wire.name,
                host=self.sent.host,
            ),
        )


def recognise(
    sent: Sent,
    hosts: Collection[str],
    terms: Terms = Terms(),
) -> Billed | None:
    """Tell a billed call from what passes through.

    Args:
        sent: the request.
        hosts: further hosts that bill, as `host` or `host:port`, in lower case.
        terms: the app's. A call in doubt to a host of which nothing is known is repeated only
            where the request has an `Idempotency-Key`.
    """
    if sent.method not in _METHODS:
        return None
    named = sent.host in hosts or f"{sent.host}:{sent.port}" in hosts
    wire = _wire_of(sent, named) if sent.method == "POST" else None
    if wire is not None:
        return Billed(sent, wire, terms)
    if not named:
        return None
    doubt: Doubt = "retry" if _has_key(sent) else "park"
    return Billed(sent, generic(sent.host), replace(terms, in_doubt=doubt))


def _wire_of(sent: Sent, named: bool) -> Wire | None:
    """The format of a billed call to a provider: the SDK's that sends it, else the host's own."""
    fitting = [wire for wire in WIRES if wire.bills(sent.path)]
    by_sdk = (wire for wire in fitting if wire.agents and sent.agent.startswith(wire.agents))
    by_host = (wire for wire in fitting if wire.is_its_own(sent.host))
    known = next(by_sdk, None) or next(by_host, None)
    if known is None and (named or sent.from_sdk or sent.agent.startswith(_OF_MANY)):
        return next(iter(fitting), None)
    return known


def _has_key(sent: Sent) -> bool:
    return bool(sent.headers.get("idempotency-key"))


class _Request(msgspec.Struct):
    model: Any = None


def _model(wire: Wire, path: str, body: bytes) -> str | None:
    found = wire.model_in.search(path) if wire.model_in is not None else None
    if found is not None:
        return unquote(found[1])
    try:
        model = msgspec.json.decode(body, type=_Request).model
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return model if isinstance(model, str) else None
