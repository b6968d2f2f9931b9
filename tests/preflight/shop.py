"""The place where a batch is deployed under its framework, and its database a migration behind."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from payonce.journal import journal_at
from payonce.journal.protocol import RunFilter
from payonce.model import Run
from payonce.testing import MeteredProvider

APPS = Path(__file__).with_name("apps")
UVICORN = ("uvicorn", "--log-level", "warning", "--lifespan", "off", "--fd", "{fd}")
GUNICORN = ("gunicorn", "--no-control-socket", "--threads", "2", "--bind", "fd://{fd}")
_SECONDS = 120


@dataclass(frozen=True)
class Made:
    """A framework's app: its module, its server, how its migrations are run, and its rows."""

    module: str
    server: tuple[str, ...]
    database: str
    first: Callable[[Shop], None]
    migrate: Callable[[Shop], None]
    rows: Callable[[], int]


class Shop:
    """A folder with the app's code and journal, and the server that takes its deliveries."""

    def __init__(self, folder: Path, provider: MeteredProvider, made: Made) -> None:
        self.folder, self._provider, self._made = folder, provider, made
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: socket.socket | None = None
        self._settings = {"DATABASE": made.database, "PAYONCE_VERSION": "1"}
        for name in ("llm", made.module):
            shutil.copy(APPS / f"{name}.py", folder)
        made.first(self)

    def deploy(self, **settings: str) -> None:
        """Serve the app in a new process, under these settings."""
        self.stop()
        self._settings |= settings
        self._listener = socket.create_server(("127.0.0.1", 0))
        fd = self._listener.fileno()
        command = [word.format(fd=fd) for word in self._made.server]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command, f"{self._made.module}:served"],
                cwd=self.folder,
                env=self._environment(),
                pass_fds=[fd],
                stdout=log,
                stderr=log,
            )

    def deliver(self) -> int:
        """One delivery of course 42: the status that the queue is told."""
        assert self._listener is not None
        port = self._listener.getsockname()[1]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
        try:
            connection.request("POST", "/courses/42", b"")
            return connection.getresponse().status
        finally:
            connection.close()

    def migrate(self) -> None:
        """Run the migration that came too late."""
        self._made.migrate(self)

    def rows(self) -> int:
        """How many courses the database has."""
        return self._made.rows()

    def run(self, *command: str) -> str:
        """A Python program in this folder, under the deployed settings; it has to succeed."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wake(self) -> str:
        """`payonce wake`, as a deploy script has it."""
        return self.run("-m", "payonce", "wake", f"{self._made.module}:app")

    def state(self) -> Run:
        """The one run, as the journal has it."""
        journal = journal_at(f"sqlite:///{self.folder}/payonce.db")
        try:
            (found,) = journal.runs(RunFilter())
            return found.run
        finally:
            journal.stop()

    def stop(self) -> None:
        """End the server."""
        if self._listener is not None:
            self._listener.close()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)

    def _environment(self) -> dict[str, str]:
        return os.environ | self._provider.environ() | self._settings
