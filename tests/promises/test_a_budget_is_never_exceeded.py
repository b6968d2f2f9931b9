"""Promise 8: what calls may cost is held before they are made, by all processes together; the
provider's bill is never above a limit, and no hold is left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.databases.postgres import PostgresServer
from tests.journal.stores import PostgresStore, SqliteStore, Store
from tests.journal.sums import Sums, add_up
from tests.promises.spending import Spenders, Spending

from payonce.journal import journal_at
from payonce.money import NANOS, Money
from payonce.testing import MeteredProvider, Price

Provide = Callable[..., MeteredProvider]
CENT = {"*": Price("0", "0", call="0.01")}
TOKENS = {"*": Price("2.50", "10.00")}


@pytest.fixture
def provide() -> Iterator[Provide]:
    """Starts providers that are slow enough for calls to overlap."""
    started: list[MeteredProvider] = []

    def start(**told: object) -> MeteredProvider:
        started.append(MeteredProvider(latency=0.02, **told).start())  # type: ignore[arg-type]
        return started[-1]

    yield start
    for provider in started:
        provider.stop()


@pytest.fixture(params=["postgres", "sqlite"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database for many processes."""
    store: Store
    if request.param == "sqlite":
        store = SqliteStore(tmp_path)
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        store = PostgresStore(server, tmp_path)
    yield store
    store.stop()


def _bill(provider: MeteredProvider) -> int:
    return sum(call.cost_nanos for call in provider.bill)


def _at_rest(store: Store) -> Sums:
    """The sums, once what dead workers held has been let go."""
    journal = journal_at(store.url)
    try:
        journal.ledger.expire().now()
    finally:
        journal.stop()
    return add_up(store.execute)


def _deadlocks(store: Store) -> int:
    """How often PostgreSQL had to break two commits apart that waited for each other."""
    if not isinstance(store, PostgresStore):
        return 0
    return (store.server.folder / "log").read_text().count("deadlock detected")


@pytest.mark.slow
def test_sixty_four_workers_use_a_budget_up_and_not_one_nano_more(
    shared: Store, provide: Provide, tmp_path: Path
) -> None:
    """Given four processes of sixteen threads and budgets of runs, tenants' days, and all, when
    they would spend four times as much, then the bill is the limit of the tightest, exactly."""
    provider = provide(prices=CENT)
    spending = Spending(
        runs=200,
        calls=3,
        tenants=5,
        fixed="0.01 USD",
        ceiling="0.01 USD",
        run="0.02 USD",
        budgets=[
            {"limit": "1.28 USD"},
            {"limit": "0.40 USD", "tenant": "*", "per": "day"},
            {"limit": "9 USD", "job": "*", "per": "month"},
        ],
    )
    deadlocks = _deadlocks(shared)
    spenders = Spenders(tmp_path, shared.url, provider, spending)
    spenders.begin()
    spent = spenders.end()
    assert spent.counts == {"parked": 200}
    assert _deadlocks(shared) == deadlocks
    assert _bill(provider) == Money.parse("1.28 USD").nanos
    assert _at_rest(shared) == Sums(spent=_bill(provider), held=0, doubts={})


@pytest.mark.slow
def test_each_tenant_uses_up_its_own_budget(
    shared: Store, provide: Provide, tmp_path: Path
) -> None:
    """Given a limit for each tenant, when commits carry calls of several of them in any order, then
    each has spent its own, and no two commits have waited for each other."""
    provider = provide(prices=CENT)
    budgets = [
        {"limit": "0.10 USD", "tenant": "*", "per": "day"},
        {"limit": "9 USD", "tenant": "*", "per": "month"},
    ]
    spending = Spending(
        200, calls=1, tenants=10, fixed="0.01 USD", ceiling="0.01 USD", budgets=budgets
    )
    deadlocks = _deadlocks(shared)
    spenders = Spenders(tmp_path, shared.url, provider, spending)
    spenders.begin()
    spent = spenders.end()
    assert spent.counts == {"done": 100, "parked": 100}
    assert _deadlocks(shared) == deadlocks
    assert _bill(provider) == NANOS
    assert _at_rest(shared) == Sums(spent=NANOS, held=0, doubts={})


@pytest.mark.slow
def test_costs_that_vary_stay_below_their_limit(
    shared: Store, provide: Provide, tmp_path: Path
) -> None:
    """Given calls of which only a ceiling is known before, when sixty-four workers make them, then
    the bill is within the limit, and what is left is less than a call may cost."""
    provider = provide(prices=TOKENS)
    spending = Spending(200, calls=3, ceiling="0.003 USD", budgets=[{"limit": "0.08 USD"}])
    spenders = Spenders(tmp_path, shared.url, provider, spending)
    spenders.begin()
    spent = spenders.end()
    assert max(call.cost_nanos for call in provider.bill) <= Money.parse("0.003 USD").nanos
    assert spent.counts["parked"] > 0
    assert 77_000_000 < _bill(provider) <= 80_000_000
    assert _at_rest(shared) == Sums(spent=_bill(provider), held=0, doubts={})


@pytest.mark.slow
def test_captured_calls_stay_below_their_limit(
    shared: Store, provide: Provide, tmp_path: Path
) -> None:
    """Given captured calls with a limit of tokens, when sixty-four workers make them, then the bill
    is within the budget, what is left is less than a call may cost, and the ledger is the bill."""
    provider = provide(prices=TOKENS)
    spending = Spending(160, calls=2, most_tokens=60, budgets=[{"limit": "0.04 USD"}])
    spenders = Spenders(tmp_path, shared.url, provider, spending, processes=2, threads=32)
    spenders.begin()
    spent = spenders.end()
    assert spent.counts["parked"] > 0
    assert 38_000_000 < _bill(provider) <= 40_000_000
    assert _at_rest(shared) == Sums(spent=_bill(provider), held=0, doubts={})


@pytest.mark.slow
def test_workers_that_are_killed_leave_no_hold_behind(
    shared: Store, provide: Provide, tmp_path: Path
) -> None:
    """Given workers that die at work, when others go on, then the bill stays within the limit, what
    is in doubt counts at what it may cost, and all the rest is spent."""
    provider = provide(prices=CENT)
    budgets = [
        {"limit": "2 USD"},
        {"limit": "1.50 USD", "tenant": "*", "per": "month"},
    ]
    spending = Spending(
        300, calls=2, tenants=2, fixed="0.01 USD", ceiling="0.01 USD", budgets=budgets
    )
    dying = Spenders(tmp_path, shared.url, provider, spending, threads=8, LEASE="3")
    dying.begin()
    for n, process in enumerate(dying.processes):
        while len(provider.bill) < 20 * (n + 1):
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    dying.end()
    again = Spenders(tmp_path, shared.url, provider, spending, threads=8, LEASE="3")
    again.begin()
    spent = again.end()
    sums = _at_rest(shared)
    assert set(spent.counts) == {"done", "parked"}
    assert sums.held == 0
    doubted = sum(ceiling or 0 for ceiling in sums.doubts.values())
    assert sums.spent + doubted == 2 * NANOS, "good work went on up to the limit"
    assert sums.spent <= _bill(provider) <= 2 * NANOS
    assert 0 < len(sums.doubts) <= 4 * 8, "one for each thread and death"
