"""What redis-py raises on a bad day, by a real server: only what passes is tried again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from tests.databases.postgres import free_port
from tests.databases.redis_server import NoRedis, RedisServer

from payonce.failure import classify
from payonce.model import Diagnosis, Kind, WakesOn

PASSES = (Kind.TRANSIENT, Kind.THROTTLED)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, for tests spoil it; skipped at home where there is none."""
    try:
        server = RedisServer.start()
    except NoRedis as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    yield server
    server.stop()


def _failing(call: Callable[[], object], raised: type[Exception]) -> Diagnosis:
    with pytest.raises(redis.RedisError) as caught:
        call()
    assert type(caught.value) is raised
    return classify(caught.value)


def test_a_server_that_is_away_passes(server: RedisServer) -> None:
    """It refuses the connection, breaks it off, or says nothing."""
    away = redis.Redis(port=free_port(), retry=None)
    assert _failing(away.ping, redis.ConnectionError).kind in PASSES
    with server.client(socket_timeout=0.2) as client:
        client.ping()
        with server.silent():
            assert _failing(client.ping, redis.TimeoutError).kind in PASSES
    with server.client() as client:
        client.ping()
        server.kill()
        assert _failing(client.ping, redis.ConnectionError).kind in PASSES


def test_a_server_that_loads_its_data_passes(server: RedisServer) -> None:
    """It was restarted, and is not ready yet."""
    with server.client() as client:
        client.mset({f"key {n}": "x" * 100 for n in range(3_000)})
        client.save()
    server.kill()
    server.begin(key_load_delay=2_000, loading_process_events_interval_bytes=1_024)
    deadline = time.monotonic() + 60
    caught: Exception = redis.ConnectionError()
    while not isinstance(caught, redis.BusyLoadingError):
        assert time.monotonic() < deadline, "it was never seen loading"
        with server.client() as client:
            try:
                client.get("key 1")
            except (redis.BusyLoadingError, redis.ConnectionError) as exc:
                caught = exc
        time.sleep(0.005)
    assert classify(caught).kind in PASSES


def test_a_server_that_takes_no_writes_passes(server: RedisServer) -> None:
    """Its memory is full; it is the replica after a failover, or one that has lost its primary."""
    with server.client() as client:
        client.config_set("maxmemory", 1)
        found = _failing(lambda: client.set("a", 1), redis.OutOfMemoryError)
        assert found.kind in PASSES
        client.config_set("maxmemory", 0)
        client.replicaof("127.0.0.1", free_port())
        assert _failing(lambda: client.set("a", 1), redis.ReadOnlyError).kind in PASSES
        client.config_set("replica-serve-stale-data", "no")
        assert _failing(lambda: client.get("a"), redis.exceptions.MasterDownError).kind in PASSES


def test_a_server_without_room_for_a_client_passes(server: RedisServer) -> None:
    """It has as many clients as it may, or the process's own pool has."""
    with server.client() as first, server.client() as second:
        first.config_set("maxclients", 1)
        assert _failing(second.ping, redis.ConnectionError).kind in PASSES
        first.config_set("maxclients", 100)
    pool = redis.ConnectionPool(port=server.port, max_connections=1)
    taken = pool.get_connection()
    found = _failing(pool.get_connection, redis.MaxConnectionsError)
    assert found.kind in PASSES
    pool.release(taken)
    pool.disconnect()


def test_a_disk_that_is_full_passes(server: RedisServer) -> None:
    """The last snapshot could not be written, and the server refuses writes until one is."""
    with server.client() as client:
        client.config_set("save", "3600 1")
        (server.folder / "dump.rdb").mkdir()
        client.bgsave()
        while client.info("persistence")["rdb_bgsave_in_progress"]:
            time.sleep(0.02)
        found = _failing(lambda: client.set("a", 1), redis.ResponseError)
    assert (found.kind, found.evidence) == (Kind.TRANSIENT, "redis MISCONF")


def test_a_wrong_password_or_right_is_not_tried_again(server: RedisServer) -> None:
    """No password, a wrong one, or a user who may not: the credentials have to change."""
    with server.client() as client:
        client.acl_setuser("reader", enabled=True, passwords=["+right"], keys=["*"])
        client.acl_setuser("reader", enabled=True, commands=["+get"])
        client.config_set("requirepass", "secret")
    for given in ({}, {"password": "wrong"}, {"username": "reader", "password": "wrong"}):
        with server.client(**given) as client:
            found = _failing(client.ping, redis.AuthenticationError)
        assert (found.kind, found.wakes_on) == (Kind.DETERMINISTIC, (WakesOn.CREDENTIALS,))
    with server.client(username="reader", password="right") as client:
        found = _failing(lambda: client.set("a", 1), redis.exceptions.NoPermissionError)
    assert (found.kind, found.wakes_on) == (Kind.DETERMINISTIC, (WakesOn.CREDENTIALS,))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda client: client.lpush("text", 1),
        lambda client: client.incr("text"),
        lambda client: client.execute_command("SET", "a"),
        lambda client: client.execute_command("NOSUCH"),
        lambda client: client.eval("return nonsense", 0),
        lambda client: client.set("a", object()),
    ],
    ids=["wrong type", "no number", "too few arguments", "no such command", "script", "no bytes"],
)
def test_what_the_code_does_wrong_is_not_tried_again(
    server: RedisServer, wrong: Callable[[redis.Redis], object]
) -> None:
    """A command that can never work parks the run at once."""
    with server.client() as client:
        client.set("text", "a")
        with pytest.raises(redis.RedisError) as caught:
            wrong(client)
    found = classify(caught.value)
    assert (found.kind, WakesOn.CODE in found.wakes_on) == (Kind.DETERMINISTIC, True)
