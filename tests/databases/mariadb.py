"""A private MariaDB server on a free port, as `PostgresServer` is one of PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pymysql
from tests.databases.postgres import die_with_parent, free_port, unprivileged

_PATIENCE = 60.0
_NOBODY = 65534


class NoMariadb(Exception):
    """There are no binaries on this machine."""


class MariadbServer:
    """One server with its data in a folder of its own; databases are made as they are asked for."""

    def __init__(self) -> None:
        self._programs = [_program("mariadb-install-db"), _program("mariadbd")]
        self.folder = Path(tempfile.mkdtemp(prefix="payonce-mariadb-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    @classmethod
    def start(cls) -> MariadbServer:
        """A server that answers."""
        server = cls()
        try:
            server._make()
            server.restart()
        except BaseException:
            server.stop()
            raise
        return server

    def connect(self, url: str | None = None, user: str = "root") -> Any:
        """A connection of pymysql's."""
        database = url.rpartition("/")[2] if url else None
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, database=database, autocommit=True
        )

    def database(self) -> str:
        """The URL of a fresh, empty database."""
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url_of(name)

    def url_of(self, database: str, *, user: str = "root") -> str:
        """A database's URL."""
        return f"mysql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str, url: str | None = None) -> list[Any]:
        """Do a statement, as root."""
        connection = self.connect(url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def drop(self, url: str) -> None:
        """Remove a database."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]}")

    def restart(self) -> None:
        """Start the server, on the same port and data."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._programs[1], "--no-defaults", f"--datadir={self.folder}/data"),
                    *(f"--port={self.port}", "--bind-address=127.0.0.1"),
                    *(f"--socket={self.folder}/socket", f"--pid-file={self.folder}/pid"),
                    *("--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"),
                    *("--innodb-buffer-pool-size=16M", "--key-buffer-size=1M"),
                    *("--character-set-server=utf8mb4", "--skip-name-resolve"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=die_with_parent,
                **unprivileged(),
            )
        self._wait()

    def stop(self) -> None:
        """Stop the server and remove its data."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        if os.getuid() == 0:
            for path in (self.folder, data):
                os.chown(path, _NOBODY, _NOBODY)
        subprocess.run(
            [
                *(self._programs[0], "--no-defaults", f"--datadir={data}", "--skip-test-db"),
                "--auth-root-authentication-method=normal",
            ],
            check=True,
            capture_output=True,
            timeout=_PATIENCE,
            cwd=self.folder,
            **unprivileged(),
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.connect().close()
            except pymysql.OperationalError:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return


def _program(name: str) -> str:
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(name, path=places)
    if found is None:
        raise NoMariadb("no MariaDB: install one (apt-get install mariadb-server)")
    return found
