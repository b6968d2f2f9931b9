"""Edge: the migration that would mend a defect, looked for among files; a hint, never a proof.

Alembic's and Django's own records say what is applied; a column that they say is there may be
missing all the same, and then the hint says so.
"""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payonce.preflight.compare import Defect
from payonce.preflight.database import Connection

_log = logging.getLogger("payonce")
_WORD = re.compile(r"\w+")
_FOLDERS = ("migrations", "db/migrations", "db/migrate", "sql/migrations")
_MOST_FILES = 2_000
_MADE = ("table", "column")
"""Kinds of defects that a migration would be generated for."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration: its name, what it is about, whether it is applied, and the words it uses."""

    name: str
    about: str
    applied: bool
    words: frozenset[str]

    def __str__(self) -> str:
        return f"{self.name} ({self.about})" if self.about else self.name


@dataclass(frozen=True, slots=True)
class Plan:
    """The migrations of a tool, the oldest first, and the commands that it is told with.

    `recorded`: whether it is known which of them are applied.
    """

    migrations: Sequence[Migration]
    apply: str
    make: str
    recorded: bool = True


def told(plan: Plan | None, found: Sequence[Defect], names: Callable[[Defect], set[str]]) -> str:
    """One sentence: which migration mends the first defect that one does, and the command.

    `names` gives the words that a migration has to use to be about a defect.
    """
    if plan is None:
        return ""
    pending = [each for each in plan.migrations if not each.applied]
    defect, mending = _first(plan.migrations, found, names)
    if not plan.recorded:
        return f"Migration {mending} adds it: {plan.apply}" if mending is not None else ""
    if mending is not None and not mending.applied:
        return f"Migration {mending} adds it; {_behind(pending)}: {plan.apply}"
    if pending:
        return f"The database is {_behind(pending)}: {plan.apply}"
    if mending is not None:
        return (
            f"Migration {mending} is recorded as applied, and {_place(defect)} isn't as it should "
            "be: somebody undid it by hand, or it was only stamped"
        )
    return f"No migration adds it: {plan.make}" if defect.kind in _MADE else ""


def _first(
    migrations: Sequence[Migration],
    found: Sequence[Defect],
    names: Callable[[Defect], set[str]],
) -> tuple[Defect, Migration | None]:
    for defect in found:
        words = names(defect)
        about = [each for each in migrations if words and words <= each.words]
        if about:
            return defect, next((each for each in about if not each.applied), about[-1])
    return found[0], None


def _place(defect: Defect) -> str:
    return f"{defect.table}.{defect.column}" if defect.column else str(defect.table)


def _behind(pending: Sequence[Migration]) -> str:
    count = "one" if len(pending) == 1 else str(len(pending))
    shown = ", ".join(each.name for each in pending[:3])
    more = ", …" if len(pending) > 3 else ""
    return f"behind by {count}: {shown}{more}"


def words_of(defect: Defect) -> set[str]:
    """The table, without its schema, and the column."""
    table = (defect.table or "").rpartition(".")[2]
    return {word for word in (table, defect.column) if word}


def alembic(connection: Connection, where: str | None) -> Plan | None:
    """Alembic's migrations, where it is installed and its configuration is found."""
    config = _alembic_config(where)
    if config is None:
        return None
    try:
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        toml = config if config.suffix == ".toml" else None
        made = Config(toml_file=toml) if toml else Config(config)
        scripts = list(ScriptDirectory.from_config(made).walk_revisions())
        applied = _alembic_applied(connection, {s.revision: _below(s) for s in scripts})
    except Exception as exc:  # a hint that can't be had is no failure
        _log.info("Alembic's migrations can't be read: %s", exc)
        return None
    if applied is None:
        return None
    migrations = [
        Migration(s.revision, s.doc or "", s.revision in applied, _words(Path(s.path)))
        for s in reversed(scripts)
    ]
    named = "" if config.parent == Path.cwd() else f" -c {config}"
    make = f"alembic{named} revision --autogenerate"
    return Plan(migrations, f"alembic{named} upgrade head", make)


def _below(script: Any) -> tuple[str, ...]:
    below = script.down_revision
    return tuple(below) if isinstance(below, tuple | list) else (below,) if below else ()


def _alembic_config(where: str | None) -> Path | None:
    if where is not None:
        path = Path(where).absolute()
        return path if path.suffix in (".ini", ".toml") and path.is_file() else None
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "alembic.ini").is_file():
            return folder / "alembic.ini"
        project = folder / "pyproject.toml"
        if project.is_file() and "[tool.alembic]" in project.read_text("utf-8"):
            return project
        if (folder / ".git").exists():
            break
    return None


def _alembic_applied(connection: Connection, down: dict[str, Iterable[str]]) -> set[str] | None:
    """The applied revisions; None where the database has one that isn't known: it is ahead."""
    try:
        rows = connection.rows("SELECT version_num FROM alembic_version")
    except Exception:  # no migration has run yet
        rows = []
    waiting = [str(row[0]) for row in rows]
    applied: set[str] = set()
    while waiting:
        revision = waiting.pop()
        if revision not in down:
            return None
        if revision not in applied:
            applied.add(revision)
            waiting += down[revision]
    return applied


def django(alias: str) -> Plan | None:
    """Django's migrations, as its own loader sees them."""
    try:
        from django.db import connections
        from django.db.migrations.loader import MigrationLoader

        wrapper = connections[alias]
        was_open = wrapper.connection is not None
        try:
            loader = MigrationLoader(wrapper)
        finally:
            if not was_open:
                wrapper.close()
    except Exception as exc:  # a hint that can't be had is no failure
        _log.info("Django's migrations can't be read: %s", exc)
        return None
    applied = loader.applied_migrations
    migrations = [
        Migration(".".join(key), "", key in applied, _module_words(made))
        for key, made in _in_order(loader)
    ]
    named = "" if alias == "default" else f" --database {alias}"
    return Plan(migrations, f"python manage.py migrate{named}", "python manage.py makemigrations")


def _in_order(loader: Any) -> Iterator[tuple[tuple[str, str], object]]:
    nodes = loader.graph.nodes
    seen: set[tuple[str, str]] = set()
    for leaf in sorted(loader.graph.leaf_nodes()):
        for key in loader.graph.forwards_plan(leaf):
            if key not in seen and nodes.get(key) is not None:
                seen.add(key)
                yield key, nodes[key]


def _module_words(migration: object) -> frozenset[str]:
    import inspect

    try:
        return _words(Path(inspect.getfile(type(migration))))
    except (OSError, TypeError):
        return frozenset()


def sql_files(where: str | None) -> Plan | None:
    """Plain SQL migrations; which of them are applied isn't known."""
    folders = [Path(where)] if where else [Path(name) for name in _FOLDERS]
    files = [file for folder in folders if folder.is_dir() for file in folder.rglob("*.sql")]
    if not files:
        return None
    migrations = [
        Migration(file.name, "", False, frozenset(_WORD.findall(_text(file))))
        for file in sorted(files)[-_MOST_FILES:]
    ]
    return Plan(migrations, "apply it with your migration tool", "", recorded=False)


def _words(file: Path) -> frozenset[str]:
    """The words in the strings of a migration's `upgrade()`, or of the whole file."""
    try:
        tree = ast.parse(_text(file))
    except (SyntaxError, ValueError):
        return frozenset()
    body: ast.AST = next(
        (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "upgrade"), tree
    )
    strings = (
        node.value
        for node in ast.walk(body)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return frozenset(word for string in strings for word in _WORD.findall(string))


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""
