"""A shop to look at."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.shopping import APPS, Shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop that nothing was delivered to yet, in a world where it is always UTC."""
    shutil.copy(APPS / "shop.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    time.tzset()
    shop = Shop(tmp_path)
    shop.execute("CREATE TABLE courses (id)")
    yield shop
    shop.forget()
    monkeypatch.undo()
    time.tzset()
