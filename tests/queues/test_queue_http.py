"""The HTTP adapters behind real servers: the same promises under five frameworks."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Server

REASON = 'column "x" does not exist'

WORDS = [
    ("cloud-tasks", "park", 204, "park", None),
    ("cloud-tasks", "hold", 503, "park", "300"),
    ("cloud-tasks", "retry", 503, "retry", "7"),
    ("cloud-tasks", "busy", 409, "busy", "3"),
    ("cloud-tasks", "reused", 204, "park", None),
    ("pubsub", "park", 204, "park", None),
    ("pubsub", "retry", 503, "retry", "7"),
    ("pubsub", "busy", 409, "busy", "3"),
    ("qstash", "park", 489, "park", None),
    ("qstash", "retry", 503, "retry", "7"),
    ("http", "park", 200, "park", None),
    ("http", "retry", 503, "retry", "7"),
    ("http", "reused", 200, "park", None),
    ("cloud-tasks", "job-park", 204, "park", None),
    ("cloud-tasks", "job-hold", 503, "park", "300"),
    ("cloud-tasks", "job-retry", 503, "retry", "1"),
    ("qstash", "job-park", 489, "park", None),
]


@pytest.mark.parametrize(("queue", "scenario", "status", "verdict", "after"), WORDS)
def test_words(
    server: Server, queue: str, scenario: str, status: int, verdict: str, after: str | None
) -> None:
    """A job's verdict reaches each queue in that queue's own words."""
    answered = server.post(f"/{queue}/run/{scenario}")
    assert answered.status == status
    assert answered.headers["x-payonce-verdict"] == verdict
    assert answered.headers.get("retry-after") == after


@pytest.mark.parametrize("where", ["run", "async", "thread", "caught"])
@pytest.mark.parametrize("scenario", ["park", "retry", "job-park", "job-retry"])
def test_wherever_the_job_runs(server: Server, where: str, scenario: str) -> None:
    """The verdict is heard from sync and async endpoints, worker threads and error responses."""
    answered = server.post(f"/http/{where}/{scenario}")
    assert answered.status == (200 if scenario.endswith("park") else 503)
    assert answered.json["payonce"] == scenario.removeprefix("job-")


def test_qstash_is_told_not_to_retry(server: Server) -> None:
    """A parked run sets the header that makes QStash stop."""
    assert server.post("/qstash/run/park").headers["upstash-nonretryable-error"] == "true"


def test_the_body_tells_the_run_where_the_exception_is_seen(server: Server) -> None:
    """The answer names run, reason and money, unless the framework swallowed the exception."""
    told = server.post("/http/run/park").json
    if server.name in ("fastapi", "starlette"):
        assert told == {"payonce": "park", "run": "course:42", "reason": REASON, "paid": "yes"}
    else:
        assert told == {"payonce": "park"}


def test_no_content_has_no_body(server: Server) -> None:
    """A 204 carries neither a body nor a content type."""
    answered = server.post("/cloud-tasks/run/park")
    assert (answered.body, answered.headers.get("content-type")) == (b"", None)


def test_the_users_own_answer_is_untouched(server: Server) -> None:
    """A response below 400 passes as it is, whatever verdict was noted."""
    answered = server.post("/cloud-tasks/accepted/park")
    assert (answered.status, answered.body) == (202, b"own words: Parked")
    assert "x-payonce-verdict" not in answered.headers
    assert server.post("/cloud-tasks/run/noted").status == 200


@pytest.mark.parametrize("scenario", ["bug", "done-bug"])
def test_foreign_failures_are_untouched(server: Server, scenario: str) -> None:
    """An exception that no job has a say in stays the framework's own 500."""
    answered = server.post(f"/cloud-tasks/run/{scenario}")
    assert answered.status == 500
    assert "x-payonce-verdict" not in answered.headers


def test_a_missing_page_is_untouched(server: Server) -> None:
    """An error response without a verdict passes as it is."""
    assert server.post("/cloud-tasks/nowhere").status == 404


def test_a_failure_beside_a_parked_job_is_answered_alike(server: Server) -> None:
    """A noted verdict decides also when the handler then fails with an error of its own."""
    assert server.post("/cloud-tasks/run/beside").status == 204


def test_a_huge_error_response_passes_whole(server: Server) -> None:
    """An error response longer than what is kept arrives complete."""
    answered = server.post("/cloud-tasks/huge")
    assert (answered.status, len(answered.body)) == (500, 3_000_000)


def test_streams_pass_at_once(server: Server) -> None:
    """The first chunk arrives while the app still works, and the delivery lasts to the end."""
    connection, response = server.open("/cloud-tasks/stream", **{"X-CloudTasks-TaskName": "t1"})
    assert response.read(6) == b"first;"
    server.post("/cloud-tasks/release")
    assert response.read() == b"second of t1"
    connection.close()


def test_a_torn_stream_stays_torn(server: Server) -> None:
    """A job that parks after the response began breaks the response off: no false success."""
    connection, response = server.open("/cloud-tasks/torn")
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()


def test_a_stream_that_has_not_begun_is_answered(server: Server) -> None:
    """A job that parks before the first chunk of a stream is answered in the queue's words."""
    assert server.post("/cloud-tasks/unbegun").status == 204


def test_concurrent_deliveries_do_not_mix(server: Server) -> None:
    """Two requests that are inside at once each see their own delivery."""
    with ThreadPoolExecutor(2) as pool:
        posted = [
            pool.submit(server.post, "/qstash/meet", **{"Upstash-Message-Id": name})
            for name in ("one", "two")
        ]
        assert [p.result().json["message"] for p in posted] == ["one", "two"]


def push(data: str) -> bytes:
    """What Pub/Sub posts; `data` in base64."""
    message = {"data": data, "messageId": "136969346945"}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


def test_the_origin_is_read_from_the_body_and_the_body_is_replayed(server: Server) -> None:
    """The handler of a Pub/Sub push gets the whole body, and the delivery its message id."""
    body = push("QUJD" * 1_000_000)
    told = server.post("/pubsub/echo", body).json
    assert told == {"size": len(body), "message": "s/136969346945"}


def test_an_overlong_body_is_passed_on_unread(server: Server) -> None:
    """A body beyond the bound reaches the handler whole; only its origin stays unknown."""
    body = push("QUJD" * 5_000_000)
    assert server.post("/pubsub/echo", body).json == {"size": len(body), "message": None}


def test_malformed_bodies_are_tolerated(server: Server) -> None:
    """What is no push message is the handler's affair."""
    told = server.post("/pubsub/echo", b'{"message": ').json
    assert told == {"size": 12, "message": None}
