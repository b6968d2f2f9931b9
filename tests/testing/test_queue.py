"""The at-least-once queue by Cloud Tasks' rules, against a real HTTP worker."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.testing import AlreadyExists, AtLeastOnceQueue, Backoff, TaskGone
from payonce.testing.queue_process import main

Answer = tuple[int, dict[str, str]]


class Worker:
    """Answers each delivery with what its script says; the last line of it goes on."""

    def __init__(self) -> None:
        self.script: list[Answer | Callable[[], Answer]] = [(200, {})]
        self.headers: list[dict[str, str]] = []
        self.bodies: list[Any] = []
        self.url = ""

    def says(self, *script: int | Answer | Callable[[], Answer]) -> None:
        """Give it a script; status 0 closes the connection."""
        self.script = [(line, {}) if isinstance(line, int) else line for line in script]

    def answer(self, headers: dict[str, str], body: bytes) -> Answer:
        """Take a delivery."""
        self.headers.append(headers)
        self.bodies.append(json.loads(body))
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return line() if callable(line) else line


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker that listens."""
    worker = Worker()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, headers = worker.answer(dict(self.headers.items()), body)
            if status == 0:
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"said so")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    worker.url = f"http://127.0.0.1:{server.server_address[1]}/batches?tenant=7"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield worker
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        (Backoff(10, 300, 3), [10, 20, 40, 80, 160, 240, 300, 300]),
        (Backoff(10, 300, 0), [10, 20, 30, 40, 50]),
        (Backoff(0.1, 3600, 16), [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8]),
        (Backoff(5, 5, 16), [5, 5, 5]),
    ],
)
def test_intervals_are_those_of_the_documentation(backoff: Backoff, expected: list[float]) -> None:
    """Intervals double, then grow evenly, then stay: the reference's own example and others."""
    intervals = [backoff.interval(n) for n in range(1, len(expected) + 1)]
    assert intervals == pytest.approx(expected)


@given(st.floats(0.1, 100), st.floats(100, 3600), st.integers(0, 16), st.integers(1, 200))
def test_intervals_never_shrink(low: float, high: float, doublings: int, retry: int) -> None:
    """Each interval is between both limits and not shorter than the one before."""
    backoff = Backoff(low, high, doublings)
    assert low <= backoff.interval(retry) <= backoff.interval(retry + 1) <= high


@pytest.mark.parametrize(
    ("attempts", "age", "gives_up"),
    [(4, 1e6, False), (5, 0, False), (5, 59, False), (5, 60, True), (6, 61, True)],
)
def test_both_limits_have_to_be_reached(attempts: int, age: float, gives_up: bool) -> None:
    """With a retry duration, a task is dropped only when it and the attempts are used up."""
    backoff = Backoff(max_attempts=5, max_retry_duration=60)
    assert backoff.gives_up(attempts, age) is gives_up
    assert not Backoff(max_attempts=-1).gives_up(attempts, age)


def test_task_is_delivered_until_it_succeeds(worker: Worker) -> None:
    """Every answer but 2xx, and none at all, brings the task back; hours pass in no time."""
    worker.says(500, 302, 404, 0, 503, 204)
    queue = AtLeastOnceQueue(min_backoff=10, max_backoff=300, max_doublings=3)
    queue.push(worker.url, {"course_id": 7})
    made = queue.run()
    assert [d.status for d in made] == [500, 302, 404, None, 503, 204]
    assert [d.number for d in made] == [1, 2, 3, 4, 5, 6]
    waits = [b.virtual_seconds - a.virtual_seconds for a, b in pairwise(made)]
    assert waits == pytest.approx([10, 20, 40, 80, 160])
    assert (queue.tasks, made[-1].succeeded, made[-1].next_at) == ([], True, None)
    assert made[0].body == "said so"
    assert worker.bodies == [{"course_id": 7}] * 6


def test_headers_are_cloud_tasks_own(worker: Worker) -> None:
    """Retry counts have every attempt, execution counts no 5xx; the rest comes from the second."""
    worker.says(500, 404, 0, 200)
    queue = AtLeastOnceQueue()
    queue.push(worker.url, {}, name="course-7", headers={"X-Tenant": "7"})
    queue.run()
    names = ("QueueName", "TaskName", "TaskRetryCount", "TaskExecutionCount")
    seen = [[h[f"X-CloudTasks-{name}"] for name in names] for h in worker.headers]
    assert seen == [
        ["batches", "course-7", "0", "0"],
        ["batches", "course-7", "1", "0"],
        ["batches", "course-7", "2", "1"],
        ["batches", "course-7", "3", "1"],
    ]
    previous = [h.get("X-CloudTasks-TaskPreviousResponse") for h in worker.headers]
    reasons = [h.get("X-CloudTasks-TaskRetryReason") for h in worker.headers]
    assert (previous, reasons) == ([None, "500", "404", "0"], [None, "", "", ""])
    assert {h["User-Agent"] for h in worker.headers} == {"Google-Cloud-Tasks"}
    assert {h["Content-Type"] for h in worker.headers} == {"application/json"}
    assert {h["X-Tenant"] for h in worker.headers} == {"7"}
    etas = [float(h["X-CloudTasks-TaskETA"]) for h in worker.headers]
    assert etas == pytest.approx([d.scheduled_at for d in queue.deliveries])


def test_retry_after_is_a_minimum(worker: Worker) -> None:
    """A worker can ask for a longer wait, in seconds or as a date, but not for a shorter one."""
    date = formatdate(usegmt=True)
    worker.says((503, {"Retry-After": "90"}), (503, {"Retry-After": "1"}), (503, {}), 200)
    queue = AtLeastOnceQueue(min_backoff=10)
    queue.push(worker.url, {})
    queue.run()
    assert [d.virtual_seconds for d in queue.deliveries] == pytest.approx([0, 90, 110, 150])
    worker.says((503, {"Retry-After": date}), (503, {"Retry-After": "soon"}), 200)
    queue.push(worker.url, {})
    assert [d.number for d in queue.run()] == [1, 2, 3]


def test_task_is_given_up_after_its_attempts(worker: Worker) -> None:
    """A queue with a cap drops the task there."""
    worker.says(500)
    queue = AtLeastOnceQueue(max_attempts=4)
    task = queue.push(worker.url, {})
    assert len(queue.run()) == 4
    assert queue.tasks == []
    with pytest.raises(TaskGone, match="anyway=True"):
        queue.deliver(task)


def test_unlimited_queue_needs_an_end(worker: Worker) -> None:
    """Delivering for ever is refused; with an end it is fine."""
    worker.says(500)
    queue = AtLeastOnceQueue(max_attempts=-1)
    queue.push(worker.url, {})
    with pytest.raises(ValueError, match="max_deliveries"):
        queue.run()
    assert len(queue.run(max_deliveries=21)) == 21
    assert len(queue.run(until=lambda delivery: delivery.number == 23)) == 2


def test_queue_runs_for_so_many_seconds(worker: Worker) -> None:
    """What is due within the time is delivered, and the clock stands at its end."""
    worker.says(500)
    queue = AtLeastOnceQueue(min_backoff=10, max_doublings=0)
    queue.push(worker.url, {})
    assert [d.virtual_seconds for d in queue.run(until=45.0)] == pytest.approx([0, 10, 30])
    assert queue.virtual_seconds == pytest.approx(45)
    assert [d.virtual_seconds for d in queue.run(until=20.0)] == pytest.approx([60])


def test_tasks_take_turns_by_time(worker: Worker) -> None:
    """Several tasks are delivered in the order in which they are due."""
    worker.says(500, 500, 500, 200)
    queue = AtLeastOnceQueue()
    for name in ("a", "b"):
        queue.push(worker.url, {}, name=name)
    assert [d.task.name for d in queue.run()] == ["a", "b", "a", "b", "a"]


def test_same_name_is_refused(worker: Worker) -> None:
    """A name is taken for good, also after its task succeeded."""
    queue = AtLeastOnceQueue()
    queue.push(worker.url, {}, name="course-7")
    queue.run()
    with pytest.raises(AlreadyExists, match="ALREADY_EXISTS"):
        queue.push(worker.url, {}, name="course-7")
    with pytest.raises(ValueError, match="http://"):
        queue.push("https://example.org", {})
    with pytest.raises(ValueError, match="full name"):
        AtLeastOnceQueue("batches")


def test_task_can_be_delivered_again_after_success(worker: Worker) -> None:
    """A duplicate carries the headers of the delivery that it repeats, and is not wanted."""
    worker.says(500, 200)
    queue = AtLeastOnceQueue()
    task = queue.push(worker.url, {})
    assert [d.status for d in queue.deliver(task, times=21)] == [500, 200]
    again = queue.deliver(task, times=2, anyway=True)
    assert [(d.number, d.wanted) for d in again] == [(3, False), (4, False)]
    counts = [h["X-CloudTasks-TaskRetryCount"] for h in worker.headers]
    assert counts == ["0", "1", "1", "1"]
    assert [d.wanted for d in queue.deliveries] == [True, True, False, False]


def test_deliveries_arrive_together(worker: Worker) -> None:
    """Concurrent deliveries are in the worker at the same time, and count as one attempt."""
    meet = threading.Barrier(4)
    worker.says(lambda: (503 if meet.wait(15) else 200, {}))
    queue = AtLeastOnceQueue()
    task = queue.push(worker.url, {})
    made = queue.deliver_together(task, 4)
    assert sorted(d.status or 0 for d in made) == [200, 503, 503, 503]
    assert [d.status for d in made if d.wanted] == [200]
    assert sorted(d.number for d in made) == [1, 2, 3, 4]
    assert {h["X-CloudTasks-TaskRetryCount"] for h in worker.headers} == {"0"}
    assert queue.tasks == []


def test_dispatch_deadline_leaves_the_worker_working(worker: Worker) -> None:
    """An answer that is late is no answer, though the worker is still at it."""
    go_on = threading.Event()
    worker.says(lambda: (200 if go_on.wait(15) else 500, {}), 200)
    queue = AtLeastOnceQueue(dispatch_deadline=0.2)
    queue.push(worker.url, {})
    first, second = queue.run()
    go_on.set()
    assert (first.status, first.reply.error) == (None, "DEADLINE_EXCEEDED")
    assert second.succeeded


def test_real_clock_waits(worker: Worker) -> None:
    """With a real clock a task is not delivered before its time."""
    worker.says(500, 200)
    queue = AtLeastOnceQueue(clock="real", min_backoff=0.05)
    queue.push(worker.url, {})
    first, second = queue.run()
    assert first.next_at is not None
    assert second.at >= first.next_at


def test_log_is_cloud_tasks_own(worker: Worker, tmp_path: Path) -> None:
    """The log has a creation, then a dispatch and a response per attempt, in the real format."""
    worker.says(500, 0, 200)
    queue = AtLeastOnceQueue(max_attempts=-1)
    queue.push(worker.url, {}, name="course-7")
    queue.run(max_deliveries=21)
    queue.log(tmp_path / "log.jsonl")
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    payloads = [entry["jsonPayload"] for entry in entries]
    kinds = [next(k for k in p if k.endswith("Log")) for p in payloads]
    assert kinds == ["taskCreationLog"] + ["attemptDispatchLog", "attemptResponseLog"] * 3
    assert entries[2]["resource"] == {
        "type": "cloud_tasks_queue",
        "labels": {
            "project_id": "demo",
            "location": "local",
            "queue_id": "batches",
            "target_type": "HTTP",
        },
    }
    assert entries[2]["logName"].endswith("/logs/cloudtasks.googleapis.com%2Ftask_operations_log")
    assert {p["task"] for p in payloads} == {f"{queue.name}/tasks/course-7"}
    assert payloads[2]["@type"].endswith("google.cloud.tasks.logging.v1.TaskActivityLog")
    answers = [p["attemptResponseLog"] for p in payloads[2::2]]
    assert [a["status"] for a in answers] == ["INTERNAL", "UNKNOWN", "OK"]
    assert [a["dispatchCount"] for a in answers] == ["1", "2", "3"]
    assert [a["responseCount"] for a in answers] == ["1", "1", "2"]
    assert ["retryTime" in a for a in answers] == [True, True, False]
    assert {a["targetAddress"] for a in answers} == {f"POST {worker.url}"}
    assert {(a["maxAttempts"], a["targetType"]) for a in answers} == {(0, "HTTP")}
    assert answers[0]["attemptDuration"].endswith("s")
    assert [e["severity"] for e in entries[2::2]] == ["ERROR", "ERROR", "INFO"]
    assert [e["timestamp"] for e in entries] == sorted(e["timestamp"] for e in entries)


def test_command_line(worker: Worker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command delivers until success, adds duplicates, and prints what happened."""
    worker.says(500, 500, 200)
    options = ["--url", worker.url, "--payload", '{"course_id": 7}', "--name", "course-7"]
    log = tmp_path / "log.jsonl"
    main([*options, "--max-deliveries", "21", "--again", "2", "--log", str(log)])
    summary = json.loads(capsys.readouterr().out)
    assert [d["status"] for d in summary["deliveries"]] == [500, 500, 200, 200, 200]
    assert [d["number"] for d in summary["deliveries"]] == [1, 2, 3, 4, 5]
    seconds = [d["virtual_seconds"] for d in summary["deliveries"]]
    assert seconds == pytest.approx([0, 0.1, 0.3, 0.3, 0.3], abs=1e-3)
    assert (summary["task"], summary["wanted"], summary["succeeded"]) == ("course-7", 3, True)
    assert len(log.read_text().splitlines()) == 11
    assert worker.bodies[0] == {"course_id": 7}


def test_command_line_without_success(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    """A task that never succeeds stops at the most deliveries and gets no duplicates."""
    worker.says(500)
    main(["--url", worker.url, "--max-deliveries", "21", "--again", "2"])
    summary = json.loads(capsys.readouterr().out)
    assert (len(summary["deliveries"]), summary["succeeded"]) == (21, False)
