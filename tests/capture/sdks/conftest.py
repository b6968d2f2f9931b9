"""What the rows share: each file's programs run once, in two processes, for all of its rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.capture.sdks import lab
from tests.capture.sdks.environments import DEVELOPERS
from tests.capture.sdks.lab import Ran
from tests.capture.sdks.rows import CORE, ROWS, Row, of
from tests.capture.sdks.task import Outcome, Task

from payonce.testing import MeteredProvider, call_tool, drop, insufficient_quota, stall, status


@dataclass(frozen=True)
class Twice:
    """What a row's program printed in two processes, what each sent, and what was billed for it."""

    first: Outcome
    second: Outcome
    billed: tuple[int, int]
    received: tuple[int, int]
    version: str
    nanos: int


@dataclass(frozen=True)
class Case:
    """What came of one logical call that met a fault."""

    outcome: Outcome
    billed: int
    received: int


FAULTS = {
    "timeout": stall(600),
    "drop": drop(),
    "bare-timeout": stall(600),
    "bare-drop": drop(),
    "limit": status(429, retry_after=0.01),
    "busy": status(503, retry_after=0.01),
    "quota": insufficient_quota(),
}
AT_ONCE = (os.cpu_count() or 1) + 1
_FOR_EVER = {"timeout", "drop", "bare-timeout", "bare-drop", "quota"}


@pytest.fixture(scope="session")
def pool() -> Iterator[ThreadPoolExecutor]:
    """Runs the processes of several files at once: they mostly wait."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield pool


def _asked_for(request: pytest.FixtureRequest, fixture: str) -> list[tuple[str, str]]:
    """The groups of all the rows that this session's tests want from a fixture, in their order."""
    wanting = (item for item in request.session.items if fixture in item.fixturenames)
    return list(dict.fromkeys(of(item.callspec.params["row"]) for item in wanting))


def _all_of(group: tuple[str, str]) -> list[Row]:
    return [row for row in (*ROWS, *CORE) if of(row) == group]


@pytest.fixture(scope="session")
def twice(
    request: pytest.FixtureRequest,
    pool: ThreadPoolExecutor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Row], Twice]:
    """Runs a row's program in two processes, with one run key."""

    def run(group: tuple[str, str], folder: Path) -> dict[Row, Twice]:
        rows = _all_of(group)
        with MeteredProvider() as provider:
            for row in rows:
                if row.calls_back:
                    provider.fail(row.label(), call_tool("save", {"title": "Bees"}))
            seen = []
            for mode in ("fails", "finishes"):
                tasks = [Task(row.program, row.label(), mode) for row in rows]
                packages = sorted({row.package for row in rows})
                heard = lab.run(group[0], tasks, packages, provider, folder)
                counts = {
                    row: (
                        provider.billed(row.label()),
                        provider.received(row.label()),
                        sum(call.cost_nanos for call in provider.bill if call.label == row.label()),
                    )
                    for row in rows
                }
                seen.append((heard, counts))
        return {row: _twice(row, *seen) for row in rows}

    ran = {
        group: pool.submit(run, group, tmp_path_factory.mktemp("twice"))
        for group in _asked_for(request, "twice")
    }
    return lambda row: ran[of(row)].result()[row]


def _twice(row: Row, *seen: tuple[Ran, dict[Row, tuple[int, int, int]]]) -> Twice:
    (first, before), (second, after) = seen
    label = row.label()
    return Twice(
        first.outcomes[label],
        second.outcomes[label],
        (before[row][0], after[row][0] - before[row][0]),
        (before[row][1], after[row][1] - before[row][1]),
        first.versions[row.package],
        after[row][2],
    )


@pytest.fixture(scope="session")
def faulty(
    request: pytest.FixtureRequest,
    pool: ThreadPoolExecutor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Row, str], Case]:
    """Runs a row's program once for each fault, in one process for all rows of its file."""

    def run(group: tuple[str, str], folder: Path) -> dict[tuple[Row, str], Case]:
        rows = [row for row in _all_of(group) if row.retries is not None]
        is_core = group[0] == DEVELOPERS  # the others measure what SDKs do alone, which takes long
        faults = [case for case in FAULTS if not (is_core and case.startswith("bare-"))]
        cases = [(row, case) for row in rows for case in faults]
        with MeteredProvider() as provider:
            for row, case in cases:
                times = None if case in _FOR_EVER else 1
                provider.fail(row.label(case), FAULTS[case], times=times)
            heard = lab.run(group[0], [_faulty(*each) for each in cases], [], provider, folder)
            return {
                (row, case): Case(
                    heard.outcomes[row.label(case)],
                    provider.billed(row.label(case)),
                    provider.received(row.label(case)),
                )
                for row, case in cases
            }

    ran = {
        group: pool.submit(run, group, tmp_path_factory.mktemp("faulty"))
        for group in _asked_for(request, "faulty")
    }
    return lambda row, case: ran[of(row)].result()[row, case]


def _faulty(row: Row, case: str) -> Task:
    mode = "bare" if case.startswith("bare-") else "finishes"
    timeout = 1.0 if case.endswith("timeout") else 60.0
    return Task(row.program, row.label(case), mode, timeout)
