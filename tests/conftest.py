"""What every test relies on: nothing of the machine's own settings reaches it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.databases.mariadb import MariadbServer, NoMariadb
from tests.databases.postgres import NoPostgres, PostgresServer

_SETTINGS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "GIT_SHA",
    "K_REVISION",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "PAYONCE_STORE",
    "PAYONCE_VERSION",
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more process than there are cores, as tests mostly wait; none for files by name."""
    if config.args and all(".py" in arg for arg in config.args):
        return 0
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True, scope="session")
def bare_environment() -> Iterator[None]:
    """No key of a real provider, no store, no version; and no proxy before 127.0.0.1."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _SETTINGS:
            patch.delenv(name, raising=False)
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL server; without binaries its tests are skipped at home, not in CI."""
    try:
        server = PostgresServer.start()
    except NoPostgres as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """A private MariaDB server; without binaries its tests are skipped at home, not in CI."""
    try:
        server = MariadbServer.start()
    except NoMariadb as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    yield server
    server.stop()
