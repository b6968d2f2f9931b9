"""The demo's story, kept once for the tests that look at it."""

from __future__ import annotations

import pytest
from tests.demo.conftest import Told, run


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The whole story, kept."""
    return run("--json", "--keep", tmp_path_factory.mktemp("demo") / "kept")
