"""A provider that counts what it bills, and a site whose processes call it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.site import Site
from tests.chaos.stores import STORES, Store

from payonce.testing import MeteredProvider


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """The witness."""
    with MeteredProvider() as provider:
        yield provider


@pytest.fixture
def site(tmp_path: Path, provider: MeteredProvider) -> Iterator[Site]:
    """The course with five paid texts, deployed before its migration."""
    site = Site(tmp_path, provider)
    yield site
    site.stop()


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database for a journal."""
    with STORES[request.param](request, tmp_path) as store:
        yield store
