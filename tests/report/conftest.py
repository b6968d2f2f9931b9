"""The shop of the command line's tests, and a day that is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import shop as shop
from tests.report.past import Past


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    """An empty journal of 12 June 2026."""
    past = Past(tmp_path / "past.db")
    past.journal.find("", "")
    yield past
    past.journal.stop()
