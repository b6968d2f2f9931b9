"""The house rules that a machine can check; import-linter checks the layers themselves."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import payonce

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "payonce"
FUNCTION_LINES, FUNCTION_LINES_MOST = 30, 60
FILE_LINES, FILE_LINES_MOST = 300, 500
BANNED_WORDS = {"manager", "service", "helper", "helpers", "util", "utils", "base"}
# A module that stands in the row of the layers with the one named here starts with these words.
PLACES = {
    "money": "Noun",
    "policy": "Decision",
    "journal": "Memory",
    "handle": "On the path",
    "capture": "Edge",
    "report": "Reading",
    "ledger": "Reading",
    "testing": "Testing",
    "demo": "Front",
    "cli": "Front",
}
# What `import payonce` may not load: optional packages, and parts that only some callers need.
UNLOADED = {
    *("aiohttp", "anthropic", "botocore", "httpx", "httpx2", "openai", "requests"),
    *("django", "fastapi", "flask", "gunicorn", "starlette", "uvicorn", "werkzeug"),
    *("alembic", "psycopg", "sqlalchemy", "sqlite3"),
    *("click", "genai_prices", "opentelemetry", "pydantic", "rich"),
    *("anyio", "asyncio", "multiprocessing", "unittest"),
}
IMPURE = {
    *("asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket"),
    *("sqlite3", "subprocess", "tempfile", "threading", "time", "urllib"),
}
PURE = {"os.PathLike", "os.fspath", "pathlib.PurePath", "urllib.parse"}
DRIVERS = {"sqlite3", "psycopg", "psycopg2", "asyncpg"}
# The demo has SQL because it plays the user's part: it runs the migration that came too late.
SQL_PLACES = ("journal", "preflight", "demo")
SQL = re.compile(
    r"\s*(SELECT\s.+\sFROM\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s"
    r"|(CREATE|ALTER|DROP)\s+(TABLE|INDEX|TRIGGER|VIEW)\s|PRAGMA\s+\w+|BEGIN\s+IMMEDIATE)",
    re.IGNORECASE | re.DOTALL,
)


def _modules(*folders: str) -> dict[str, ast.Module]:
    """The parsed modules under some folders of the repository, by path from its root."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {str(p.relative_to(ROOT)): ast.parse(p.read_text(encoding="utf-8")) for p in paths}


def _top(path: str) -> str:
    """The name under `payonce` that a module of the package belongs to."""
    return Path(path).relative_to("src/payonce").parts[0].removesuffix(".py")


def _layers() -> list[set[str]]:
    """The rows of import-linter's contract on the layers, from the fronts down to the nouns."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    rows = next(c["layers"] for c in contracts if c["id"] == "layers")
    return [set(re.findall(r"\w+", row)) for row in rows]


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _lengths(*folders: str) -> dict[str, int]:
    """Each function's lines, its docstring and what is nested in it included."""
    return {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in _modules(*folders).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _file_lengths(*folders: str) -> dict[str, int]:
    return {path: len((ROOT / path).read_bytes().splitlines()) for path in _modules(*folders)}


def _over(lengths: dict[str, int], limit: int) -> dict[str, int]:
    return {name: lines for name, lines in lengths.items() if lines > limit}


def test_functions_are_short() -> None:
    """Nine functions in ten of the package have at most 30 lines; none anywhere more than 60."""
    lengths = _lengths("src")
    assert _over(_lengths("src", "tests", "bench", ".ci"), FUNCTION_LINES_MOST) == {}
    assert len(long := _over(lengths, FUNCTION_LINES)) <= len(lengths) / 10, long


def test_files_are_short() -> None:
    """Nine files in ten of the package have at most 300 lines; none anywhere more than 500."""
    lengths = _file_lengths("src")
    assert _over(_file_lengths("src", "tests", "bench", ".ci"), FILE_LINES_MOST) == {}
    assert len(long := _over(lengths, FILE_LINES)) <= len(lengths) / 10, long


def _class_names(tree: ast.AST) -> Iterator[str]:
    """Classes by name, but not SQLAlchemy's customary `class Base(DeclarativeBase)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            declarative = any("DeclarativeBase" in ast.unparse(base) for base in node.bases)
            if not declarative:
                yield node.name


def test_names_say_what_a_thing_is() -> None:
    """No class or file is called a Manager, Service, Helper, Util or Base of something."""
    names = [
        (path, name)
        for path, tree in _modules("src").items()
        for name in (*Path(path).with_suffix("").parts, *_class_names(tree))
    ]
    words = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
    assert [
        f"{path}: {name}"
        for path, name in names
        if BANNED_WORDS & {word.lower() for word in words.findall(name)}
    ] == []


def test_each_module_says_its_place() -> None:
    """A module's docstring starts with its layer; those of a delivery's way with "On the path"."""
    opening = {
        name: words
        for row in _layers()
        for key, words in PLACES.items()
        if key in row
        for name in row
    }
    assert [
        f'{path} should start with "{opening[_top(path)]}"'
        for path, tree in _modules("src/payonce").items()
        if _top(path) in opening
        and not (ast.get_docstring(tree) or "").startswith(opening[_top(path)])
    ] == []


def test_decisions_are_pure() -> None:
    """What decides reads no clock, no file, no environment and no network."""
    decisions = next(row for row in _layers() if "policy" in row)
    assert [
        f"{path} imports {name}"
        for path, tree in _modules("src/payonce").items()
        if _top(path) in decisions
        for name in _imported(tree)
        if name.split(".")[0] in IMPURE and not any(f"{name}.".startswith(f"{p}.") for p in PURE)
    ] == []


def test_only_the_demo_uses_what_users_test_with() -> None:
    """`payonce.testing` is for tests: of payonce itself, only the demo needs it."""
    assert [
        path
        for path, tree in _modules("src/payonce").items()
        if _top(path) not in {"testing", "demo"}
        and any(f"{name}.".startswith("payonce.testing.") for name in _imported(tree))
    ] == []


def test_only_the_journal_and_the_preflight_speak_sql() -> None:
    """No other module imports a database driver or holds a statement."""
    others = {p: t for p, t in _modules("src/payonce").items() if _top(p) not in SQL_PLACES}
    drivers = [
        f"{path} imports {name}"
        for path, tree in others.items()
        for name in _imported(tree)
        if name.split(".")[0] in DRIVERS
    ]
    statements = [
        f"{path}:{node.lineno} {node.value[:40]!r}"
        for path, tree in others.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]
    assert drivers + statements == []


def _query_names() -> dict[str, list[str]]:
    """The named queries of each dialect, in the order of its file."""
    files = (PACKAGE / "journal" / "sql").glob("*/queries.sql")
    name = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
    return {path.parent.name: name.findall(path.read_text(encoding="utf-8")) for path in files}


def _queries_asked_for(dialect: str) -> set[str]:
    """The names of queries, of whatever dialect, that the modules for one dialect hold as texts."""
    known = {name for names in _query_names().values() for name in names}
    return {
        node.value
        for path, tree in _modules("src/payonce/journal").items()
        for node in ast.walk(tree)
        if Path(path).name.startswith((dialect, "adding_up"))
        and isinstance(node, ast.Constant)
        and node.value in known
    }


def test_each_query_is_used_and_each_used_query_is_there() -> None:
    """Every dialect has the queries that its journal's code asks for, each once, and no other."""
    for dialect, names in _query_names().items():
        assert (dialect, sorted(names)) == (dialect, sorted(_queries_asked_for(dialect)))


def test_dialects_differ_for_a_reason() -> None:
    """A query that only one dialect has is named where it is said why."""
    names = _query_names()
    files = (PACKAGE / "journal" / "sql").glob("*/queries.sql")
    told = "\n".join(
        paragraph
        for path in files
        for paragraph in re.findall(r"(?:^--.*\n)+", path.read_text("utf-8"), re.MULTILINE)
        if "iffers because" in paragraph
    )
    lone = {n for one in names.values() for n in one} - set.intersection(*map(set, names.values()))
    assert {name for name in lone if not re.search(rf"\b{name}\b", told)} == set()


def test_each_query_gives_its_reason() -> None:
    """The line after a query's name says what the query is for."""
    nameless = re.compile(r"^-- name: (\w+)\n(?!-- \S)", re.MULTILINE)
    files = (PACKAGE / "journal" / "sql").glob("*/queries.sql")
    found = {path.parent.name: nameless.findall(path.read_text("utf-8")) for path in files}
    assert {dialect: names for dialect, names in found.items() if names} == {}


def test_importing_payonce_is_light() -> None:
    """`import payonce` loads no SDK, web framework, database driver, pydantic, rich or asyncio."""
    program = "import sys; b = set(sys.modules); import payonce; print(*set(sys.modules) - b)"
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert {name.split(".")[0] for name in output.split()} & UNLOADED == set()


def test_what_is_exported_is_declared_and_documented() -> None:
    """`payonce.__all__` is all that `payonce` offers; each name can be had and is in the docs."""
    declared = set(getattr(payonce, "__all__", ()))
    hidden = (ModuleType, type(annotations))
    offered = {
        name
        for name, value in vars(payonce).items()
        if not name.startswith("_") and not isinstance(value, hidden)
    } - {"Any", "TYPE_CHECKING"}
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    told = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert offered - declared == set()
    assert {name for name in declared if not hasattr(payonce, name)} == set()
    assert {name for name in declared if not re.search(rf"\b{name}\b", told)} == set()


def test_each_test_is_a_sentence() -> None:
    """Each test states the behaviour that it checks in its docstring's first line."""
    assert [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in _modules("tests").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").split("\n\n")[0].rstrip().endswith((".", "?"))
    ] == []
