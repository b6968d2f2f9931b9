"""The user's own database where it is the journal's, too; its table lacks a column at first."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

STORE = os.environ.get("PAYONCE_STORE", "sqlite:///school.db")
IS_SQLITE = STORE.startswith("sqlite")


@contextmanager
def transaction() -> Iterator[Any]:
    """A connection whose transaction is committed at the end."""
    if IS_SQLITE:
        with closing(sqlite3.connect(STORE.removeprefix("sqlite:///"), timeout=10)) as db, db:
            yield db
        return
    import psycopg

    with psycopg.connect(_without_own()) as connection:
        yield connection


def insert(db: Any, course_id: int, outline: str) -> None:
    """The row of a course."""
    place = "?" if IS_SQLITE else "%s"
    db.execute(f"INSERT INTO courses (id, outline) VALUES ({place}, {place})", (course_id, outline))


def engine_url() -> str:
    """The same for SQLAlchemy."""
    return STORE if IS_SQLITE else _without_own().replace("postgresql:", "postgresql+psycopg:", 1)


def _without_own() -> str:
    """A store's URL as libpq takes it."""
    return STORE.partition("&spill=")[0]
