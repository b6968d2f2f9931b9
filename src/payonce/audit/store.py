"""Reading, for `audit`: what is read of all files, in a DuckDB database that is thrown away.

It lies in a temporary folder, so that files may be larger than the memory. All statements stand in
`sql/`, named; the names of the tables are in `sql/store.sql`.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.errors import ConfigError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_FOLDER = Path(__file__).parent / "sql"
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_PARAMETER = re.compile(r"\$([a-z_]+)")


@cache
def statements(file: str) -> dict[str, str]:
    """The named statements of a file in `sql/`, in their order, without comment lines."""
    text = (_FOLDER / f"{file}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return {
        name: "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


@contextmanager
def store(memory_mb: int) -> Iterator[Store]:
    """A store for one audit; its files are gone afterwards.

    Raises:
        ConfigError: DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as exc:
        raise ConfigError(
            "payonce audit needs DuckDB, which is not installed",
            'Install it: pip install "payonce[audit]"',
        ) from exc
    with tempfile.TemporaryDirectory(prefix="payonce-audit-") as name:
        folder = Path(name)
        config: dict[str, Any] = {
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(folder / "spilled"),
            "threads": 2,
            "autoinstall_known_extensions": False,
        }
        connection = duckdb.connect(str(folder / "audit.duckdb"), config=config)
        try:
            yield Store(connection, folder)
        finally:
            connection.close()


class Store:
    """The database of one audit, and a folder beside it for tables on their way in."""

    def __init__(self, connection: DuckDBPyConnection, folder: Path) -> None:
        self._connection, self.folder = connection, folder
        # Without its calendar extension DuckDB knows no other zone.
        with suppress(Exception):
            connection.execute(statements("store")["zone"])
        for statement in ("macros", "tables"):
            connection.execute(statements("store")[statement])

    def run(self, file: str, name: str, **given: Any) -> None:
        """Execute one named statement; it gets those of the values that it names."""
        self._execute(statements(file)[name], given)

    def run_all(self, file: str, **given: Any) -> None:
        """Execute all statements of a file, in their order."""
        for statement in statements(file).values():
            self._execute(statement, given)

    def rows(self, file: str, name: str, **given: Any) -> list[tuple[Any, ...]]:
        """All rows of a named query, for those that return few."""
        return self._execute(statements(file)[name], given).fetchall()

    def lines(
        self,
        name: str,
        path: str,
        after: str | None = None,
        tells: Callable[[list[tuple[Any, ...]]], None] = lambda rows: None,
    ) -> Iterator[str]:
        """The rows of a file that DuckDB reads itself, some at a time, each as a line of JSON.

        Args:
            name: the statement that reads it.
            path: the file.
            after: another statement, asked when all is read.
            tells: told its rows.
        """
        with self._connection.cursor() as cursor:
            cursor.execute(statements("store")[name], {"path": path})
            while batch := cursor.fetchmany(2048):
                yield from (line for (line,) in batch)
            if after is not None:
                tells(cursor.execute(statements("store")[after]).fetchall())

    def add(self, file: str, name: str, values: Sequence[dict[str, Any]]) -> None:
        """Execute a named statement with `$rows`, the values as one JSON text."""
        if values:
            self._execute(statements(file)[name], {"rows": json.dumps(values)})

    def _execute(self, statement: str, given: dict[str, Any]) -> DuckDBPyConnection:
        named = {name: given[name] for name in set(_PARAMETER.findall(statement))}
        return (
            self._connection.execute(statement, named)
            if named
            else self._connection.execute(statement)
        )
