"""The demo's story, kept once for the tests that look at it."""

from __future__ import annotations

from tests.demo.conftest import told as told
