"""Front of the demo, the user's part: `python migrate.py [NUMBER]` migrates up to that number."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing

MIGRATIONS = (
    "CREATE TABLE courses (id INTEGER PRIMARY KEY, tenant TEXT, chapter TEXT, review TEXT)",
    "ALTER TABLE courses ADD COLUMN outline TEXT",
)


def migrate(file: str, up_to: int) -> None:
    """Run what the database hasn't seen yet; it remembers the number of the last one."""
    with closing(sqlite3.connect(file)) as db, db:
        (done,) = db.execute("PRAGMA user_version").fetchone()
        for number, statement in enumerate(MIGRATIONS[done:up_to], start=done + 1):
            db.execute(statement)
            db.execute(f"PRAGMA user_version = {number:d}")
            print(f"migration {number}: {statement}")


if __name__ == "__main__":
    migrate("courses.db", int(sys.argv[1]) if sys.argv[1:] else len(MIGRATIONS))
