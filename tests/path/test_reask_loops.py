"""Libraries that ask a model again by themselves keep working; each in its own environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.capture.sdks.environments import python_of

from payonce.testing import MeteredProvider, reply

ROOT = Path(__file__).resolve().parents[2]
APP = Path(__file__).parent / "apps" / "reasking.py"
GOOD, BAD = '{"chapters": 7}', '{"chapters": "many"}'
LIBRARIES = [("instructor", "instructor"), ("pydantic_ai", "newest")]

pytestmark = [pytest.mark.capture, pytest.mark.parametrize(("library", "environment"), LIBRARIES)]


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """The witness."""
    with MeteredProvider() as provider:
        yield provider


@pytest.fixture
def deliver(
    tmp_path: Path, provider: MeteredProvider, library: str, environment: str, request: object
) -> Iterator[Callable[[], list[object]]]:
    """Delivers the job once; the outcome, and how many receipts are rejected by then."""
    fails = "1" if "pays" in request.node.name else "0"  # type: ignore[attr-defined]
    store = f"sqlite:///{tmp_path}/journal.db"
    command = [python_of(environment), APP, library, store, provider.openai_url, fails]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        asking, telling = child.stdin, child.stdout

        def once() -> list[object]:
            asking.write("deliver\n")
            asking.flush()
            told: list[object] = json.loads(telling.readline())
            return told

        yield once
        asking.close()
        child.wait(60)


def test_a_loop_of_its_own_pays_for_each_turn_once(
    provider: MeteredProvider, deliver: Callable[[], list[object]]
) -> None:
    """The second turn gets a good answer; a second attempt replays both turns."""
    provider.fail(None, reply(BAD))
    provider.fail(None, reply(GOOD))
    assert deliver() == ["RetryLater", 0]
    assert deliver() == ["chapters=7", 0]
    assert provider.billed() == 2


def test_a_loop_that_gives_up_rejects_its_last_answer(
    provider: MeteredProvider, deliver: Callable[[], list[object]]
) -> None:
    """Replayed as it was, it would give up for ever; its last turn is asked again."""
    provider.fail(None, reply(BAD), times=None)
    assert deliver() == ["RetryLater", 1]
    turns = provider.billed()
    provider.heal()
    provider.fail(None, reply(GOOD))
    assert deliver() == ["chapters=7", 1]
    assert provider.billed() == turns + 1
