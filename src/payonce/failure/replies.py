"""Decision, inside `failure`: replies of servers that speak no HTTP: mail, FTP, AMQP, Redis.

Sources: RFC 5321 (SMTP), RFC 959 (FTP), RFC 5530 (IMAP), the reply codes of AMQP 0-9-1, and the
prefixes of Redis's error replies.
"""

from __future__ import annotations

import re

from payonce.chain import Link
from payonce.failure.finding import (
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

AMQP = numbers(
    (Kind.TRANSIENT, NOTHING, "200 320 405 506 541"),
    (Kind.DETERMINISTIC, INPUT, "311"),
    (Kind.DETERMINISTIC, CONFIG, "312 313 402 404 530"),
    (Kind.DETERMINISTIC, CREDENTIALS, "403"),
    (Kind.DETERMINISTIC, CONFIG + CODE, "406"),
    (Kind.DETERMINISTIC, CODE, "501 502 503 504 505 540"),
)
REDIS = words(
    (Kind.DETERMINISTIC, CODE, "WRONGTYPE EXECABORT CROSSSLOT"),
    (Kind.DETERMINISTIC, CREDENTIALS, "NOAUTH WRONGPASS NOPERM"),
    (Kind.TRANSIENT, NOTHING, "LOADING BUSY NOSCRIPT CLUSTERDOWN MASTERDOWN TRYAGAIN MOVED ASK"),
    (Kind.TRANSIENT, NOTHING, "READONLY OOM MISCONF NOREPLICAS UNBLOCKED INPROG"),
)
MAIL_CREDENTIALS = frozenset({530, 534, 535, 538})

_REDIS_CODE = re.compile(
    r"wrong number of arguments|syntax error|not an integer|not a valid float|unknown (?:sub)?comm"
    r"|script|index is out of range|invalid (?:cursor|expire|stream)|no such (?:key|index)",
    re.IGNORECASE,
)
_REDIS_BUSY = re.compile(r"max number of clients|timeout|overload|try again|limit exceeded", re.I)
_NUMBER = re.compile(r"(\d{3})[ -]")
_FTP = frozenset({"ftplib.error_perm", "ftplib.error_temp", "nntplib.NNTPPermanentError"})
_IMAP = words(
    (Kind.DETERMINISTIC, CREDENTIALS, "AUTHENTICATIONFAILED AUTHORIZATIONFAILED EXPIRED PRIVACY"),
    (Kind.DETERMINISTIC, CONFIG, "NONEXISTENT NOPERM CANNOT CLIENTBUG BADCHARSET"),
    (Kind.TRANSIENT, NOTHING, "UNAVAILABLE INUSE SERVERBUG LIMIT CONTACTADMIN"),
)
_BRACKETED = re.compile(r"\[([A-Z]+)\]")


def judge(link: Link) -> Finding | None:
    """What a reply's code says."""
    for table in (_judge_redis, _judge_amqp, _judge_mail):
        found = table(link)
        if found is not None:
            return found
    return None


def _judge_redis(link: Link) -> Finding | None:
    if not {"redis.RedisError", "valkey.ValkeyError"} & set(link.shorts):
        return None
    said = link.text("status_code") or link.message.partition(" ")[0]
    if said in REDIS:
        kind, wakes_on = REDIS[said]
        return Finding(Rank.CODE, kind, f"redis {said}", wakes_on)
    if link.shorts[0].endswith(".ResponseError"):
        if _REDIS_BUSY.search(link.message):
            return Finding(Rank.CODE, Kind.TRANSIENT, "redis ERR")
        if _REDIS_CODE.search(link.message):
            return Finding(Rank.CODE, Kind.DETERMINISTIC, "redis ERR", CODE)
    return None


def _judge_amqp(link: Link) -> Finding | None:
    code = link.read("reply_code")
    if not isinstance(code, int) or not link.package.startswith(("pika", "aio", "amqp", "kombu")):
        return None
    return look_up(AMQP, code, Rank.CODE, f"AMQP {code}")


def _judge_mail(link: Link) -> Finding | None:
    reply = _mail_reply(link)
    if reply is None:
        return _judge_imap(link)
    name, number = reply
    if not 400 <= number <= 599:
        return None
    if number < 500:
        return Finding(Rank.STATUS, Kind.TRANSIENT, f"{name} {number}")
    wakes_on = CREDENTIALS if number in MAIL_CREDENTIALS else INPUT + CONFIG
    return Finding(Rank.STATUS, Kind.DETERMINISTIC, f"{name} {number}", wakes_on)


def _mail_reply(link: Link) -> tuple[str, int] | None:
    code = link.read("smtp_code") or link.read("code") if "smtp" in link.package else None
    if isinstance(code, int):
        return "SMTP", code
    refused = link.read("recipients") if "smtplib.SMTPException" in link.shorts else None
    if isinstance(refused, dict):
        replies = [each[0] for each in refused.values() if isinstance(each, tuple | list) and each]
        found = [each for each in replies if isinstance(each, int)]
        return ("SMTP", min(found)) if found else None
    if _FTP & set(link.shorts):
        match = _NUMBER.match(link.message)
        return ("FTP", int(match[1])) if match else None
    return None


def _judge_imap(link: Link) -> Finding | None:
    if link.package != "imaplib":
        return None
    match = _BRACKETED.search(link.message)
    if match is None or match[1] not in _IMAP:
        return None
    kind, wakes_on = _IMAP[match[1]]
    return Finding(Rank.CODE, kind, f"IMAP {match[1]}", wakes_on)
