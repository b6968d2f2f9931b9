"""Hooks are told once per cause, and are in nobody's way."""

from __future__ import annotations

import json
import logging
import os
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.journal.stores import Clock
from tests.waking.conftest import School
from tests.waking.telling import until, word

from payonce import ConfigError, Payonce
from payonce.notices import (
    BreakerClosed,
    BreakerOpened,
    CallInDoubt,
    Notice,
    RunParked,
    RunWoken,
)
from payonce.notify import Apprise

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


def _failing(app: Payonce, school: School) -> Callable[[str], Any]:
    app.watch(f"sqlite:///{school.path}")

    @app.job(key="{course}", name="course", tenant="{course}")
    def job(course: str) -> str:
        school.save(course)
        return course

    return job


def test_a_cause_is_told_once(make_app: Callable[..., Payonce], school: School) -> None:
    """Fifty parked runs, in five processes, are one notice of a parked run and one of a breaker."""
    told: list[Notice] = []
    for n in range(5):
        app = make_app()
        app.notify(told.append)
        job = _failing(app, school)
        for course in range(10):
            assert word(job, f"{n}-{course}") == "Parked"
        app.close()
    assert [type(notice) for notice in told] == [RunParked, BreakerOpened]
    parked, opened = told
    assert isinstance(parked, RunParked)
    assert (parked.run_key, parked.tenant, parked.paid) == ("0-0", "0-0", "no")
    assert "outline" in parked.reason
    assert "schema" in parked.todo
    assert isinstance(opened, BreakerOpened)
    assert opened.failed == 3


def test_going_on_is_told(make_app: Callable[..., Payonce], school: School) -> None:
    """After the migration the first run that goes on is told of, once."""
    told: list[Notice] = []
    app = make_app()
    app.notify(told.append)
    job = _failing(app, school)
    for course in "ab":
        word(job, course)
    school.migrate()
    for course in "ab":
        assert word(job, course) == "done"
    app.close()
    assert [type(notice) for notice in told] == [RunParked, RunWoken]


def test_a_breaker_that_closes_is_told(make_app: Callable[..., Payonce], clock: Clock) -> None:
    """The run that was let in as a probe, and is done, ends it."""
    told: list[Notice] = []
    app = make_app()
    app.notify(told.append)
    broken = [True]

    @app.job(key="{n}")
    def job(n: int) -> int:
        if broken[0]:
            raise AttributeError("no such thing")
        return n

    for n in range(4):
        word(job, n)
    clock.move(901)
    broken[0] = False
    assert word(job, 4) == "done"
    app.close()
    assert [type(notice) for notice in told] == [RunParked, BreakerOpened, BreakerClosed]


def test_a_call_in_doubt_is_told(app: Payonce) -> None:
    """A step that raised may have been billed: who looks after the money hears of it."""
    told: list[Notice] = []
    app.notify(told.append)

    @app.step(name="charge")
    def charge() -> None:
        raise TimeoutError("no answer")

    @app.job(key="{n}")
    def job(n: int) -> None:
        charge()

    for n in range(3):
        word(job, n)
    app.close()
    doubt = next(notice for notice in told if isinstance(notice, CallInDoubt))
    assert doubt.step == "charge"
    assert sum(isinstance(notice, CallInDoubt) for notice in told) == 1


def test_a_hook_that_raises_or_hangs_harms_nobody(
    make_app: Callable[..., Payonce],
    school: School,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run parks as ever, other hooks are told, the failure is logged once."""
    monkeypatch.setattr("payonce.notifying._PATIENCE", 0.2)
    told: list[Notice] = []
    never = threading.Event()
    app = make_app()

    def raises(notice: Notice) -> None:
        raise ConnectionError("nobody there")

    app.notify(lambda _: never.wait(60))
    app.notify(raises)
    app.notify(told.append)
    job = _failing(app, school)
    for course in "abcde":
        assert word(job, course) == "Parked"
    until(lambda: len(told) == 2)
    app.close()
    never.set()
    assert caplog.text.count("raised ConnectionError: nobody there") == 1


def test_the_log_is_told_anyway(
    make_app: Callable[..., Payonce], school: School, caplog: pytest.LogCaptureFixture
) -> None:
    """Without any hook a parked run is one line in the log, and its like are none."""
    app = make_app()
    job = _failing(app, school)
    with caplog.at_level(logging.INFO, "payonce"):
        for course in "ab":
            word(job, course)
    lines = [record.getMessage() for record in caplog.records if "is parked" in record.getMessage()]
    assert len(lines) == 1
    assert "run 'a' (a) of course is parked" in lines[0]


class _Received:
    """What came to a server on the loopback."""

    def __init__(self) -> None:
        self.bodies: list[str] = []


@pytest.fixture
def webhook() -> Iterator[tuple[str, _Received]]:
    """A web server that keeps what is posted to it."""
    received = _Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"json://127.0.0.1:{server.server_port}/hook", received
        server.shutdown()
        thread.join()


@pytest.fixture
def mailbox() -> Iterator[tuple[str, _Received]]:
    """A mail server that keeps what is sent to it (RFC 5321, as much as a client needs)."""
    received = _Received()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            while line := self.rfile.readline().decode().strip():
                word = line.split()[0].upper()
                if word == "DATA":
                    self._say("354 go on")
                    received.bodies.append(self._message())
                if word == "QUIT":
                    self._say("221 bye")
                    return
                self._say("250 ok")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def _message(self) -> str:
            lines = []
            while (line := self.rfile.readline().decode()) != ".\r\n":
                lines.append(line)
            return "".join(lines)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_address[1]
        url = (
            f"mailto://127.0.0.1:{port}/?from=payonce@example.org&to=ops@example.org&mode=insecure"
        )
        yield url, received
        server.shutdown()
        thread.join()


def _told_at(app: Payonce, url: str) -> None:
    app.notify(Apprise(url))

    @app.job(key="{course}", name="course")
    def job(course: str) -> None:
        raise AttributeError(f"no such thing, with Authorization: Bearer {KEY}")

    for course in "ab":
        assert word(job, course) == "Parked"
    app.close()


def test_a_webhook_hears_of_it(
    make_app: Callable[..., Payonce], webhook: tuple[str, _Received]
) -> None:
    """It is posted once, says what happened and what to do, and holds no secret."""
    url, received = webhook
    _told_at(make_app(), url)
    (body,) = received.bodies
    told = json.loads(body)
    assert told["title"] == "payonce: course: parked"
    assert told["type"] == "warning"
    assert "run 'a' of course is parked" in told["message"]
    assert "paid: no" in told["message"]
    assert KEY not in body


def test_an_email_is_sent(make_app: Callable[..., Payonce], mailbox: tuple[str, _Received]) -> None:
    """One mail for a cause."""
    url, received = mailbox
    _told_at(make_app(), url)
    (mail,) = received.bodies
    assert "payonce: course: parked" in mail
    assert KEY not in mail


def test_a_place_that_nobody_knows_is_refused() -> None:
    """A URL that apprise doesn't understand fails at once, without its secrets in the message."""
    for urls in ((), (f"nonsense://{KEY}@host",)):
        with pytest.raises(ConfigError) as told:
            Apprise(*urls)
        assert KEY not in str(told.value)
    assert os.environ.get("APPRISE_URLS") is None
