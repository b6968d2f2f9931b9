"""Edge, pure: what each HTTP queue says of a delivery, and the words in which it is answered.

The adapters `payonce.queues.asgi` and `payonce.queues.wsgi` share these values; nothing here
reads a clock or a socket.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from payonce.delivery import DeliveryScope
from payonce.errors import ConfigError, KeyReused, NotDone, Parked, RetryLater
from payonce.model import Delivery, Verdict
from payonce.telling import verdict_of

Headers = Mapping[str, str]

FIELD_MAX = 500
"""Characters kept of one origin field: the longest task id that Cloud Tasks allows."""

BODY_MAX = 16 * 1024 * 1024
"""Bytes read of a body for its origin: Pub/Sub's 10 MB of data are 13.4 MB in base64."""

HELD_MAX = 1024 * 1024
"""Bytes kept of an error response until the app has ended; a longer one is let through."""

AFTER_MAX = 86_400
"""Seconds of the longest `Retry-After`; QStash ignores a longer one."""

_BY_CLIENT = "googclient_"

HOLD_AFTER = 300
"""Seconds until a parked message that stays in its queue is delivered again."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One queue's words: where it writes the origin, what it takes for stop and for again.

    `parked` is the answer that makes the queue stop; `again` makes it deliver later and `busy`
    says that another attempt is working. `reads_body`: the origin is in the body.
    """

    name: str
    origin: Callable[[Headers, bytes], Delivery]
    parked: int
    parked_headers: tuple[tuple[str, str], ...] = ()
    again: int = 503
    busy: int = 409
    reads_body: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent to the queue in place of an error response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status_line(self) -> str:
        """The status with its phrase, as WSGI wants it."""
        known = self.status in HTTPStatus.__members__.values()
        return f"{self.status} {HTTPStatus(self.status).phrase if known else 'Not Retryable'}"


class _PushedMessage(msgspec.Struct):
    message_id: Any = msgspec.field(name="messageId", default=None)
    attributes: Any = None


class _Push(msgspec.Struct):
    message: _PushedMessage | None = None
    delivery_attempt: Any = msgspec.field(name="deliveryAttempt", default=None)
    subscription: Any = None


def _text(value: object) -> str | None:
    if isinstance(value, int) and abs(value) < 2**63:
        value = str(value)
    if not isinstance(value, str):
        return None
    kept = "".join(c for c in value[:FIELD_MAX] if c.isprintable()).strip()
    return kept or None


def _count(value: object) -> int | None:
    text = _text(value)
    if text is None or len(text) > 9 or not (text.isascii() and text.isdigit()):
        return None
    return int(text)


def _path(*parts: str | None) -> str | None:
    return "/".join(part for part in parts if part) or None


def _cloud_tasks(headers: Headers, _: bytes) -> Delivery:
    return Delivery(
        message=_path(
            _text(headers.get("x-cloudtasks-queuename")),
            _text(headers.get("x-cloudtasks-taskname")),
        ),
        retry_count=_count(headers.get("x-cloudtasks-taskretrycount")),
        previous_response=_text(headers.get("x-cloudtasks-taskpreviousresponse")),
    )


def _pubsub(headers: Headers, body: bytes) -> Delivery:
    try:
        push = msgspec.json.decode(body, type=_Push)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        push = _Push()
    message = push.message.message_id if push.message else headers.get("x-goog-pubsub-message-id")
    subscription = _text(push.subscription or headers.get("x-goog-pubsub-subscription-name"))
    attempt = _count(push.delivery_attempt)
    return Delivery(
        message=_path(subscription and subscription.rpartition("/")[2], _text(message)),
        retry_count=attempt - 1 if attempt else None,
    )


def _qstash(headers: Headers, _: bytes) -> Delivery:
    return Delivery(
        message=_text(headers.get("upstash-message-id")),
        retry_count=_count(headers.get("upstash-retried")),
    )


def _http(headers: Headers, _: bytes) -> Delivery:
    names = ("idempotency-key", "webhook-id", "x-github-delivery", "x-request-id")
    return Delivery(message=next((t for n in names if (t := _text(headers.get(n)))), None))


PROFILES: Mapping[str, Profile] = {
    known.name: known
    for known in (
        Profile("cloud-tasks", _cloud_tasks, parked=204),
        Profile("http", _http, parked=200),
        Profile("pubsub", _pubsub, parked=204, reads_body=True),
        Profile(
            "qstash",
            _qstash,
            parked=489,
            parked_headers=(("upstash-nonretryable-error", "true"),),
        ),
    )
}


def profile(name: str) -> Profile:
    """The profile of that name.

    Errors: `ConfigError` when there is none; it lists those that there are.
    """
    if name in PROFILES:
        return PROFILES[name]
    known = ", ".join(PROFILES)
    raise ConfigError(f"there is no queue named {name!r}", f"Use one of: {known}.")


def readable(length: str) -> bool:
    """Whether a body of that `Content-Length` is short enough to be read for its origin."""
    return length.isdecimal() and len(length) < 10 and int(length) <= BODY_MAX


def read(profile: Profile, headers: Headers, body: bytes = b"") -> Delivery:
    """Where a request came from, as far as its queue says so; what is malformed is left None.

    `headers` by lower-case name. Anybody can write these fields: they are recorded, and nothing
    is decided by them.
    """
    origin = profile.origin(headers, body)
    return Delivery(
        queue=profile.name,
        message=origin.message,
        retry_count=origin.retry_count,
        previous_response=origin.previous_response,
        user_agent=_text(headers.get("user-agent")),
    )


def carrier(headers: Headers, body: bytes = b"") -> Headers:
    """What may tell of the trace that sent the message: headers, and what Pub/Sub's clients add.

    Those write it into the message's attributes, under names that begin with `googclient_` (their
    guide, "OpenTelemetry tracing").
    """
    if _BY_CLIENT.encode() not in body:
        return headers
    try:
        message = msgspec.json.decode(body, type=_Push).message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return headers
    attributes = message.attributes if message is not None else None
    told = {
        name.removeprefix(_BY_CLIENT): value
        for name, value in (attributes if isinstance(attributes, dict) else {}).items()
        if name.startswith(_BY_CLIENT) and isinstance(value, str)
    }
    return {**headers, **told}


def speaks(verdict: Verdict | None) -> bool:
    """Whether the queue has to be told something that only its own words can say."""
    return verdict is not None and verdict.word != "done"


def cause(raised: BaseException | None) -> NotDone | KeyReused | None:
    """The job's own exception in what was raised: itself, in a group, or behind another."""
    found = (e for e in _behind(raised) if isinstance(e, NotDone | KeyReused))
    return next(found, None)


def _behind(raised: BaseException | None) -> Iterator[BaseException]:
    waiting, seen = [raised], set()
    while waiting:
        error = waiting.pop(0)
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(error.exceptions)
        waiting.extend((error.__cause__, error.__context__))


def settle(profile: Profile, scope: DeliveryScope, raised: Exception | None) -> Answer | None:
    """The answer to a delivery that failed, or None where no job has a say in it.

    `raised` is what came out of the handler, where that can be seen: its verdict counts also
    when the job ran where the scope could not be seen (a bare thread).
    """
    error = cause(raised)
    if error is not None:
        scope.note(verdict_of(error))
    if scope.verdict is None or not speaks(scope.verdict):
        return None
    return answer(profile, scope.verdict, error)


def answer(profile: Profile, verdict: Verdict, error: NotDone | KeyReused | None = None) -> Answer:
    """A verdict in the queue's own words.

    `error` adds which run it was, why, and whether it was paid, where it is of that verdict.
    `docs/queues.md` has the table and each word's source.
    """
    stops = verdict.word == "park" and not verdict.hold
    status = profile.busy if verdict.word == "busy" else profile.again
    headers: list[tuple[str, str]] = [("x-payonce-verdict", verdict.word)]
    if stops:
        status = profile.parked
        headers.extend(profile.parked_headers)
    else:
        headers.extend(_retry_after(HOLD_AFTER if verdict.word == "park" else verdict.after))
    if status == 204:
        return Answer(status, tuple(headers), b"")
    body = json.dumps(_told(verdict, error)).encode()
    headers += [("content-type", "application/json"), ("content-length", str(len(body)))]
    return Answer(status, tuple(headers), body)


def _retry_after(after: float | None) -> list[tuple[str, str]]:
    if after is None or math.isnan(after):
        return []
    return [("retry-after", str(math.ceil(min(max(after, 0), AFTER_MAX))))]


def _told(verdict: Verdict, error: NotDone | KeyReused | None) -> dict[str, str]:
    told: dict[str, str] = {"payonce": verdict.word}
    if error is None or verdict_of(error).word != verdict.word:
        return told
    reason = error.reason if isinstance(error, Parked | RetryLater) else error.what
    return told | {"run": error.run_key, "reason": reason[:FIELD_MAX], "paid": error.paid}
