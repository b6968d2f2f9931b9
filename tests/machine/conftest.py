"""A database for the journal."""

from tests.chaos.conftest import store

__all__ = ["store"]
