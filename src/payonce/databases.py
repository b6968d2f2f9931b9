"""The façade, in part: the databases that an app's jobs need, and that its parked runs wait for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from payonce.job import Job
from payonce.model import World
from payonce.ready import Need
from payonce.world import Watched, world


class Databases:
    """What an app watches, beginning with the database of its journal, `own`."""

    def __init__(self, own: str) -> None:
        self._watched: list[Watched] = []
        self._needs: list[Need] = []
        self.watch(own)
        self._unasked = len(self._watched)

    def watch(self, target: Any) -> None:
        """Wake parked runs when the schema of this database changes.

        Args:
            target: an SQLAlchemy engine (sync or async), a Django connection, a database URL, or
                a function that opens a connection; PostgreSQL, MySQL, MariaDB or SQLite. The
                journal's own database is watched without asking.

        Raises:
            ConfigError: the database can't be watched.
        """
        from payonce.preflight import watched

        found = watched(target)
        found.name = self._unique(found.name)
        self._watched.append(found)

    def schema(
        self,
        database: Any,
        *expected: Any,
        reads: Sequence[Any] = (),
        rehearse: Sequence[Any] = (),
        migrations: str | None = None,
    ) -> Need:
        """Say what a job needs of a database, for its `needs=`: nothing is paid without it.

        Nothing is opened here. Only what is named is looked at, one way: a database that is
        ahead of the code is ready.

        Args:
            database: as for `watch`.
            expected: what the job writes: SQLAlchemy metadata, tables, mapped classes (SQLModel's
                too) or statements, Django models, app configurations or query sets, or SQL as
                text with `%s`, `:name`, `$1` or `?`. Rows are inserted into a table or class that
                is named, so INSERT is needed on it; of metadata, any right will do.
            reads: the same, for what is only read.
            rehearse: sample writes that are done in a transaction and undone, at each look:
                instances of models, or statements, alone or with their values as a pair. They
                move sequences, take locks and fire triggers.
            migrations: where to look for the migration that is missing: an `alembic.ini` or a
                folder; by default found from the working directory.

        Raises:
            ConfigError: nothing can be made of one of these.
        """
        from payonce.preflight import expect

        found = expect(database, expected, reads, rehearse, migrations)
        found.name = self._unique(found.name)
        self._needs.append(found)
        return found

    def _unique(self, name: str) -> str:
        """A name for a watched database that no other has, without the signs that part them."""
        name = name.replace("+", "-").replace("=", "-")
        taken = {w.name for w in (*self._watched, *self._needs)}
        names = (name, *(f"{name}#{n}" for n in range(2, len(taken) + 3)))
        return next(each for each in names if each not in taken)

    def world(self, job: Job) -> World:
        """The world that this job's failures depend on, as it is now."""
        return world(job.version, job.function, (*self._watched, *job.needs))

    def watches(self, job: Job) -> bool:
        """Whether a database is watched for this job, besides the journal's own."""
        return len(self._watched) > self._unasked or bool(job.needs)

    def close_databases(self) -> None:
        """Close what was opened to look at them."""
        for each in (*self._watched, *self._needs):
            each.close()
