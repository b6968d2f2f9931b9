"""Real HTTP servers in processes of their own, each listening on a socket made here."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

APPS = Path(__file__).with_name("apps")
UVICORN = ("uvicorn", "--log-level", "warning", "--lifespan", "off", "--fd", "{fd}")
GUNICORN = ("gunicorn", "--no-control-socket", "--threads", "4", "--bind", "fd://{fd}")
SERVERS = {
    "fastapi": (*UVICORN, "fastapi_app:asgi"),
    "starlette": (*UVICORN, "starlette_app:asgi"),
    "django-asgi": (*UVICORN, "django_app:asgi"),
    "django-wsgi": (*GUNICORN, "django_app:wsgi"),
    "flask": (*GUNICORN, "flask_app:wsgi"),
}


@dataclass(frozen=True)
class Answered:
    """A response as the queue sees it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A server process on the loopback interface."""

    name: str
    port: int

    def open(
        self, path: str, body: bytes = b"", **headers: str
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Post, and hand over the response unread."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, named)
        return connection, connection.getresponse()

    def post(self, path: str, body: bytes = b"", **headers: str) -> Answered:
        """Post, and read the whole response."""
        connection, response = self.open(path, body, **headers)
        try:
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answered(response.status, told, response.read())
        finally:
            connection.close()


@contextmanager
def serving(name: str, log: Path) -> Iterator[Server]:
    """Start the server called `name`; connections wait in its socket until it is up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, fd = listener.getsockname()[1], str(listener.fileno())
        command = [sys.executable, "-m", *(word.format(fd=fd) for word in SERVERS[name])]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=APPS,
                pass_fds=[listener.fileno()],
                stdout=output,
                stderr=output,
            )
    try:
        yield Server(name, port)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module", params=list(SERVERS))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Each of the servers in turn, started once for a test file."""
    with serving(request.param, tmp_path_factory.mktemp("server") / "log") as server:
        yield server
