"""The shop of the command line's tests."""

from __future__ import annotations

from tests.cli.conftest import shop as shop
