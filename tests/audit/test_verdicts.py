"""What looks like a storm and is none, and storms that are hard to see: one small case each."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.audit import queue_writers as queues
from tests.audit import spend_writers as spend
from tests.audit.asking import audited
from tests.audit.queue_writers import array, lines
from tests.audit.work import START, Call, Delivery, accident, delivery

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
MIDNIGHT = START // DAY * DAY

Files = Sequence[str]


@dataclass(frozen=True, slots=True)
class Case:
    """What happened, as files tell it; its storms by deliveries and waste, what is identical."""

    what: str
    files: Callable[[], Files]
    storms: list[tuple[int, int | None]] = field(default_factory=list)
    identical: int | None = None
    options: tuple[str, ...] = ()


def _works(
    name: str, starts: Sequence[float], fail: Callable[[int], bool] = lambda n: False
) -> list[Delivery]:
    """One task at some times; the n-th failed or not."""
    return [delivery(name, n + 1, at, failed=fail(n)) for n, at in enumerate(starts)]


def _every(wait: float, count: int, start: float = START, jitter: float = 0) -> list[float]:
    rand = random.Random(7)
    return [start + n * wait + rand.random() * jitter for n in range(count)]


def _rows(work: Sequence[Delivery], **how: Any) -> str:
    return lines(spend.litellm(work, **how))


def _log(work: Sequence[Delivery]) -> str:
    return "\n".join(queues.app_log(work)) + "\n"


def _celery(work: Sequence[Delivery]) -> str:
    return "\n".join(queues.celery(work)) + "\n"


def _samples(task: bool, interleaved: bool) -> str:
    """Five answers to each of three prompts, asked for one after the other."""
    order = [(s, p) for s in range(5) for p in range(3)]
    order = order if interleaved else sorted(order, key=lambda pair: pair[1])
    calls = tuple(Call(START + 0.2 * n, f"part {p}") for n, (_, p) in enumerate(order))
    return _rows([Delivery("course-9", 1, START, calls, failed=False)], task=task)


def _without_calls(work: Sequence[Delivery]) -> list[Delivery]:
    return [replace(each, calls=()) for each in work]


def _throttled() -> str:
    """Seven refusals before anything was paid, then a success."""
    said: list[str] = []
    for each in _works("course-9", _every(120, 8), lambda n: n < 7):
        paid = each if not each.failed else replace(each, calls=())
        text = "\n".join(queues.app_log([paid]))
        text = text.replace("psycopg.errors.UndefinedColumn: column", "openai.RateLimitError: 429")
        said.append(text.replace("write failed: column", "Error code: 429 - rate limit, column"))
    return "\n".join(said)


def _conversation() -> str:
    """Users who ask the same now and then."""
    rand = random.Random(3)
    calls = [
        Call(START + rand.random() * 5 * DAY, rand.choice(["hi", "hello", "thanks", "ok"]))
        for _ in range(80)
    ]
    return _rows([Delivery("chat", 1, START, tuple(calls), failed=False)], task=False)


def _harness() -> str:
    """The same prompts for several models."""
    calls = [
        replace(Call(START + 3 * n + m * HOUR, f"question {n}"), model=f"model-{m}")
        for m in range(4)
        for n in range(12)
    ]
    return lines(spend.langfuse([Delivery("eval", 1, START, tuple(calls), failed=False)]))


def _scheduled(status: int) -> str:
    """A scheduler's request each hour that always fails."""
    work = _works("cron", _every(HOUR, 24, MIDNIGHT), lambda n: True)
    text = lines(queues.cloud_run(work)).replace("Google-Cloud-Tasks", "Google-Cloud-Scheduler")
    return text.replace('"status": 500', f'"status": {status}')


def _shuffled(text: str, *, falling: bool = False) -> str:
    records = json.loads(text)
    if falling:
        return json.dumps(records[::-1])
    random.Random(5).shuffle(records)
    return json.dumps(records)


def _output(work: Sequence[Delivery]) -> str:
    return array(queues.cloud_run_output(work))


def _two() -> list[Delivery]:
    first = accident()
    second = [replace(each, task="course-77", at=each.at + 300) for each in accident()]
    second = [
        replace(
            each, calls=tuple(replace(c, at=c.at + 300, prompt=c.prompt + "b") for c in each.calls)
        )
        for each in second
    ]
    return sorted([*first, *second], key=lambda each: each.at)


def _in_zone(text: str) -> str:
    """A log's times in UTC, written with an offset of two hours."""

    def moved() -> Iterator[str]:
        from datetime import datetime, timedelta

        for line in text.splitlines():
            try:
                at = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")
            except ValueError:
                yield line
                continue
            local = (at + timedelta(hours=2)).isoformat(" ", "milliseconds")
            yield f"{local}+0200{line[23:]}"

    return "\n".join(moved())


def _skewed(seconds: float) -> list[Delivery]:
    return [
        replace(each, calls=tuple(replace(c, at=c.at + seconds) for c in each.calls))
        for each in accident()
    ]


STORM = [(21, 60)]
CASES = [
    Case("a failure and a retry that helps, of each of 40 tasks",
         lambda: [_log([d for n in range(40) for d in
                        _works(f"course-{n}", _every(30, 3, START + n * HOUR), lambda i: i < 2)])]),
    Case("30 tasks that fail once each, as when a worker is stopped",
         lambda: [_celery([d for n in range(30) for d in
                           _works(f"course-{n}", [START + n * 60], lambda i: True)])]),
    Case("a nightly batch with equal prompts",
         lambda: [_rows(_works("nightly", _every(DAY, 14, MIDNIGHT + 7200)), task=False)],
         identical=3),
    Case("a nightly batch that starts when the queue lets it",
         lambda: [_rows(_works("nightly", _every(DAY, 14, MIDNIGHT, jitter=4000)), task=False)],
         identical=3),
    Case("a named nightly batch", lambda: [_rows(_works("nightly", _every(DAY, 14, MIDNIGHT)))],
         identical=3),
    Case("a named job each hour by cron",
         lambda: [_rows(_works("digest", _every(HOUR, 30, MIDNIGHT, jitter=4)))], identical=3),
    Case("a named job each five minutes by cron",
         lambda: [_rows(_works("digest", _every(300, 30, MIDNIGHT, jitter=4)))], identical=3),
    Case("a named task again and again after three minutes is a retry",
         lambda: [_rows(_works("course-42", _every(184.3, 21)))], [(21, 60)], 3),
    Case("a fan-out of 200 prompts under one key",
         lambda: [_rows([Delivery("import-7", 1, START, tuple(
             Call(START + n / 50, f"row {n}") for n in range(200)), failed=False)])]),
    Case("five answers to each prompt", lambda: [_samples(task=True, interleaved=False)],
         identical=3),
    Case("five answers in five passes", lambda: [_samples(task=True, interleaved=True)],
         identical=3),
    Case("five answers without a task", lambda: [_samples(task=False, interleaved=True)],
         identical=3),
    Case("users who ask the same", lambda: [_conversation()], identical=4),
    Case("one set of prompts for four models", lambda: [_harness()], identical=0),
    Case("a nightly task of one name that fails twice each night, then succeeds",
         lambda: [_log(_works("nightly", [MIDNIGHT + d * DAY + k * 300 for d in range(10)
                                          for k in range(3)], lambda n: n % 3 < 2))]),
    Case("of nights of one name the one that failed five times",
         lambda: [_log(_works("nightly", [MIDNIGHT + d * DAY for d in range(9)]
                              + [MIDNIGHT + 9 * DAY + k * 300 for k in range(6)],
                              lambda n: 9 <= n < 14))], [(6, 15)]),
    Case("refusals that cost nothing, then a success", lambda: [_throttled()]),
    Case("an error that stays, though nothing was paid",
         lambda: [_log(_without_calls(accident()))], [(21, None)]),
    Case("a scheduler whose job fails each hour", lambda: [_scheduled(500)]),
    Case("a scheduler's requests that go well", lambda: [_scheduled(200)]),
    Case("a message that is delivered again though it was done",
         lambda: [_celery(_works("course-42", _every(HOUR + 9, 6)))], [(6, 15)]),
    Case("a message that is delivered again once, though it was done",
         lambda: [_celery(_works("course-42", _every(HOUR + 9, 2)))]),
    Case("one name that succeeds each time",
         lambda: [_log(_works("sync", _every(977, 12)))]),
    Case("spans of requests that go well", lambda: [
        lines({"resourceSpans": [r]} for r in spend.otlp(
            [d for n in range(20) for d in _works(f"course-{n}", [START + 60 * n])]))]),
    Case("traces with one input that go well",
         lambda: [lines(spend.langfuse(_works("course-9", _every(DAY, 9, MIDNIGHT))))],
         identical=3),
    Case("prompts that two tenants pay twice each",
         lambda: [_rows([replace(d, tenant=t) for t in ("a", "b")
                         for d in _works("course-9", _every(500, 2))], task=False)],
         identical=0),
    Case("one request in ten of a queue fails",
         lambda: [lines(queues.cloud_run(_works("x", _every(30, 200), lambda n: n % 10 == 0)))]),
    Case("strangers whose requests fail",
         lambda: ["".join(f'203.0.113.9 - - [21/Sep/2026:14:13:{n:02} +0000] "POST /wp-login.php '
                          'HTTP/1.1" 404 153 "-" "curl"\n' for n in range(40))]),
    Case("errors of an app that has no tasks",
         lambda: ["".join(f"2026-09-21 14:13:{n:02},000 ERROR app: ValueError: bad\n"
                          for n in range(40))]),
    Case("an hour of twenty times the calls, no two alike",
         lambda: [_rows([Delivery("x", 1, START, tuple(
             Call(START + n * 600 + k, f"{n}:{k}") for n in range(60)
             for k in range(40 if n == 30 else 2)), failed=False)], task=False)], identical=0),
    Case("two storms at once, by the names in their calls",
         lambda: [lines(queues.cloud_tasks(_two())), _rows(_two())], [(21, 60), (21, 60)], 6),
    Case("two storms at once in one worker's log", lambda: [_celery(_two())],
         [(21, 60), (21, 60)]),
    Case("two storms at once, and calls without names",
         lambda: [lines(queues.cloud_tasks(_two())), lines(spend.metered(_two()))],
         [(21, 60), (21, 60)], 6),
    Case("over midnight, in a file for each day",
         lambda: [_log(accident()[:12]), _log(accident()[12:])], STORM),
    Case("a log in local time beside an export in UTC",
         lambda: [_in_zone(_log(accident())), lines(spend.metered(accident()))], STORM, 3),
    Case("a gateway whose clock is two seconds late",
         lambda: [lines(queues.cloud_tasks(accident())), _rows(_skewed(2))], STORM, 3),
    Case("a gateway whose clock is five seconds early",
         lambda: [lines(queues.cloud_tasks(accident())), _rows(_skewed(-5))], STORM, 3),
    Case("an export of the output with the newest first",
         lambda: [_shuffled(_output(accident()), falling=True)], STORM),
    Case("an export of the output in no order", lambda: [_shuffled(_output(accident()))], STORM),
    Case("the queue's log in no order",
         lambda: [_shuffled(array(queues.cloud_tasks(accident())))], [(21, None)]),
    Case("rows of a gateway in no order",
         lambda: [_shuffled(json.dumps(list(spend.litellm(accident()))))], STORM, 3),
    Case("one log given twice", lambda: [_log(accident()), _log(accident()) + "\n"], STORM),
    Case("two logs that overlap", lambda: [_log(accident()[:14]), _log(accident()[7:])], STORM),
    Case("one bill given twice, beside the log",
         lambda: [_log(accident()), lines(spend.metered(accident())),
                  lines(spend.metered(accident())) + "\n"], STORM, 3),
    Case("two workers' logs of one storm, no copy of each other",
         lambda: [_log(accident()[::2]), _log(accident()[1::2])], STORM),
    Case("the queue's log given twice",
         lambda: [lines(queues.cloud_tasks(accident())),
                  array(queues.cloud_tasks(accident()))], [(21, None)]),
    Case("mapped records that overlap",
         lambda: [lines(spend.mapped(accident()[:14])), lines(spend.mapped(accident()[7:]))],
         STORM, 3,
         ("--map", "time=ts,task=job.id,attempt=job.try,cost=usd,prompt=text,error=failure")),
]  # fmt: skip


def test_deliveries_that_are_not_in_the_files_are_told_of(tmp_path: Path) -> None:
    """A log that begins in the midst of a storm has less of it than the last delivery's number."""
    (tmp_path / "log").write_text(_log(accident()[9:]))
    (storm,) = audited(tmp_path / "log").storms
    assert (storm["deliveries"], storm["calls"]) == (12, 36)
    assert "9 more deliveries: the last is number 21" in storm["cannot_know"]


@pytest.mark.parametrize("left", ["", "hour"])
def test_a_log_without_dates_has_its_storm(left: str, tmp_path: Path) -> None:
    """Lines without a time, or with that of a day alone, are in order; when it was is not known."""
    text = "\n".join(line[11 if left else 24 :] if line[:3] == "202" else line
                     for line in _log(accident()).splitlines())  # fmt: skip
    (tmp_path / "log").write_text(text)
    (storm,) = audited(tmp_path / "log").storms
    assert (storm["deliveries"], storm["calls"], storm["wasted_calls"]) == (21, 63, 60)
    assert (storm["first"], storm["last"], storm["spacing"]) == (None, None, None)
    assert storm["kind"] == "deterministic"
    assert "when it was: the log's lines have no dates" in storm["cannot_know"]


def test_retries_of_an_sdk_inside_of_a_storm_are_told_of(tmp_path: Path) -> None:
    """Sends that the SDK repeated stand with the storm, and are no deliveries."""
    said: list[str] = []
    for line in _log(accident()).splitlines():
        if "HTTP Request" in line:
            said.append(f"{line[:23]} INFO openai: Retrying request to /responses in 0.4 seconds")
        said.append(line)
    (tmp_path / "log").write_text("\n".join(said))
    (storm,) = audited(tmp_path / "log").storms
    assert (storm["deliveries"], storm["calls"], storm["wasted_calls"]) == (21, 63, 60)
    assert "63 sends repeated by an SDK on its own" in storm["evidence"]


@pytest.mark.parametrize("case", CASES, ids=[each.what for each in CASES])
def test_the_verdict_is_right(case: Case, tmp_path: Path) -> None:
    """The storms that are there are found, with what they wasted, and no other."""
    for n, text in enumerate(case.files()):
        (tmp_path / f"{n}").write_text(text)
    found = audited(*sorted(tmp_path.iterdir()), *case.options)
    storms = [(storm["deliveries"], storm["wasted_calls"]) for storm in found.storms]
    assert storms == case.storms, found.document["storms"]
    if case.identical is not None:
        assert len(found.document["identical"]) == case.identical
