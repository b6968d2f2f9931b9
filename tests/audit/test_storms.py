"""The same accident in every format, among tasks that go well: it is found, and nothing else."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.audit import queue_writers as queues
from tests.audit import spend_writers as spend
from tests.audit.asking import audited
from tests.audit.queue_writers import array, copied, lines
from tests.audit.spend_writers import table
from tests.audit.work import ERROR, REASON, Delivery, accident, month

Writer = Callable[[list[Delivery]], str]


def _text(writer: Callable[[list[Delivery]], object]) -> Writer:
    return lambda work: "\n".join(writer(work)) + "\n"  # type: ignore[arg-type]


def _flat(work: list[Delivery]) -> list[dict[str, object]]:
    return [
        {"ts": row["ts"], "job": row["job"]["id"], "try": row["job"]["try"], "usd": row["usd"],
         "text": row["text"], "failure": row["failure"]}
        for row in spend.mapped(work)
    ]  # fmt: skip


def _pages(work: list[Delivery]) -> str:
    """Two answers of the API, one behind the other."""
    documents = list(spend.langfuse(work))
    traces = {"data": [each["trace"] for each in documents], "meta": {"page": 1}}
    found = [each for document in documents for each in document["observations"]]
    return json.dumps(traces) + "\n" + json.dumps({"data": found, "meta": {"page": 1}}, indent=1)


MAP = ("--map", "time=ts,task=job.id,attempt=job.try,cost=usd,model=llm,status=http,prompt=text")
MAP_2 = ("--map", "tenant=who,error=failure")
FLAT = ("--map", "time=ts,task=job,attempt=try,cost=usd,prompt=text,error=failure")
WHOLE: dict[str, tuple[Writer, tuple[str, ...]]] = {
    "app log": (_text(queues.app_log), ()),
    "Cloud Run's output": (lambda work: lines(queues.cloud_run_output(work)), ()),
    "Celery 5": (_text(queues.celery), ()),
    "Celery 4": (_text(lambda work: queues.celery(work, old=True)), ()),
    "SQS": (_text(queues.sqs), ()),
    "Lambda": (_text(queues.aws_lambda), ()),
    "Langfuse": (lambda work: lines(spend.langfuse(work)), ()),
    "Langfuse API": (_pages, ()),
    "Langfuse blob": (lambda work: lines(spend.langfuse_blob(work)), ()),
    "OTLP on lines": (lambda w: lines({"resourceSpans": [r]} for r in spend.otlp(w)), ()),
    "OTLP": (lambda w: json.dumps({"resourceSpans": list(spend.otlp(w, old=True))}, indent=1), ()),
    "OTLP snake": (
        lambda w: json.dumps({"resource_spans": list(spend.otlp(w, snake=True))}), ()
    ),
    "mapped lines": (lambda work: lines(spend.mapped(work)), (*MAP, *MAP_2)),
    "mapped array": (lambda work: array(spend.mapped(work)), (*MAP, *MAP_2)),
    "mapped CSV": (lambda work: table(_flat(work)), FLAT),
    "mapped TSV": (lambda work: table(_flat(work), "\t"), FLAT),
}  # fmt: skip
CALLS: dict[str, Writer] = {
    "LiteLLM": lambda work: lines(spend.litellm(work)),
    "LiteLLM array": lambda work: array(spend.litellm(work, as_text=False)),
    "LiteLLM CSV": lambda work: table(spend.litellm(work)),
    "LiteLLM messages": lambda work: lines(spend.litellm(work, cached=False)),
    "LiteLLM no task": lambda work: lines(spend.litellm(work, task=False)),
    "bill": lambda work: lines(spend.metered(work)),
}
DELIVERIES: dict[str, Writer] = {
    "Cloud Tasks": lambda work: lines(queues.cloud_tasks(work)),
    "Cloud Tasks array": lambda work: array(queues.cloud_tasks(work)),
    "Cloud Tasks copied": lambda work: copied(queues.cloud_tasks(work)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_format_that_tells_all_has_the_whole_storm(name: str, tmp_path: Path) -> None:
    """One task, 21 deliveries, 63 calls of which 60 were wasted, and the missing column."""
    writer, options = WHOLE[name]
    file = tmp_path / "a file"
    file.write_text(writer(month()))
    found = audited(file, *options)
    assert found.code == 1
    (storm,) = found.storms
    assert (storm["deliveries"], storm["failed"], storm["succeeded"]) == (21, 21, False)
    assert (storm["calls"], storm["wasted_calls"]) == (63, 60)
    assert ERROR in storm["error"]
    assert (storm["reason"], storm["kind"]) == (REASON, "deterministic")
    assert "s to 60 min" in storm["spacing"]
    assert storm["first"].startswith("2026-09-21T")
    source = found.source(file)
    assert (source["skipped"], source["error"]) == ([], None)


@pytest.mark.parametrize("name", CALLS)
def test_calls_alone_show_the_rounds(name: str, tmp_path: Path) -> None:
    """Where only calls are told of, three prompts that were paid 21 times each are the storm."""
    file = tmp_path / "a file"
    file.write_text(CALLS[name](month()))
    found = audited(file)
    (storm,) = found.storms
    assert (storm["deliveries"], storm["calls"], storm["wasted_calls"]) == (21, 63, 60)
    assert (storm["cost_usd"], storm["wasted_usd"]) == ("0.007875", "0.0075")
    assert [each["times"] for each in found.document["identical"]] == [21, 21, 21]
    assert any("error" in text for text in storm["cannot_know"])


@pytest.mark.parametrize("name", DELIVERIES)
def test_a_queue_alone_shows_the_deliveries(name: str, tmp_path: Path) -> None:
    """A queue's log has the deliveries and their spacing, and says that it has no calls."""
    file = tmp_path / "a file"
    file.write_text(DELIVERIES[name](month()))
    (storm,) = audited(file).storms
    assert (storm["task"], storm["deliveries"], storm["calls"]) == ("course-42", 21, None)
    assert "as Cloud Tasks does" in storm["spacing"]
    assert any("what it paid for" in text for text in storm["cannot_know"])


@pytest.mark.parametrize("calls", CALLS)
def test_a_queue_and_calls_are_joined_by_time(calls: str, tmp_path: Path) -> None:
    """The calls of the time in which only that task was at work are its calls, with their cost."""
    (tmp_path / "queue").write_text(DELIVERIES["Cloud Tasks array"](month()))
    (tmp_path / "calls").write_text(CALLS[calls](month()))
    found = audited(*sorted(tmp_path.iterdir()))
    (storm,) = found.storms
    assert (storm["task"], storm["deliveries"]) == ("course-42", 21)
    assert (storm["calls"], storm["wasted_calls"]) == (63, 60)
    assert (storm["cost_usd"], storm["wasted_usd"]) == ("0.007875", "0.0075")


def test_requests_are_joined_by_trace(tmp_path: Path) -> None:
    """Cloud Run's requests have no task; their trace leads to the app's output, which has it."""
    (tmp_path / "requests").write_text(array(queues.cloud_run(month())))
    (tmp_path / "output").write_text(array(queues.cloud_run_output(month())))
    (storm,) = audited(*sorted(tmp_path.iterdir())).storms
    assert (storm["task"], storm["deliveries"], storm["calls"]) == ("course-42", 21, 63)
    assert storm["revisions"] == ["courses-00042-kig"]
    assert len(storm["sources"]) == 2


def test_requests_alone_are_a_storm_of_an_address(tmp_path: Path) -> None:
    """A queue's requests that all failed are told of by their address, the task being unknown."""
    file = tmp_path / "requests"
    file.write_text(lines(queues.cloud_run(accident())))
    (storm,) = audited(file).storms
    assert (storm["task"], storm["url"]) == (None, queues.URL)
    assert (storm["deliveries"], storm["calls"]) == (21, None)
    assert any("task" in text for text in storm["cannot_know"])


def test_several_formats_in_one_file_are_read(tmp_path: Path) -> None:
    """Requests, the queue's log and the app's output, as one export of Google's has them."""
    work = month()
    records = [*queues.cloud_run(work), *queues.cloud_tasks(work), *queues.cloud_run_output(work)]
    file = tmp_path / "export"
    file.write_text(array(sorted(records, key=lambda record: record["timestamp"])))
    found = audited(file)
    (storm,) = found.storms
    assert (storm["task"], storm["deliveries"], storm["wasted_calls"]) == ("course-42", 21, 60)
    assert len(found.source(file)["formats"]) == 3


def test_a_storm_in_many_files_is_one(tmp_path: Path) -> None:
    """Downloads of single traces, and days of a log in files of their own, are put together."""
    for n, document in enumerate(spend.langfuse(month())):
        (tmp_path / f"{n}.json").write_text(json.dumps(document, indent=2))
    (storm,) = audited(*sorted(tmp_path.iterdir())).storms
    assert (storm["deliveries"], storm["calls"], storm["wasted_calls"]) == (21, 63, 60)


def test_packed_files_are_unpacked(tmp_path: Path) -> None:
    """gzip is known by its first bytes, whatever the file is called."""
    file = tmp_path / "log.txt"
    file.write_bytes(gzip.compress(lines(spend.litellm(month())).encode()))
    (storm,) = audited(file).storms
    assert storm["wasted_calls"] == 60


def test_work_that_went_well_has_no_storm(tmp_path: Path) -> None:
    """Without the accident no format has anything to say, though one task came twice."""
    work = [each for each in month() if each.task != "course-42"]
    for n, (writer, options) in enumerate(WHOLE.values()):
        if not options:
            (tmp_path / str(n)).write_text(writer(work))
    for n, writer in enumerate([*CALLS.values(), *DELIVERIES.values()]):
        (tmp_path / f"x{n}").write_text(writer(work))
    for file in sorted(tmp_path.iterdir()):
        found = audited(file)
        assert (file.name, found.code, found.storms) == (file.name, 0, [])
