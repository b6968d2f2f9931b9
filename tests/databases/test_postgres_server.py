"""The private server that other tests stand on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from tests.databases.postgres import PostgresServer, postgres

ROOT = Path(__file__).resolve().parents[2]
STARTER = """
import sys
from tests.databases.postgres import PostgresServer
server = PostgresServer.start()
print(server.folder, server._process.pid, flush=True)
sys.stdin.read()
"""


def test_databases_are_apart(postgres_server: PostgresServer) -> None:
    """Each database that is asked for is a fresh one, and goes when it is dropped."""
    one, other = postgres_server.database(), postgres_server.database()
    postgres_server.execute("CREATE TABLE only_here (id int)", one)
    assert postgres_server.execute("SELECT to_regclass('only_here')", other) == [(None,)]
    postgres_server.drop(one)
    postgres_server.drop(other)
    with pytest.raises(psycopg.OperationalError):
        postgres_server.execute("SELECT 1", one)


def test_a_killed_server_comes_back_with_its_data() -> None:
    """What was committed is there after `kill -9` and a restart, under the same URL."""
    with postgres() as server:
        url = server.database()
        server.execute("CREATE TABLE kept (id int)", url)
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            server.execute("SELECT 1", url)
        server.restart()
        assert server.execute("SELECT count(*) FROM kept", url) == [(0,)]
    assert not server.folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_no_server_outlives_the_tests() -> None:
    """A test process that is killed takes its server along."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    folder, pid = starter.stdout.readline().split()
    starter.send_signal(signal.SIGKILL)
    starter.communicate(timeout=30)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    shutil.rmtree(folder)
    assert not Path(f"/proc/{pid}").exists()
