"""Decision, inside `failure`: the status of an HTTP, gRPC or SMTP answer.

Source: RFC 9110 and the IANA status registry; 425: RFC 8470; 429: RFC 6585; 52x and 530 as
Cloudflare, 529 as Anthropic send them; gRPC: the status codes of grpc.io; SMTP: RFC 5321.
"""

from __future__ import annotations

import re

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
from payonce.model import Kind

STATUSES = numbers(
    (Kind.DETERMINISTIC, INPUT + CODE, "400 413 416 422"),
    (Kind.DETERMINISTIC, CREDENTIALS, "401 407 511"),
    (Kind.DETERMINISTIC, ACCOUNT, "402 451"),
    (Kind.DETERMINISTIC, CREDENTIALS + ACCOUNT, "403"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "404 410 421 501 505 508"),
    (Kind.TRANSIENT, NOTHING, "408 425 499 502 503 504 520 521 522 523 524 525 527 529 530"),
    (Kind.TRANSIENT, NOTHING, "598 599"),
    (Kind.UNKNOWN, NOTHING, "409 423 424 500 507"),
    (Kind.THROTTLED, NOTHING, "429 420"),
)
_ANY_300 = (Kind.DETERMINISTIC, CONFIG + CODE)
_ANY_400 = (Kind.DETERMINISTIC, CODE)
_ANY_500 = (Kind.UNKNOWN, NOTHING)

GRPC = words(
    (Kind.DETERMINISTIC, INPUT + CODE, "INVALID_ARGUMENT OUT_OF_RANGE"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "NOT_FOUND UNIMPLEMENTED"),
    (Kind.DETERMINISTIC, CREDENTIALS, "PERMISSION_DENIED UNAUTHENTICATED"),
    (Kind.DETERMINISTIC, ACCOUNT + CONFIG, "FAILED_PRECONDITION"),
    (Kind.THROTTLED, NOTHING, "RESOURCE_EXHAUSTED"),
    (Kind.TRANSIENT, NOTHING, "UNAVAILABLE DEADLINE_EXCEEDED ABORTED CANCELLED"),
    (Kind.UNKNOWN, NOTHING, "UNKNOWN INTERNAL ALREADY_EXISTS DATA_LOSS"),
)

_SECONDS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*s?\s*")


def judge(link: Link) -> Finding | None:
    """What the status of the answer says."""
    status = link.status
    if status is not None:
        return _judge_http(link, status)
    name = link.grpc_status
    if name is not None:
        return look_up(GRPC, name, Rank.STATUS, f"gRPC {name}")
    return _judge_smtp(link)


def _judge_http(link: Link, status: int) -> Finding:
    otherwise = _ANY_500 if status >= 500 else _ANY_400 if status >= 400 else _ANY_300
    kind, wakes_on = STATUSES.get(status, otherwise)
    if status == 409 and link.header("x-should-retry") == "true":
        kind = Kind.TRANSIENT
    return Finding(Rank.STATUS, kind, f"HTTP {status}", wakes_on)


def _judge_smtp(link: Link) -> Finding | None:
    reply = link.read("smtp_code")
    if not isinstance(reply, int) or not 400 <= reply <= 599:
        return None
    if reply < 500:
        return Finding(Rank.STATUS, Kind.TRANSIENT, f"SMTP {reply}")
    wakes_on = CREDENTIALS if reply in (530, 534, 535) else INPUT + CONFIG
    return Finding(Rank.STATUS, Kind.DETERMINISTIC, f"SMTP {reply}", wakes_on)


def wait_of(link: Link) -> float | None:
    """The seconds that the other side asked to wait.

    Read from `retry-after-ms`, `retry-after` (as seconds; a date would need a clock) and
    Google's `RetryInfo`.
    """
    milliseconds = _seconds(link.header("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    return _seconds(link.header("retry-after")) or _google_delay(link)


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
