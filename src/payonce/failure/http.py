"""Decision, inside `failure`: the status of an HTTP or gRPC answer.

Source: RFC 9110 and the IANA status registry; 425: RFC 8470; 429: RFC 6585; 52x and 530 as
Cloudflare, 529 as Anthropic send them; gRPC: the status codes of grpc.io.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from payonce.chain import Link
from payonce.failure.finding import (
    ACCOUNT,
    CODE,
    CONFIG,
    CREDENTIALS,
    INPUT,
    NOTHING,
    Finding,
    Rank,
    look_up,
    numbers,
    words,
)
from payonce.failure.naming import judge as judge_name
from payonce.failure.naming import judge_code
from payonce.failure.phrases import COMES_AGAIN, DRAWN, TOO_FAST
from payonce.model import Kind

STATUSES = numbers(
    (Kind.DETERMINISTIC, INPUT + CODE, "400 413 416 422"),
    (Kind.DETERMINISTIC, CREDENTIALS, "401 407 511"),
    (Kind.DETERMINISTIC, ACCOUNT, "402 451"),
    (Kind.DETERMINISTIC, CREDENTIALS + ACCOUNT, "403"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "404 410 421 501 505 506 508"),
    (Kind.TRANSIENT, NOTHING, "408 423 424 425 499 500 502 503 504 507 598 599"),
    (Kind.TRANSIENT, NOTHING, "520 521 522 523 524 525 527 529 530"),
    (Kind.DETERMINISTIC, CONFIG, "526"),
    (Kind.UNKNOWN, NOTHING, "409 412"),
    (Kind.THROTTLED, NOTHING, "429 420"),
)
_ANY_300 = (Kind.DETERMINISTIC, CONFIG + CODE)
_ANY_400 = (Kind.DETERMINISTIC, CODE)
_ANY_500 = (Kind.TRANSIENT, NOTHING)

GRPC = words(
    (Kind.DETERMINISTIC, INPUT + CODE, "INVALID_ARGUMENT OUT_OF_RANGE"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "NOT_FOUND UNIMPLEMENTED"),
    (Kind.DETERMINISTIC, CREDENTIALS, "PERMISSION_DENIED UNAUTHENTICATED"),
    (Kind.DETERMINISTIC, ACCOUNT + CONFIG, "FAILED_PRECONDITION"),
    (Kind.THROTTLED, NOTHING, "RESOURCE_EXHAUSTED"),
    (Kind.TRANSIENT, NOTHING, "UNAVAILABLE DEADLINE_EXCEEDED ABORTED CANCELLED INTERNAL UNKNOWN"),
    (Kind.UNKNOWN, NOTHING, "ALREADY_EXISTS DATA_LOSS"),
)

_SOFT = frozenset({400, 403, 404, 422, 498})
_NO_HTTP = frozenset({"builtins", "sqlalchemy", "pymongo", "django"})
_IN_MESSAGE = re.compile(
    r"(?:HTTP (?:Error |status )?|[Ee]rror code: |status[_ ]code: |API error occurred: Status "
    r"|(?:Client|Server) error ')(\d{3})\b|\((\d{3})\)\s+Reason: "
    r"|(\d{3}) (?:Client|Server) Error: |(\d{3}), message=|\[(\d{3}) [A-Z_]+\]"
    r"|.{0,60}HTTP status (?:code )?(\d{3})\b"
)
_SECONDS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*s?\s*")


def judge(link: Link) -> Finding | None:
    """What the status of the answer says."""
    status = link.status or (None if link.has_no_status else _status_in(link))
    if status is not None:
        return _judge_http(link, status)
    name = link.grpc_status
    if name is not None:
        return look_up(GRPC, name, Rank.STATUS, f"gRPC {name}")
    return None


def _judge_http(link: Link, status: int) -> Finding:
    otherwise = _ANY_500 if status >= 500 else _ANY_400 if status >= 400 else _ANY_300
    kind, wakes_on = STATUSES.get(status, otherwise)
    evidence = f"HTTP {status}"
    if status == 409 and link.header("x-should-retry") == "true":
        kind = Kind.TRANSIENT
    if status in _SOFT and (softer := _softer(link)) is not None:
        return Finding(Rank.STATUS, softer, evidence)
    return Finding(Rank.STATUS, kind, evidence, wakes_on)


def _softer(link: Link) -> Kind | None:
    """What else a refusal says of itself: that it is a limit, or that it passes.

    Clouds file throttling under 400 and 403, and providers some of their own time-outs.
    """
    named = judge_code(link) or judge_name(link)
    if named is not None and named.kind in (Kind.THROTTLED, Kind.TRANSIENT):
        return named.kind
    if TOO_FAST.search(link.message):
        return Kind.THROTTLED
    if COMES_AGAIN.search(link.message) or DRAWN.search(link.message):
        return Kind.UNKNOWN
    return None


def _status_in(link: Link) -> int | None:
    """A status that a client has put into its message alone."""
    if link.package in _NO_HTTP:
        return None
    match = _IN_MESSAGE.match(link.message)
    status = int(next(filter(None, match.groups()))) if match else 0
    return status if 400 <= status <= 599 else None


def wait_of(link: Link, now: float | None = None) -> float | None:
    """The seconds that the other side asked to wait.

    Read from `retry-after-ms`, `retry-after` (seconds, or a date against the answer's own `date`,
    else against `now`), Google's `RetryInfo`, and what an SDK has read itself.
    """
    milliseconds = _seconds(link.header("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = link.header("retry-after")
    return _seconds(told) or _until(link, told, now) or _google_delay(link) or _sdks_own(link)


def _until(link: Link, told: str | None, now: float | None) -> float | None:
    """The seconds until an HTTP date (RFC 9110, 10.2.3)."""
    moment, sent = _date(told), _date(link.header("date"))
    since = sent if sent is not None else now
    return max(0.0, moment - since) if moment is not None and since is not None else None


def _date(text: str | None) -> float | None:
    if text is None or not text[:1].isalpha():
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _sdks_own(link: Link) -> float | None:
    value = link.read("retry_after")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and value > 0 else None


def _seconds(text: str | None) -> float | None:
    match = _SECONDS.fullmatch(text) if text else None
    return float(match[1]) if match else None


def _google_delay(link: Link) -> float | None:
    error = link.body.get("error", link.body)
    details = error.get("details") if isinstance(error, dict) else None
    for each in details if isinstance(details, list) else ():
        delay = each.get("retryDelay") if isinstance(each, dict) else None
        if isinstance(delay, str):
            return _seconds(delay)
    return None
