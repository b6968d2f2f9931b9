"""What becomes of the messages of parked and held runs, behind a queue that delivers again."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from tests.waking.conftest import School
from tests.waking.telling import runs

from payonce import Payonce
from payonce.queues.wsgi import DeliveryMiddleware
from payonce.testing import AtLeastOnceQueue
from payonce.waking import wake


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def _served(application: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, application, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _application(app: Payonce, school: School, paid: list[str], on_park: Any, queue: str) -> Any:
    app.watch(f"sqlite:///{school.path}")

    @app.step(name="pay")
    def pay(course: str) -> str:
        paid.append(course)
        return "paid"

    @app.job(key="{course}", name="course", on_park=on_park)
    def job(course: str) -> str:
        pay(course)
        school.save(course)
        return course

    def handler(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        value = job(json.loads(body)["course"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [value.encode()]

    return DeliveryMiddleware(handler, app=app, queue=queue)


def test_a_held_message_comes_again_until_it_is_done(
    make_app: Callable[..., Payonce], school: School
) -> None:
    """With on_park="hold" the queue itself brings all runs to their end after the migration."""
    paid: list[str] = []
    application = _application(make_app(), school, paid, "hold", "cloud-tasks")
    queue = AtLeastOnceQueue()
    with _served(application) as url:
        for course in "abcdef":
            queue.push(url, {"course": course})
        before = queue.run(max_deliveries=30)
        assert {delivery.status for delivery in before} == {503}
        assert paid == ["a", "b", "c"]
        school.migrate()
        after = queue.run()
    assert Counter(delivery.status for delivery in after) == {200: 6}
    assert sorted(paid) == list("abcdef")
    assert queue.tasks == []


@pytest.mark.parametrize(("name", "status"), [("cloud-tasks", 204), ("pubsub", 204), ("http", 200)])
def test_an_acknowledged_run_needs_no_message(
    make_app: Callable[..., Payonce], school: School, name: str, status: int
) -> None:
    """With on_park="ack" each message is delivered once; payonce wake does the rest, unpaid."""
    paid: list[str] = []
    app = make_app()
    application = _application(app, school, paid, "ack", name)
    queue = AtLeastOnceQueue()
    with _served(application) as url:
        for course in "abcdef":
            queue.push(url, {"course": course})
        assert [delivery.status for delivery in queue.run()] == [status] * 6
    assert paid == ["a", "b", "c"]
    school.migrate()
    woken = list(wake(app, workers=3))
    assert [each.outcome for each in woken] == ["done"] * 6
    assert sorted(paid) == list("abcdef")
    assert {run.state for run in runs(app).values()} == {"done"}
