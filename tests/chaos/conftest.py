"""A provider that counts what it bills, and a site whose processes call it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.site import PRICES, Site
from tests.journal.stores import DIALECTS, PostgresStore, Store, made

from payonce.testing import MeteredProvider


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """The witness."""
    with MeteredProvider(prices=PRICES) as provider:
        yield provider


@pytest.fixture(params=DIALECTS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database for a journal."""
    store = made(request.param, request, tmp_path)
    yield store
    store.stop()


@pytest.fixture(params=DIALECTS)
def site(
    request: pytest.FixtureRequest, tmp_path: Path, provider: MeteredProvider
) -> Iterator[Site]:
    """The course with five paid texts, deployed before its migration."""
    if request.param == "sqlite":
        site = Site(tmp_path, provider)
        yield site
        site.stop()
        return
    shared = PostgresStore(request.getfixturevalue("postgres_server"), tmp_path)
    site = Site(tmp_path, provider, shared=shared)
    yield site
    site.stop()
    shared.stop()
