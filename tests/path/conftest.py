"""An app with a journal of its own, and a clock that tests set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journal.stores import Clock

from payonce import Payonce


@pytest.fixture
def clock() -> Clock:
    """The clock of the app's journal."""
    return Clock()


@pytest.fixture
def app(tmp_path: Path, clock: Clock) -> Iterator[Payonce]:
    """An app whose time stands still unless a test moves it."""
    app = Payonce(f"sqlite:///{tmp_path}/journal.db", version="1", clock=clock)
    yield app
    app.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Payonce]:
    """An app on real time."""
    app = Payonce(f"sqlite:///{tmp_path}/live.db", version="1")
    yield app
    app.close()
