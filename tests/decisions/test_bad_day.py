"""The failures of a bad day, raised for real: none of them is given up at once.

Each SDK and client against answers that a provider in trouble sends, through its own proxies too;
each driver against a server that is stopped, killed, full, locked or read-only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import asyncpg
import boto3
import cohere
import groq
import httpx
import httpx2
import openai
import psycopg
import pytest
import requests
import sqlalchemy as sa
from botocore.config import Config
from google import genai
from mistralai.client import Mistral
from sqlalchemy.ext.asyncio import create_async_engine
from tests.databases.mariadb import MariadbServer
from tests.databases.pgbouncer import NoPgBouncer, pgbouncer
from tests.databases.postgres import PostgresServer

from payonce.failure import classify
from payonce.model import Diagnosis, Kind

PASSES = (Kind.TRANSIENT, Kind.THROTTLED)
ASKED: Any = [{"role": "user", "content": "hi"}]
BODIES = {
    "json": b'{"error": {"message": "Not now", "type": "server_error"}, "type": "error"}',
    "html": b"<html><title>Bad gateway</title><body>cloudflare</body></html>",
    "text": b"upstream connect error or disconnect/reset before headers",
    "empty": b"",
}
STATUSES = (408, 429, 500, 502, 503, 504, 520, 524, 529)
CUTS = ("reset", "close", "cut", "garbage", "hang")


def _failing(call: Callable[[], object]) -> Diagnosis:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call()
    return classify(caught.value)


# Providers ----------------------------------------------------------------------------------


class InTrouble(BaseHTTPRequestHandler):
    """Answers what the path says: `/503/html/…`, or breaks off: `/reset/…`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing is told."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        _, what, kind, *_ = self.path.split("/")
        if what.isdigit():
            self.send_response(int(what))
            self.send_header(
                "content-type", f"text/{kind}" if kind != "json" else "application/json"
            )
            self.send_header("content-length", str(len(BODIES[kind])))
            self.end_headers()
            self.wfile.write(BODIES[kind])
            return
        self.close_connection = True
        if what == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if what == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")
        if what == "garbage":
            self.wfile.write(b"\x00\x01 no HTTP\r\n\r\n")
        if what == "hang":
            time.sleep(2)
        self.connection.close()


class Server(ThreadingHTTPServer):
    """Whose clients may go away."""

    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """Nothing is told."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where it is."""
    with Server(("127.0.0.1", 0), InTrouble) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _openai(url: str) -> None:
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0, timeout=0.5) as client:
        client.responses.create(model="m", input="hi")


def _openai_stream(url: str) -> None:
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0, timeout=0.5) as client:
        list(client.chat.completions.create(model="m", messages=ASKED, stream=True))


def _anthropic(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0, timeout=0.5) as client:
        client.messages.create(model="claude-opus-5", max_tokens=9, messages=ASKED)


def _groq(url: str) -> None:
    with groq.Groq(base_url=url, api_key="k", max_retries=0, timeout=0.5) as client:
        client.chat.completions.create(model="m", messages=ASKED)


def _mistral(url: str) -> None:
    with Mistral(server_url=url, api_key="k", timeout_ms=500) as client:
        client.chat.complete(model="m", messages=ASKED)


def _cohere(url: str) -> None:
    with httpx.Client(timeout=0.5) as http:
        client = cohere.ClientV2(base_url=url, api_key="k", httpx_client=http)
        client.chat(model="m", messages=ASKED, request_options={"max_retries": 0})


def _genai(url: str) -> None:
    with genai.Client(api_key="k", http_options={"base_url": url, "timeout": 500}) as client:
        client.models.generate_content(model="m", contents="hi")


def _bedrock(url: str) -> None:
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=0.5),
    )
    with contextlib.closing(client):
        asked = [{"role": "user", "content": [{"text": "hi"}]}]
        client.converse(modelId="m", messages=asked)["output"]["message"]


def _httpx(url: str) -> None:
    httpx.post(url, timeout=0.5).raise_for_status()


def _httpx2(url: str) -> None:
    httpx2.post(url, timeout=0.5).raise_for_status()


def _requests(url: str) -> None:
    with requests.post(url, timeout=0.5) as answer:
        answer.raise_for_status()


def _aiohttp(url: str) -> None:
    async def post() -> None:
        timeout = aiohttp.ClientTimeout(total=0.5)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url) as answer:
            answer.raise_for_status()
            await answer.read()

    asyncio.run(post())


CLIENTS = (
    *(_openai, _openai_stream, _anthropic, _groq, _mistral, _cohere, _genai, _bedrock),
    *(_httpx, _httpx2, _requests, _aiohttp),
)


@pytest.mark.heavy
@pytest.mark.parametrize("client", CLIENTS)
def test_a_provider_in_trouble_is_never_given_up(client: Callable[[str], None], url: str) -> None:
    """By status, whatever stands in the body; by a connection that breaks off; by none at all."""
    ways = [f"{url}/{status}/{kind}" for status in STATUSES for kind in BODIES]
    ways += [f"{url}/{cut}/x" for cut in CUTS]
    ways += ["http://127.0.0.1:1/x/x", f"https://127.0.0.1:{url.rpartition(':')[2]}/x/x"]
    if client is _bedrock:  # botocore takes what came for the whole, and it has no message
        ways.remove(f"{url}/cut/x")
    found = {way: _failing(lambda way=way: client(way)) for way in ways}  # type: ignore[misc]
    assert {way: each for way, each in found.items() if each.kind not in PASSES} == {}


# PostgreSQL ---------------------------------------------------------------------------------

Statement = str | Callable[[], Any]


class Postgres:
    """A server of its own, and the drivers that do statements in one transaction on it."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        server.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
        server.execute("INSERT INTO t SELECT g, g FROM generate_series(1, 9) AS g")
        self._others: list[psycopg.Connection[Any]] = []

    def psycopg(self, *statements: Statement) -> None:
        """psycopg alone."""
        with contextlib.closing(psycopg.connect(self.server.url, connect_timeout=5)) as db:
            for each in statements:
                each() if callable(each) else db.execute(each)  # type: ignore[call-overload]
            db.commit()

    def sqlalchemy(self, *statements: Statement) -> None:
        """psycopg under SQLAlchemy."""
        url = self.server.url.replace("://", "+psycopg://")
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as db:
            for each in statements:
                each() if callable(each) else db.execute(sa.text(each))
            db.commit()

    def asyncpg(self, *statements: Statement) -> None:
        """asyncpg alone."""

        async def work() -> None:
            db = await asyncpg.connect(self.server.url, timeout=5)
            try:
                await db.execute("BEGIN")
                for each in statements:
                    await (asyncio.to_thread(each) if callable(each) else db.execute(each))
                await db.execute("COMMIT")
            finally:
                db.terminate()

        asyncio.run(work())

    def sqlalchemy_async(self, *statements: Statement) -> None:
        """asyncpg under SQLAlchemy."""
        url = self.server.url.replace("://", "+asyncpg://")

        async def work() -> None:
            engine = create_async_engine(url, poolclass=sa.NullPool)
            async with engine.connect() as db:
                for each in statements:
                    await (asyncio.to_thread(each) if callable(each) else db.execute(sa.text(each)))
                await db.commit()

        asyncio.run(work())

    def other(self, *statements: str, commit: bool = False) -> None:
        """Another worker's transaction, which stays open."""
        db = psycopg.connect(self.server.url)
        self._others.append(db)
        for each in statements:
            db.execute(each)  # type: ignore[call-overload]
        if commit:
            db.commit()

    def cross(self) -> None:
        """Let the other transaction ask for what this one has, and wait until it does."""
        waiting = threading.Thread(target=self._ask)
        waiting.start()
        asks = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while self.server.execute(asks) == [(0,)]:
            assert waiting.is_alive()
            time.sleep(0.02)

    def _ask(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self._others[-1].execute("UPDATE t SET v = 0 WHERE id = 2")

    def end_others(self) -> None:
        """Their locks are given up."""
        for db in self._others:
            db.close()
        self._others.clear()

    def terminate(self) -> None:
        """What an administrator, or a failover, does to sessions."""
        own = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
        self.server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {own}")


@pytest.fixture(scope="module")
def postgres(postgres_server: PostgresServer) -> Iterator[Postgres]:
    """It; the shared server only says whether there are binaries."""
    server = PostgresServer.start(max_connections="20", superuser_reserved_connections="0")
    yield Postgres(server)
    server.stop()


DEADLOCK = (("LOCAL", 100), ("SESSION", 30_000))
BIG = "SELECT count(*) FROM (SELECT g FROM generate_series(1, 300000) AS g ORDER BY random()) AS x"


@pytest.mark.heavy
@pytest.mark.parametrize("driver", ["psycopg", "sqlalchemy", "asyncpg", "sqlalchemy_async"])
def test_a_postgres_in_trouble_is_never_given_up(postgres: Postgres, driver: str) -> None:
    """Locks, limits, time-outs, read-only after a failover, a stop, a crash, and nobody there."""
    do: Callable[..., None] = getattr(postgres, driver)
    server, other = postgres.server, postgres.other
    first, second = (f"UPDATE t SET v = v + 1 WHERE id = {n}" for n in (1, 2))
    hasty, patient = (f"SET {scope} deadlock_timeout = {ms}" for scope, ms in DEADLOCK)
    isolated = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
    ways: dict[str, tuple[Statement, ...]] = {
        "statement time-out": ("SET LOCAL statement_timeout = 50", "SELECT pg_sleep(9)"),
        "lock time-out": (lambda: other(first), "SET LOCAL lock_timeout = 50", first),
        "no wait": (lambda: other(first), "SELECT * FROM t WHERE id = 1 FOR UPDATE NOWAIT"),
        "serialization": (isolated, "SELECT * FROM t", lambda: other(first, commit=True), first),
        "deadlock": (hasty, lambda: other(patient, first), second, postgres.cross, first),
        "read-only": ("SET TRANSACTION READ ONLY", first),
        "out of space": ("SET LOCAL temp_file_limit = '10kB'", "SET LOCAL work_mem = '64kB'", BIG),
        "terminated": ("SELECT 1", postgres.terminate, "SELECT 1"),
        "stopped": ("SELECT 1", server.halt, "SELECT 1"),
        "nobody there": (),
        "back": (server.restart,),
        "killed": ("SELECT 1", server.kill, "SELECT 1"),
    }
    found = {}
    for way, statements in ways.items():
        if way == "back":
            server.restart()
            continue
        found[way] = _failing(lambda statements=statements: do(*statements))  # type: ignore[misc]
        postgres.end_others()
    server.restart()
    for _ in range(20):
        other()
    found["too many connections"] = _failing(do)
    postgres.end_others()
    assert {way: each for way, each in found.items() if each.kind not in PASSES} == {}


def _ask(url: str) -> None:
    with psycopg.connect(url, connect_timeout=30, autocommit=True) as db:
        db.execute("SELECT 1")


@pytest.mark.slow
def test_a_pooler_in_trouble_is_never_given_up(postgres: Postgres) -> None:
    """PgBouncer, whose server is away, says so as a violation of the protocol."""
    try:
        with pgbouncer(postgres.server, query_wait_timeout=2, server_login_retry=1) as port:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            with psycopg.connect(url, autocommit=True) as db:
                db.execute("SELECT 1")
                postgres.server.halt()
                found = [_failing(lambda: db.execute("SELECT 1"))]
            found.append(_failing(lambda: _ask(url)))
    except NoPgBouncer as exc:
        pytest.skip(str(exc))
    finally:
        postgres.server.restart()
    assert [each.kind for each in found] == [Kind.TRANSIENT] * 2


def test_a_pool_without_room_is_never_given_up(postgres: Postgres) -> None:
    """Everybody waits for everybody else; somebody will be done."""
    url = postgres.server.url.replace("://", "+psycopg://")
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    with engine.connect():
        assert _failing(engine.connect).kind is Kind.TRANSIENT
    engine.dispose()

    async def acquire() -> None:
        pool = await asyncpg.create_pool(postgres.server.url, min_size=1, max_size=1)
        try:
            async with pool.acquire():
                await pool.acquire(timeout=0.1)
        finally:
            pool.terminate()

    assert _failing(lambda: asyncio.run(acquire())).kind is Kind.TRANSIENT


# MariaDB, SQLite, the machine ---------------------------------------------------------------


def test_a_mariadb_in_trouble_is_never_given_up(mariadb_server: MariadbServer) -> None:
    """A session that is killed, a lock that isn't given up, a time limit, too many, read-only."""
    url = mariadb_server.database()
    mariadb_server.execute("CREATE TABLE t (id int PRIMARY KEY, v int)", url)
    mariadb_server.execute("INSERT INTO t VALUES (1, 1)", url)
    mariadb_server.execute("CREATE USER IF NOT EXISTS reader@'127.0.0.1'")
    mariadb_server.execute("GRANT INSERT ON *.* TO reader@'127.0.0.1'")

    def killed() -> None:
        with contextlib.closing(mariadb_server.connect(url)) as db:
            mariadb_server.execute(f"KILL {db.thread_id()}")
            db.cursor().execute("SELECT 1")

    def locked() -> None:
        with (
            contextlib.closing(mariadb_server.connect(url)) as one,
            contextlib.closing(mariadb_server.connect(url)) as other,
        ):
            one.begin()
            one.cursor().execute("UPDATE t SET v = 2")
            other.cursor().execute("SET innodb_lock_wait_timeout = 1")
            other.cursor().execute("UPDATE t SET v = 3")

    def limited() -> None:
        with contextlib.closing(mariadb_server.connect(url)) as db:
            db.cursor().execute("SET max_statement_time = 0.1")
            db.cursor().execute("SELECT sleep(9) FROM t, seq_1_to_9")

    def read_only() -> None:
        mariadb_server.execute("SET GLOBAL read_only = 1")
        try:
            with contextlib.closing(mariadb_server.connect(url, user="reader")) as db:
                db.cursor().execute("INSERT INTO t VALUES (2, 2)")
        finally:
            mariadb_server.execute("SET GLOBAL read_only = 0")

    for way in (killed, locked, limited, read_only):
        assert _failing(way).kind is Kind.TRANSIENT, way.__name__
    mariadb_server.drop(url)


def test_a_sqlite_in_trouble_is_never_given_up(tmp_path: Path) -> None:
    """Locked, overtaken by another writer, and full."""
    one, other = (sqlite3.connect(tmp_path / "a.db", timeout=0) for _ in range(2))
    one.execute("PRAGMA journal_mode = WAL")
    one.execute("CREATE TABLE t (x)")
    one.execute("BEGIN IMMEDIATE")
    assert _failing(lambda: other.execute("INSERT INTO t VALUES (1)")).kind is Kind.TRANSIENT
    one.rollback()
    one.execute("BEGIN")
    one.execute("SELECT * FROM t").fetchall()
    other.execute("INSERT INTO t VALUES (1)")
    other.commit()
    assert _failing(lambda: one.execute("INSERT INTO t VALUES (2)")).kind is Kind.TRANSIENT
    one.close()
    pages = other.execute("PRAGMA page_count").fetchone()[0]
    other.execute(f"PRAGMA max_page_count = {pages}")
    full = _failing(lambda: other.execute("INSERT INTO t VALUES (randomblob(100000))"))
    assert full.kind is Kind.TRANSIENT
    other.close()


FILES = """
import resource, sqlite3, socket, sys
from payonce import classify
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
classify(OSError(24, ""))
open_ = []
try:
    while True:
        open_.append(open(sys.argv[0]))
except OSError as exc:
    print(classify(exc).kind)
for way in (lambda: sqlite3.connect("new.db").execute("SELECT 1"), socket.socket):
    try:
        way()
    except Exception as exc:
        print(classify(exc).kind)
"""


def test_a_machine_in_trouble_is_never_given_up(tmp_path: Path) -> None:
    """A full disk, and no file left to open: SQLite then says no more than that it can't open."""

    def fill() -> None:
        with Path("/dev/full").open("w") as disk:
            disk.write("x")

    if Path("/dev/full").exists():
        assert _failing(fill).kind is Kind.TRANSIENT
    (tmp_path / "files.py").write_text(FILES)
    done = subprocess.run(
        [sys.executable, "files.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["transient", "unknown", "transient"]
