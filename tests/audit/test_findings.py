"""What is a storm and what is not, hidden retries, identical prompts, concentrations, money."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.audit import queue_writers as queues
from tests.audit import spend_writers as spend
from tests.audit.asking import audited, told
from tests.audit.queue_writers import lines
from tests.audit.work import REASON, START, Delivery, accident, delivery

from payonce.audit.spacing import schedule_of

DAY = 86_400


def _written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def _passes(count: int, failed: Sequence[int], wait: float = 600) -> list[Delivery]:
    """One task's deliveries, of which those with these numbers failed."""
    return [
        delivery("course-9", n, START + n * wait, failed=n in failed) for n in range(1, count + 1)
    ]


def test_a_task_that_succeeds_in_the_end_wasted_the_others(tmp_path: Path) -> None:
    """Four failures and a success: what the success paid was of use, all else was wasted."""
    file = _written(tmp_path / "log", "\n".join(queues.app_log(_passes(5, [1, 2, 3, 4]))))
    (storm,) = audited(file).storms
    assert (storm["deliveries"], storm["failed"], storm["succeeded"]) == (5, 4, True)
    assert (storm["calls"], storm["wasted_calls"]) == (15, 12)


@pytest.mark.parametrize("failed", [[1], [1, 2]])
def test_a_failure_or_two_are_no_storm(failed: list[int], tmp_path: Path) -> None:
    """What failed fewer than three times and then went well is how queues work."""
    file = _written(tmp_path / "log", "\n".join(queues.app_log(_passes(3, failed))))
    assert (audited(file).code, audited(file).storms) == (0, [])
    assert len(audited(file, "--attempts", "2").storms) == len(failed) - 1


def test_a_queue_alone_needs_more_to_be_a_storm(tmp_path: Path) -> None:
    """Three failures of which nothing is known, not even a paid call, are no storm; five are."""
    for count, storms in ((4, 0), (6, 1)):
        work = _passes(count, range(1, count))
        file = _written(tmp_path / f"{count}", lines(queues.cloud_tasks(work)))
        assert len(audited(file).storms) == storms


def test_a_dispatch_without_an_answer_is_a_delivery(tmp_path: Path) -> None:
    """A worker that was killed leaves a dispatch and no answer; it is counted, its end unknown."""
    entries = list(queues.cloud_tasks(accident()))
    file = _written(tmp_path / "log", lines(entries[:9] + entries[10:]))
    (storm,) = audited(file).storms
    assert (storm["deliveries"], storm["failed"]) == (21, 20)


def test_tasks_at_once_are_told_apart_by_their_worker(tmp_path: Path) -> None:
    """Celery's workers run two tasks at once; a call is that of the task its worker ended next."""
    storm = accident()
    others = [
        delivery(f"course-{n}", 1, each.at + 0.5, failed=False) for n, each in enumerate(storm)
    ]
    said: list[tuple[str, str]] = []
    for worker, work in ((1, storm), (2, others)):
        for each in work:
            text = "\n".join(queues.celery([each]))
            text = text.replace("ForkPoolWorker-2", f"ForkPoolWorker-{worker}")
            text = text.replace("ForkPoolWorker-1", f"ForkPoolWorker-{worker}")
            said += [(line[:23], f"[{line}") for line in text[1:].split("\n[")]
    log = "\n".join(line for _, line in sorted(said, key=lambda pair: pair[0]))
    (found,) = audited(_written(tmp_path / "log", log)).storms
    assert (found["deliveries"], found["calls"], found["wasted_calls"]) == (21, 63, 60)
    assert found["reason"] == REASON


def test_tasks_at_once_that_nothing_tells_apart_own_no_call(tmp_path: Path) -> None:
    """Where two tasks are at work and lines name none, no call is put down to either."""
    storm = accident()
    others = [
        delivery(f"course-{n}", 1, each.at + 0.5, failed=True) for n, each in enumerate(storm)
    ]
    said = sorted(line for work in (storm, others) for line in queues.sqs(work))
    (found,) = audited(_written(tmp_path / "log", "\n".join(said))).storms
    assert found["deliveries"] == 21
    assert (found["calls"] or 0) < 63


TIMETABLE = {
    "an hour": (3600, 3),
    "a day": (DAY, 3),
    "one prompt": (60, 1),
}


@pytest.mark.parametrize("name", TIMETABLE)
def test_what_runs_by_a_timetable_is_no_storm(name: str, tmp_path: Path) -> None:
    """The same prompts at even times are identical; that they are retries, nothing says."""
    wait, prompts = TIMETABLE[name]
    work = _passes(12, [], wait)
    rows = [row for n, row in enumerate(spend.litellm(work, task=False)) if n % 3 < prompts]
    found = audited(_written(tmp_path / "rows", lines(rows)))
    assert (found.code, found.storms) == (1, [])
    assert [each["times"] for each in found.document["identical"]] == [12] * prompts
    assert found.document["identical"][0]["wasted_usd"] == "0.001375"


def test_a_cached_answer_and_a_failed_call_are_not_paid(tmp_path: Path) -> None:
    """Rows that the cache served, or that failed, are no payments of a prompt."""
    rows = list(spend.litellm(accident()))
    free = [{**row, "cache_hit": "True"} for row in rows[:30]]
    free += [{**row, "status": "failure"} for row in rows[30:]]
    found = audited(_written(tmp_path / "rows", lines(free)))
    assert (found.code, found.storms, found.document["identical"]) == (0, [], [])
    assert found.document["totals"]["calls"] == 0


def test_retries_of_a_gateway_are_told(tmp_path: Path) -> None:
    """LiteLLM's `attempted_retries` are sends that the app never saw."""
    (row, *_) = spend.litellm(accident(), task=False)
    row["metadata"] = json.dumps({"attempted_retries": 4})
    found = audited(_written(tmp_path / "rows", lines([row])))
    assert found.code == 1
    (hidden,) = found.document["hidden_retries"]
    assert (hidden["calls"], hidden["sends"]) == (1, 4)


def test_retries_of_an_sdk_are_told_by_its_log(tmp_path: Path) -> None:
    """The OpenAI SDK says at INFO when it repeats a request."""
    log = (
        "2026-09-21 14:13:20,000 INFO openai._base_client: Retrying request to /responses in "
        "0.461 seconds\n" + '2026-09-21 14:13:21,000 INFO httpx: HTTP Request: POST '
        'https://api.openai.com/v1/responses "HTTP/1.1 200 OK"\n'
    )  # fmt: skip
    (hidden,) = audited(_written(tmp_path / "log", log)).document["hidden_retries"]
    assert hidden["sends"] == 1


def test_retries_under_one_span_are_told(tmp_path: Path) -> None:
    """Three HTTP spans under one span of a call are two sends more than the call tells."""
    (resource,) = spend.otlp(accident()[:1])
    spans = resource["scopeSpans"][0]["spans"]
    call = spans[1]
    method = [{"key": "http.request.method", "value": {"stringValue": "POST"}}]
    for n in range(3):
        spans.append(
            {**call, "spanId": f"f{n}", "parentSpanId": call["spanId"], "attributes": method}
        )
    file = _written(tmp_path / "spans", json.dumps({"resourceSpans": [resource]}))
    (hidden,) = audited(file).document["hidden_retries"]
    assert (hidden["calls"], hidden["sends"]) == (1, 2)


def test_exports_that_overlap_count_a_call_once(tmp_path: Path) -> None:
    """The same rows in two downloads are the same calls; so are spans and traces."""
    rows = list(spend.litellm(accident()))
    files = [
        _written(tmp_path / "1", lines(rows[:50])),
        _written(tmp_path / "2", lines(rows[20:])),
        _written(tmp_path / "3", lines(spend.langfuse(accident()[:15]))),
        _written(tmp_path / "4", lines(spend.langfuse(accident()[5:]))),
    ]
    for pair in (files[:2], files[2:]):
        (storm,) = audited(*pair).storms
        assert (storm["deliveries"], storm["calls"], storm["wasted_calls"]) == (21, 63, 60)


def test_tokens_are_priced_by_the_public_lists(tmp_path: Path) -> None:
    """Calls with tokens and no cost get the lists' price, and it is said that it is one."""
    spans = list(spend.otlp(accident()))
    text = json.dumps({"resourceSpans": spans}).replace("gpt-5-mini", "gpt-4o-mini")
    (storm,) = audited(_written(tmp_path / "spans", text)).storms
    assert (storm["cost_usd"], storm["wasted_usd"]) == ("0.00594405", "0.005661")
    assert storm["calls_without_cost"] == 0
    assert any("public price lists" in text for text in storm["evidence"])


def test_a_model_of_no_list_stays_unknown(tmp_path: Path) -> None:
    """What no list has a price for costs an unknown amount, and is counted as such."""
    text = json.dumps({"resourceSpans": list(spend.otlp(accident()))})
    file = _written(tmp_path / "spans", text.replace("gpt-5-mini", "house-model-7"))
    (storm,) = audited(file).storms
    assert (storm["cost_usd"], storm["calls_without_cost"]) == (None, 63)
    assert "60 wasted; what that cost isn't in these files." in told(file)[1]


def test_another_currency_is_not_called_dollars(tmp_path: Path) -> None:
    """Amounts in euros stay in euros; of amounts in two currencies no sum is made."""
    rows = [{**row, "cur": "EUR"} for row in spend.mapped(accident())]
    fields = "time=ts,task=job.id,attempt=job.try,cost=usd,currency=cur,error=failure"
    (storm,) = audited(_written(tmp_path / "1", lines(rows)), "--map", fields).storms
    assert (storm["cost_usd"], storm["cost"]) == (None, "0.007875 EUR")
    rows[0]["cur"] = "USD"
    (storm,) = audited(_written(tmp_path / "2", lines(rows)), "--map", fields).storms
    assert (storm["cost_usd"], storm["calls"]) == (None, 63)


def _openai(values: Sequence[Any], *, usage: bool) -> dict[str, Any]:
    """A page of daily buckets: of tokens, or of amounts."""
    buckets = []
    for n, value in enumerate(values):
        result = {"object": "organization.usage.completions.result", "input_tokens": value,
                  "output_tokens": 1, "num_model_requests": 1, "model": None}  # fmt: skip
        costs = {"object": "organization.costs.result", "amount": {"value": value,
                 "currency": "usd"}, "line_item": None}  # fmt: skip
        start = int(START // DAY * DAY + n * DAY)
        buckets.append(
            {"object": "bucket", "start_time": start, "end_time": start + DAY,
             "results": [result if usage else costs]}
        )  # fmt: skip
    return {"object": "page", "data": buckets, "has_more": False, "next_page": None}


def _anthropic(values: Sequence[str]) -> dict[str, Any]:
    """A page of a cost report: amounts in cents."""
    data = []
    for n, value in enumerate(values):
        start = datetime.fromtimestamp(START // DAY * DAY + n * DAY, UTC)
        data.append(
            {"starting_at": start.isoformat(), "ending_at": start.isoformat(),
             "results": [{"amount": value, "currency": "USD", "cost_type": "tokens"}]}
        )  # fmt: skip
    return {"data": data, "has_more": False, "next_page": None}


AMOUNTS = [1.5, "2.25", 0.1, "0", 1, 2, "1.125", 312.4]
PAGES: dict[str, tuple[dict[str, Any], str]] = {
    "OpenAI costs": (_openai(AMOUNTS, usage=False), "312.40"),
    "Anthropic costs": (_anthropic(["150", "225.0", "10", "0", "100", "200", "112.5", "31240"]),
                        "312.40"),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_the_day_with_the_money_is_named(name: str, tmp_path: Path) -> None:
    """Amounts are numbers or texts, in dollars or in cents; a day with 98 % of them is named."""
    page, amount = PAGES[name]
    found = audited(_written(tmp_path / "page", json.dumps(page)))
    assert (found.code, found.storms) == (0, [])
    (day,) = found.document["concentration"]
    assert (day["period"], day["measure"], day["amount"]) == ("2026-09-28", "cost", amount)
    assert round(day["share"], 3) == 0.975


def test_an_even_month_has_no_concentration(tmp_path: Path) -> None:
    """Days that differ by a half are no finding, and neither are two days alone."""
    for n, values in enumerate(([100, 150] * 15, [1, 1000])):
        file = _written(tmp_path / f"{n}", json.dumps(_openai(values, usage=True)))
        assert audited(file).document["concentration"] == []


SCHEDULES: list[tuple[list[float], str | None, str | None]] = [
    ([10, 20, 40, 80, 160, 300, 300, 300], "cloud-tasks", "as Cloud Tasks does"),
    ([10, 20, 40, 80, 160, 240, 320, 400], "cloud-tasks", "as Cloud Tasks does"),
    ([0.1, 0.7, 0.3, 1.6, 3.3, 6.2, 13, 25], "cloud-tasks", "as Cloud Tasks does"),
    ([180.2, 180.1, 180.4, 181], "celery", "its default"),
    ([30, 30.5, 30, 31], "sqs", "a visibility timeout"),
    ([3600, 3600, 3600], "celery", "a fixed retry delay"),
    ([60, 121], "lambda", "AWS Lambda"),
    ([18, 21, 38, 115, 300, 660], None, "Sidekiq"),
    ([0, 0.2, 0.1], None, "at once"),
    ([5, 900, 3, 77, 12], None, None),
    ([100, 50, 25, 12], None, None),
    ([60], "lambda", None),
    ([], None, None),
]


@pytest.mark.parametrize(("found", "queue", "said"), SCHEDULES)
def test_schedules_of_retries_are_known(
    found: list[float], queue: str | None, said: str | None
) -> None:
    """Waits that double, stay or follow a formula are named; any others are none."""
    schedule = schedule_of(found, queue)
    assert schedule is None if said is None else said in (schedule or "")


def test_it_can_be_pasted(tmp_path: Path) -> None:
    """As Markdown the answer is the first line, and nothing in a file becomes markup."""
    text = lines(spend.litellm(accident())).replace("course-42", "c_*42*|")
    file = _written(tmp_path / "a_log", text)
    code, out, _ = told(file, "--markdown")
    assert code == 1
    first, *rest = out.splitlines()
    assert first.startswith("**Task c\\_\\*42\\*\\|: 21 deliveries")
    assert "## Storm: c\\_\\*42\\*\\|" in rest
    assert any("a\\_log | LiteLLM SpendLogs | 63 |" in line for line in rest)


def test_an_outage_of_many_tasks_is_told_of_in_short(tmp_path: Path) -> None:
    """Of 300 tasks that failed 200 are told of, the others counted; no address is blamed."""
    work = [
        delivery(f"course-{n}", number, START + n * 5 + number * 3600, failed=True)
        for n in range(300)
        for number in range(1, 7)
    ]
    tasks = _written(tmp_path / "tasks", lines(queues.cloud_tasks(work)))
    requests = _written(tmp_path / "requests", lines(queues.cloud_run(work)))
    found = audited(tasks, requests)
    assert len(found.storms) == 200
    assert found.document["totals"]["tasks_left_out"] == 100
    assert {storm["url"] for storm in found.storms} == {queues.URL}
    assert None not in {storm["task"] for storm in found.storms}
