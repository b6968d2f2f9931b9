"""A private PgBouncer in transaction mode, in front of a private PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from tests.databases.postgres import (
    NOBODY,
    PostgresServer,
    die_with_parent,
    free_port,
    unprivileged,
)

CONFIG = """
[databases]
* = host=127.0.0.1 port={server} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
logfile = {folder}/log
pidfile =
"""


class NoPgBouncer(Exception):
    """It is not installed."""


@contextlib.contextmanager
def pgbouncer(server: PostgresServer, **settings: int) -> Iterator[int]:
    """The port of a pooler that gives each transaction whatever connection is free.

    `settings` are lines of its configuration.
    """
    binary = shutil.which("pgbouncer") or shutil.which(
        "pgbouncer", path="/usr/sbin:/usr/local/sbin"
    )
    if binary is None:
        raise NoPgBouncer("no pgbouncer on this machine")
    folder, port = Path(tempfile.mkdtemp(prefix="payonce-pgbouncer-")), free_port()
    config = CONFIG.format(server=server.port, port=port, folder=folder)
    more = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (folder / "ini").write_text(config + more)
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    process = subprocess.Popen(
        [binary, "-q", folder / "ini"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
        **unprivileged(),
    )
    try:
        _wait(process, port, folder)
        yield port
    finally:
        process.kill()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text()) from None
            time.sleep(0.02)
        else:
            return
