"""Reading, for `audit`: what one line of a log says of deliveries, paid calls and failures.

Sources of the wordings: Celery's worker (4 and 5), uvicorn, gunicorn and nginx access logs, httpx's
INFO line, urllib3's DEBUG line, the OpenAI SDK's line about retries, AWS Lambda's START, END and
REPORT, SQS's attribute names, Cloud Tasks' header names, Python's tracebacks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

_IDS = r"x-cloudtasks-taskname|approximatereceivecount|celery_task_id|x-cloudtasks-taskretrycount"
_RAISED = (
    r"^(?:\[ERROR\] )?(?:(?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception|Violation|Timeout|NotFound|Exit"
    r"|DoesNotExist|UndefinedColumn|UndefinedTable|Refused|Unavailable)|(?:[a-z_]\w*\.)+[A-Z]\w*)"
    r"(?:: |$)"
)
_USED = r"\b(?:prompt|input)[_ ]?tokens?"
IDS = rf"(?i){_IDS}|{_USED}"
"""Where an identity or a usage may stand outside of a record's message; for DuckDB."""
TEXTS = r'"(?:textPayload|message|msg|event|log|jsonPayload)"\s*:'
"""Whether a record has a message for people; for DuckDB."""
TELLING = (
    rf"(?im){_IDS}|{_USED}|received task: |\] received|requestid: |"
    r"http request: post|retrying request|"
    r"\b(?:deleted|acknowledged|acked|finished|completed|succeeded|done)\b.{0,99}[:=]|"
    r"\"(?:post|put) [^ ]+ http/|\] (?:succeeded|retry|raised|failed|rejected)|"
    r"\btask(?:[_ -]?(?:id|name))?[ =:\"']+[^ ]{1,200} ?(?:retry|attempt|try|delivery)|"
    rf"(?-i:{_RAISED}|\b(?:ERROR|CRITICAL|FATAL)\b)"
)
"""Which lines may say something; for DuckDB."""

_ID = r"[\w./:@+-]{1,500}"
_SEPARATED = r"[\"'\\]*\s*[:=]\s*[\"'\\\[]*"
_TIME = re.compile(
    r"(?P<seconds>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
    r"(?P<zone> ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
    r"|(?P<access>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})"
)
_SCOPE = re.compile(r"\b(ForkPoolWorker-\d+|SpawnPoolWorker-\d+|ThreadPoolExecutor-\d+_\d+)\b")
_RECEIVED = re.compile(
    rf"Received task: [\w.]+\[(?P<a>{_ID})\]|Task [\w.]+\[(?P<b>{_ID})\] received"
)
_CELERY = re.compile(
    rf"Task [\w.]+\[(?P<task>{_ID})\] (?P<how>succeeded|retry|raised unexpected|failed|rejected)"
    r"(?:[^:]{0,40}: (?P<text>.*))?", re.DOTALL
)  # fmt: skip
_BOUND = re.compile(r"[\[(](?P<task>[0-9a-f]{8}-[0-9a-f-]{27})[\])]")
_COUNTED = re.compile(
    rf"\btask(?:[_ -]?(?:id|name))?[ =:\"']+(?P<task>{_ID}?)[\"']?[,;]? +"
    r"(?:retry|attempt|try|delivery)[ _-]?(?:count|number|no)?[ =:#\"']+(?P<number>\d{1,9})",
    re.IGNORECASE,
)
_HEADER = re.compile(rf"x-cloudtasks-taskname{_SEPARATED}(?P<task>{_ID})", re.IGNORECASE)
_HEADER_COUNT = re.compile(rf"x-cloudtasks-taskretrycount{_SEPARATED}(\d{{1,9}})", re.IGNORECASE)
_SQS_COUNT = re.compile(rf"ApproximateReceiveCount{_SEPARATED}(\d{{1,9}})", re.IGNORECASE)
_SQS_ID = re.compile(
    rf"(?:message_?-?id|MessageDeduplicationId){_SEPARATED}(?P<task>{_ID})", re.IGNORECASE
)
_LAMBDA = re.compile(rf"\b(?P<how>START|END|REPORT) RequestId: (?P<task>{_ID})")
_WELL = re.compile(
    r"\b(?:deleted|acknowledged|acked|finished|completed|succeeded|done)\b", re.IGNORECASE
)
_NAMED = re.compile(
    rf"\b(?:message|task|job|run)[_ -]?(?:id|name|key)?{_SEPARATED}(?P<task>{_ID})", re.IGNORECASE
)
_ANSWERED = re.compile(
    r'"(?P<method>POST|PUT) (?P<url>\S{1,2000}) HTTP/[\d.]+"?[ ,]+(?P<status>\d{3})\b'
)
_SENT = re.compile(r'HTTP Request: POST (?P<url>\S{1,2000}) "HTTP/[\d.]+ (?P<status>\d{3})')
_PAID = re.compile(
    r"/(?:chat/completions|responses|completions|embeddings|messages|audio/(?:speech|transcriptions"
    r"|translations)|images/(?:generations|edits|variations)|chat|rerank|embed|generate|invoke"
    r"|invoke-with-response-stream|converse|converse-stream|ocr|moderations)/?$"
    r"|:(?:generateContent|streamGenerateContent|embedContent|batchEmbedContents|predict)$"
)
_TOKENS = {
    way: re.compile(
        rf"\b(?:{names})[_ ]?tokens?[\"']?\s*[=:]\s*[\"']?(\d{{1,12}})\b", re.IGNORECASE
    )
    for way, names in (("in", "prompt|input"), ("out", "completion|output"))
}
_MODEL = re.compile(
    r"\bmodel(?:_name|_id)?[\"']?\s*[=:]\s*[\"']?(?P<model>[\w./:@-]{2,100})", re.IGNORECASE
)
_PRIVATE = re.compile(r"^[^.]+$|^[\d.]+$|:|\.(?:internal|local|svc|lan|cluster\.local)$")
_RESENT = re.compile(r"Retrying request\b.{0,300}? in [\d.]+ seconds")
_ERROR = re.compile(rf"{_RAISED}.*", re.MULTILINE)
_LEVEL = re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b[\]:|/\w-]*\s+(?P<text>.+)")
_FRAMED = re.compile(r"^(?:Exception in ASGI application|Error on request|Traceback )")
_MOST = 2000


class Event(NamedTuple):
    """One thing that a line says.

    `kind` is start, end, call, usage, resend or error; `failed` is None where the line doesn't say;
    `tries` the number of earlier tries, or of this one with `from_one`.
    """

    kind: str
    task: str | None = None
    queue: str = "queue"
    tries: int | None = None
    from_one: bool = False
    failed: bool | None = None
    status: str | None = None
    url: str | None = None
    text: str | None = None
    model: str | None = None
    tokens: tuple[int, int] | None = None


def moment_in(line: str) -> int | None:
    """The time that a line starts with, in microseconds; without a zone it is taken as UTC."""
    match = _TIME.match(line, line[:1] == "[") or _TIME.search(line, 0, 200)
    if match is None:
        return None
    seconds, fraction, zone, access = match.groups()
    try:
        start = _second(seconds, zone or "") if seconds else _access_second(access)
    except (ValueError, OverflowError):
        return None
    return start * 1_000_000 + (int(fraction[:6].ljust(6, "0")) if fraction else 0)


def _second(text: str, zone: str) -> int:
    minute, second = int(text[14:16]), int(text[17:19])
    if minute > 59 or second > 60:
        raise ValueError
    return _hour(text[:13], zone) + 60 * minute + second


@lru_cache(64)
def _hour(text: str, zone: str) -> int:
    zone = zone.strip().replace("UTC", "Z")
    found = datetime.fromisoformat(f"{text[:10]}T{text[11:]}:00:00{zone}")
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


@lru_cache(64)
def _access_second(text: str) -> int:
    return int(datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp())


def scope_in(line: str) -> str | None:
    """The worker or thread that wrote a line, where it says so."""
    match = _SCOPE.search(line, 0, 300) if "Pool" in line else None
    return match[1] if match else None


def task_in(line: str) -> str | None:
    """The task that a line names in passing, as Celery's task logger does."""
    match = _BOUND.search(line, 0, 400) if "[" in line or "(" in line else None
    return match["task"] if match else None


def events(text: str) -> Iterable[Event]:
    """All that a line, or the text of a record, says."""
    if "HTTP Request: POST" in text and (match := _SENT.search(text)):
        return _call(match["url"], match["status"])
    return _others(text)


def _others(text: str) -> Iterator[Event]:
    yield from _starts(text)
    yield from _usage(text)
    if "HTTP/" in text and (match := _ANSWERED.search(text)):
        yield from _call(match["url"], match["status"]) or _end(match)
    elif "Task " in text and (match := _CELERY.search(text)):
        yield from _celery(match)
    elif "Retrying request" in text and _RESENT.search(text):
        yield Event("resend")
    elif _WELL.search(text) and (match := _NAMED.search(text)):
        yield Event("end", match["task"], failed=False, status="done")
    else:
        yield from _errors(text)
    if "RequestId: " in text:
        for match in _LAMBDA.finditer(text):
            if match["how"] == "END":
                yield Event("end", match["task"], "lambda")


def _starts(text: str) -> Iterator[Event]:
    lowered = text.lower()
    if "received" in lowered and (match := _RECEIVED.search(text)):
        yield Event("start", match["a"] or match["b"], "celery")
    elif "x-cloudtasks-taskname" in lowered and (match := _HEADER.search(text)):
        count = _HEADER_COUNT.search(text)
        yield Event("start", match["task"], "cloud-tasks", int(count[1]) if count else None)
    elif "approximatereceivecount" in lowered and (match := _SQS_COUNT.search(text)):
        if found := _SQS_ID.search(text):
            yield Event("start", found["task"], "sqs", int(match[1]), from_one=True)
    elif "task" in lowered and (match := _COUNTED.search(text)):
        yield Event("start", match["task"].strip("\"',"), "queue", int(match["number"]))
    elif "START RequestId: " in text and (match := _LAMBDA.search(text)):
        yield Event("start", match["task"], "lambda")


def _usage(text: str) -> Iterator[Event]:
    """What an answer used, as apps log it: as fields, as JSON or as an SDK's `repr`."""
    if "okens" not in text and "TOKENS" not in text:
        return
    found = [_TOKENS[way].search(text) for way in ("in", "out")]
    if found[0] and found[1]:
        model = _MODEL.search(text)
        yield Event(
            "usage",
            model=model["model"] if model else None,
            tokens=(int(found[0][1]), int(found[1][1])),
        )


@lru_cache(1024)
def _call(url: str, status: str) -> tuple[Event, ...]:
    """A call that is paid for, if it is one by its address."""
    address = url.partition("://")[2].partition("/")[2] if "://" in url else url
    if _PAID.search("/" + address.partition("?")[0].lstrip("/")) is None:
        return ()
    return (Event("call", failed=not status.startswith("2"), status=status, url=url),)


def _end(match: re.Match[str]) -> Iterator[Event]:
    status = match["status"]
    yield Event("end", failed=not status.startswith("2"), status=status, url=match["url"])


def _celery(match: re.Match[str]) -> Iterator[Event]:
    failed = match["how"] != "succeeded"
    if failed and (text := (match["text"] or "").partition("\n")[0].strip()):
        yield Event("error", match["task"], text=text[:_MOST])
    yield Event("end", match["task"], "celery", failed=failed, status=match["how"])


def _errors(text: str) -> Iterator[Event]:
    found = [match[0] for match in _ERROR.finditer(text)]
    if found:
        yield Event("error", text=found[-1].removeprefix("[ERROR] ")[:_MOST])
    elif (match := _LEVEL.search(text)) and not _FRAMED.match(match["text"]):
        yield Event("error", text=match["text"][:_MOST])


@lru_cache(1024)
def provider_of(url: str) -> str | None:
    """Who was asked: by the host; by the path where that is a private one, as a gateway's is."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if host is None:
        return None
    for known in ("openai", "anthropic"):
        if host == f"{known}.com" or host.endswith(f".{known}.com"):
            return known
    if not _PRIVATE.search(host):
        return host
    return "anthropic" if parts.path.endswith("/messages") else "openai"
