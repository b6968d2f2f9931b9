"""A private Redis server on a free port, as `PostgresServer` is one of PostgreSQL."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from tests.databases.postgres import die_with_parent, free_port

_PATIENCE = 60.0


class NoRedis(Exception):
    """There is no binary on this machine."""


class RedisServer:
    """One server, whose data is in a folder of its own and goes with it."""

    def __init__(self) -> None:
        found = shutil.which("redis-server")
        if found is None:
            raise NoRedis("redis-server is not there: apt-get install redis-server")
        self._program = found
        self.folder = Path(tempfile.mkdtemp(prefix="payonce-redis-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls) -> RedisServer:
        """A server that answers."""
        server = cls()
        try:
            server.begin()
            server.wait()
        except BaseException:
            server.stop()
            raise
        return server

    @property
    def url(self) -> str:
        """Its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, **options: Any) -> redis.Redis:
        """A client that sends each command once."""
        return redis.Redis(port=self.port, retry=None, **options)

    def begin(self, **settings: object) -> None:
        """Start it, on the same port and data, without waiting for it."""
        given = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": ""} | settings
        words = [w for name, value in given.items() for w in (f"--{name.replace('_', '-')}", value)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=die_with_parent,
            )

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                with self.client() as client:
                    client.ping()
                    return
            except (redis.ConnectionError, redis.BusyLoadingError):
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it with SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(_PATIENCE)

    def stop(self) -> None:
        """End it and remove its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
