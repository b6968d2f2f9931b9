"""PostgreSQL goes away at every point of a step, in every way that it can; no answer is lost.

No journal before the call: no call. Gone after the answer: the receipt goes to a spill file, and is
merged by whoever opens the run next, which is another process in each of these tests.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from tests.chaos.cable import Cable
from tests.chaos.site import PRICES, Site, Worker
from tests.databases.postgres import NOBODY, PostgresServer, postgres
from tests.journal.stores import PostgresStore

from payonce.journal.postgres_url import parsed
from payonce.model import RunState
from payonce.testing import MeteredProvider
from payonce.testing.asking import Ask

PARTS = ("one", "two", "three")
ONCE = dict.fromkeys(PARTS, 1)
PATIENCE = 1.5
_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"


class Attack(Protocol):
    """One way to take a journal away, and to give it back."""

    store: PostgresStore

    def begin(self) -> None:
        """From now on nothing can be written."""

    def end(self) -> None:
        """From now on it can."""


class Killed:
    """`kill -9` of the postmaster and its backends."""

    def __init__(self, store: PostgresStore, stack: ExitStack) -> None:
        self.store = store
        stack.callback(self.end)

    def begin(self) -> None:
        self.store.server.kill()

    def end(self) -> None:
        if not self.store.server.is_running:
            self.store.server.restart()


class ReadOnly:
    """What is left after a failover to a standby: every connection is lost, nothing is written."""

    def __init__(self, store: PostgresStore, stack: ExitStack) -> None:
        self.store = store
        stack.callback(self.end)

    def begin(self) -> None:
        self._set("= on")

    def end(self) -> None:
        self._set("TO DEFAULT")

    def _set(self, value: str) -> None:
        with psycopg.connect(self.store.server.url, autocommit=True) as db:
            db.execute("SET default_transaction_read_only = off")
            db.execute(f"ALTER SYSTEM SET default_transaction_read_only {value}")  # type: ignore[call-overload]
            db.execute("SELECT pg_reload_conf()")
            while db.execute("SHOW default_transaction_read_only").fetchone() is None:
                pass
            db.execute(_OTHERS)


class NoConnections:
    """Somebody else has all connections that the server has to give."""

    def __init__(self, store: PostgresStore, stack: ExitStack) -> None:
        self.store = store
        self._taken: list[psycopg.Connection] = []
        stack.callback(self.end)

    def begin(self) -> None:
        url = self.store.server.url
        self._taken.append(psycopg.connect(url, autocommit=True))
        self._taken[0].execute(_OTHERS)
        give_up = time.monotonic() + 20
        refused = 0
        while refused < 5 and time.monotonic() < give_up:
            try:
                self._taken.append(psycopg.connect(url))
                refused = 0
            except psycopg.OperationalError:  # ended backends take a moment to make room
                refused += 1
                time.sleep(0.02)

    def end(self) -> None:
        for connection in self._taken:
            connection.close()
        self._taken = []
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            with suppress(psycopg.OperationalError), psycopg.connect(self.store.server.url):
                return


class NoDisk:
    """The disk under the server is full to its last byte, and so are the tables' pages."""

    def __init__(self, store: PostgresStore, stack: ExitStack) -> None:
        self.store = store
        self._filler = store.server.folder / "filler"
        stack.callback(self.end)

    def begin(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(b"\0" * size) == size:
                        pass

    def end(self) -> None:
        self._filler.unlink(missing_ok=True)
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:  # it may have gone down for want of space
            with suppress(psycopg.OperationalError), psycopg.connect(self.store.server.url):
                return
            if not self.store.server.is_running:
                self.store.server.restart()


class Cut:
    """The network resets every connection and refuses new ones."""

    def __init__(self, store: PostgresStore, stack: ExitStack) -> None:
        self.cable = Cable(store.server.port)
        stack.callback(self.cable.stop)
        self.store = store
        store.url = store.url.replace(f":{store.server.port}/", f":{self.cable.port}/")
        store.spill = parsed(store.url).spill[0]

    def begin(self) -> None:
        self.cable.cut()

    def end(self) -> None:
        self.cable.mend()


class Swallowed(Cut):
    """The network drops every packet without a word."""

    def begin(self) -> None:
        self.cable.swallow()


ATTACKS = {
    "killed": Killed,
    "read-only": ReadOnly,
    "no connections": NoConnections,
    "no disk": NoDisk,
    "cut": Cut,
    "swallowed": Swallowed,
}


@contextmanager
def _server(attack: str, shared: PostgresServer) -> Iterator[PostgresServer]:
    """The server to attack: one of its own where the attack needs it to be made otherwise."""
    if attack == "no connections":
        with postgres(max_connections="12", superuser_reserved_connections="0") as server:
            yield server
    elif attack == "no disk":
        with _small_disk() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(folder))
            with postgres(min_wal_size="32MB", max_wal_size="32MB") as server:
                patch.undo()
                yield server
    else:
        yield shared


@contextmanager
def _small_disk() -> Iterator[Path]:
    """A file system of its own in memory, which only root can make."""
    folder = Path(tempfile.mkdtemp(prefix="payonce-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        folder.rmdir()
        pytest.skip("a small disk can be made only by root, where mount is allowed")
    os.chown(folder, NOBODY, NOBODY)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


_MARKS: dict[str, tuple[pytest.MarkDecorator, ...]] = {"killed": ()}
"""Those that are marked heavy take their turn in `make heavy`, `make chaos` and `.ci/run`."""


@pytest.fixture(
    params=[
        pytest.param(name, marks=_MARKS.get(name, pytest.mark.heavy)) for name in sorted(ATTACKS)
    ]
)
def attack(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path
) -> Iterator[Attack]:
    """A database, and the way in which it will go away."""
    with _server(request.param, postgres_server) as server, ExitStack() as stack:
        store = PostgresStore(server, tmp_path)
        stack.callback(store.stop)
        yield ATTACKS[request.param](store, stack)


@pytest.fixture
def attacked(attack: Attack, tmp_path: Path) -> Iterator[Site]:
    """A course of three texts whose journal is there; the texts are too long for a page."""

    def text(ask: Ask, n: int) -> str:
        return f"{ask.label} {os.urandom(12_000).hex()}"

    with MeteredProvider(text=text, prices=PRICES) as provider:
        site = Site(tmp_path, provider, "halting", attack.store)
        site.deliver("start")
        yield site
        site.stop()


def _halted(site: Site, place: str) -> Worker:
    worker = site.start(halt=place, patience=PATIENCE)
    give_up = time.monotonic() + 30
    while not (site.folder / "halted").exists():
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return worker


def _goes_on(site: Site, doubts: int = 0) -> None:
    """The next delivery, by another process, finishes the run; nothing was paid twice or lost."""
    assert site.deliver().word == "done"
    assert site.run.state is RunState.DONE
    assert site.bill() == ONCE
    assert len(site.doubts()) == doubts
    assert site.spilled == []


@pytest.mark.slow
def test_no_journal_no_call(attacked: Site, attack: Attack) -> None:
    """Gone before the run is opened: no call is made, and the queue is told to come again."""
    attack.begin()
    told = attacked.deliver(patience=PATIENCE)
    attack.end()
    assert told.word == "RetryLater"
    if not isinstance(attack, NoDisk):  # an intent may still find room on a page
        assert (told.paid, attacked.bill()) == ("no", {})
    _goes_on(attacked)


@pytest.mark.slow
def test_an_answer_that_comes_when_the_journal_is_gone_is_kept(
    attacked: Site, attack: Attack
) -> None:
    """Gone while a call is in flight: its receipt is spilled, no other call is made, and another
    process merges it."""
    with attacked.provider.hold("two") as held:
        worker = attacked.start(patience=PATIENCE)
        assert held.arrived.wait(20)
        attack.begin()
    told = worker.told()
    spilled = len(attacked.spilled)
    attack.end()
    assert told.word == "RetryLater"
    assert spilled >= 1
    if not isinstance(attack, NoDisk):
        assert (spilled, attacked.bill()) == (1, {"one": 1, "two": 1})
    _goes_on(attacked)


@pytest.mark.slow
def test_no_call_is_begun_once_the_journal_is_gone(attacked: Site, attack: Attack) -> None:
    """Gone between two steps: the second one is not called."""
    worker = _halted(attacked, "between")
    attack.begin()
    (attacked.folder / "go").touch()
    told = worker.told()
    attack.end()
    assert told.word == "RetryLater"
    if not isinstance(attack, NoDisk):
        assert attacked.bill() == {"one": 1}
        assert attacked.spilled == []
    # An intent that was on its way when the network fell silent may arrive late: then the call
    # that nobody made is in doubt.
    _goes_on(attacked, doubts=isinstance(attack, Swallowed))


@pytest.mark.slow
def test_a_run_that_could_not_be_closed_is_closed_by_the_next_delivery(
    attacked: Site, attack: Attack
) -> None:
    """Gone when all is paid for and the run is to be closed: the next delivery replays it all."""
    worker = _halted(attacked, "before-close")
    attack.begin()
    (attacked.folder / "go").touch()
    told = worker.told()
    attack.end()
    assert told.word in ("RetryLater", "done" if isinstance(attack, NoDisk) else "RetryLater")
    assert attacked.bill() == ONCE
    _goes_on(attacked)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["between", "before-close", "in flight"])
def test_a_restart_of_the_server_is_not_noticed(
    postgres_server: PostgresServer, tmp_path: Path, provider: MeteredProvider, place: str
) -> None:
    """A server that is restarted while a call is in flight, or none, costs nothing at all."""
    store = PostgresStore(postgres_server, tmp_path)
    site = Site(tmp_path, provider, "halting", store)
    if place == "in flight":
        with provider.hold("two") as held:
            worker = site.start()
            assert held.arrived.wait(20)
            postgres_server.restart()
    else:
        worker = _halted(site, place)
        postgres_server.restart()
        (tmp_path / "go").touch()
    assert worker.told().word == "done"
    assert (site.bill(), site.run.attempt, site.spilled) == (ONCE, 1, [])
    site.stop()
    store.stop()
