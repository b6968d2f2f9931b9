"""A fleet of tenants against a broken deploy, in real worker processes, on both journals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.journal.stores import Store
from tests.waking.conftest import School

from payonce.testing import MeteredProvider

APP = Path(__file__).with_name("apps") / "fleet.py"
_SECONDS = 300


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """The witness, in a process of its own."""
    with MeteredProvider() as provider:
        yield provider


class Fleet:
    """Workers that share the deliveries of some tenants."""

    def __init__(self, store: Store, provider: MeteredProvider, school: School) -> None:
        self.store, self.provider, self.school = store, provider, school

    def deliver(
        self, tenants: int, workers: int, *, cautious: bool = False, on_park: str = "ack"
    ) -> Counter[str]:
        """Let all workers begin at the same moment; how often what came of a delivery."""
        told: Counter[str] = Counter()
        with ExitStack() as stack:
            started = [
                stack.enter_context(
                    self._worker(
                        {
                            "school": str(self.school.path),
                            "tenants": tenants,
                            "workers": workers,
                            "worker": n,
                            "cautious": cautious,
                            "on_park": on_park,
                        }
                    )
                )
                for n in range(workers)
            ]
            stack.callback(lambda: [each.kill() for each in started])
            for each in started:
                assert each.stdout is not None
                assert each.stdout.readline() == "ready\n"
            for each in started:
                assert each.stdin is not None
                each.stdin.write("go\n")
                each.stdin.flush()
            for each in started:
                output, _ = each.communicate(timeout=_SECONDS)
                told.update(json.loads(output))
        return told

    def _worker(self, settings: dict[str, Any]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(APP), json.dumps(settings)],
            env=os.environ | self.provider.environ() | {"PAYONCE_STORE": self.store.url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def fleet(store: Store, provider: MeteredProvider, school: School) -> Fleet:
    """Workers on one journal."""
    return Fleet(store, provider, school)


def _paying(provider: MeteredProvider, tenants: int) -> int:
    return sum(provider.billed(f"tenant-{n}") > 0 for n in range(tenants))


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "cautious"), [(3, False), (6, True)])
def test_500_tenants_cost_three_runs(
    fleet: Fleet, provider: MeteredProvider, workers: int, cautious: bool
) -> None:
    """Given a column that is missing, when 500 tenants are delivered to as many workers as the
    breaker's threshold, or to more of a cautious job, then three runs were paid for."""
    told = fleet.deliver(500, workers, cautious=cautious)
    assert told["parked"] == 500
    assert provider.billed() == 3 * _paying(provider, 500)
    assert _paying(provider, 500) <= 3


@pytest.mark.slow
def test_what_was_in_flight_at_the_first_failure_is_paid(
    fleet: Fleet, provider: MeteredProvider
) -> None:
    """Where more workers begin at once than the threshold, what they have begun is all there is."""
    told = fleet.deliver(60, 5)
    assert told["parked"] == 60
    assert _paying(provider, 60) <= 5


@pytest.mark.slow
def test_the_fleet_heals(fleet: Fleet, provider: MeteredProvider, school: School) -> None:
    """After the migration every tenant's run is done under its own key, each paid for once."""
    fleet.deliver(24, 3, on_park="hold")
    assert _paying(provider, 24) <= 3
    school.migrate()
    assert fleet.deliver(24, 3, on_park="hold")["done"] == 24
    assert provider.billed() == 24 * 3
    assert school.execute("SELECT count(*), count(DISTINCT id) FROM courses") == [(24, 24)]
