"""The world: which code, and which schemas; what counts as a change of it."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.path.looking import only_run

from payonce import Parked, Payonce
from payonce.model import World
from payonce.policy import moved
from payonce.world import VERSION_VARIABLES, code_version, world

SOURCE = "def job():\n    return 1\n"
IDENTITY = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]


def _git(folder: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    return subprocess.run(
        ["git", *IDENTITY, *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=15,
    ).stdout.strip()


def _job(file: Path, source: str = SOURCE) -> Callable[..., Any]:
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.job  # type: ignore[no-any-return]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    _git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "readme").write_text("hello")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "-m", "first")
    return folder


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that tells a version."""
    for name in VERSION_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", VERSION_VARIABLES)
def test_the_platform_tells_the_version(
    bare: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """Each platform's own variable is known; an empty one says nothing."""
    job = _job(tmp_path / "a.py")
    monkeypatch.setenv(variable, "")
    assert code_version(job).startswith("file+")
    monkeypatch.setenv(variable, "rev-7")
    assert code_version(job) == "rev-7"


def test_our_own_variable_comes_first(bare: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said to payonce counts more than what the platform says, an argument most of all."""
    for name in VERSION_VARIABLES:
        monkeypatch.setenv(name, f"by {name}")
    assert code_version(_git) == "by PAYONCE_VERSION"
    assert world("given", _git, []).code == "given"


def test_the_commit_is_read_from_git(bare: None, repository: Path) -> None:
    """On a branch, detached, packed, and in a worktree."""
    first = _git(repository, "rev-parse", "HEAD")[:12]
    assert code_version(_job(repository / "a.py")).startswith(f"{first}+")
    _git(repository, "commit", "--quiet", "--allow-empty", "-m", "second")
    second = _git(repository, "rev-parse", "HEAD")[:12]
    assert code_version(_job(repository / "b.py")).startswith(f"{second}+")
    _git(repository, "pack-refs", "--all")
    assert code_version(_job(repository / "c.py")).startswith(f"{second}+")
    _git(repository, "checkout", "--quiet", "--detach", first)
    assert code_version(_job(repository / "d.py")).startswith(f"{first}+")
    _git(repository, "worktree", "add", "--quiet", "-b", "side", "../side", second)
    assert code_version(_job(repository.parent / "side" / "e.py")).startswith(f"{second}+")


def test_a_repository_without_a_commit_is_no_failure(bare: None, tmp_path: Path) -> None:
    """Where git has nothing to tell, the file's own text does."""
    _git(tmp_path, "init", "--quiet")
    assert code_version(_job(tmp_path / "a.py")).startswith("file+")


def test_a_fix_in_the_working_tree_is_a_change(bare: None, repository: Path) -> None:
    """The job's file counts, whether it is committed or not."""
    before = code_version(_job(repository / "a.py"))
    same = code_version(_job(repository / "b.py"))
    after = code_version(_job(repository / "c.py", SOURCE + "# mended\n"))
    assert before == same
    assert before != after


def test_code_without_a_file_has_a_version_too(bare: None) -> None:
    """Nothing is known of it, and that is said."""
    space: dict[str, Any] = {}
    exec(SOURCE, space)
    assert code_version(space["job"]) == "unknown"


@pytest.mark.parametrize(
    ("before", "now", "is_moved"),
    [
        (World("1", "a=x"), World("1", "a=x"), False),
        (World("1", "a=x"), World("2", "a=x"), True),
        (World("1", "a=x"), World("1", "a=y"), True),
        (World("1", "a=x"), World("1", "a=?"), False),
        (World("1", "a=x+b=y"), World("1", "a=?+b=z"), True),
        (World("1", "a=?"), World("1", "a=x"), True),
        (World("1", "a=absent"), World("1", "a=x"), True),
        (World("1", ""), World("1", "a=x"), True),
        (World("1", "a=x+b=y"), World("1", "a=x"), False),
        (None, World("1", "a=x"), True),
    ],
)
def test_what_counts_as_a_change(before: World | None, now: World, is_moved: bool) -> None:
    """Another version or another schema; not one that can't be read just now."""
    assert moved(before, now) is is_moved


def test_a_schema_that_cannot_be_read_wakes_nobody(app: Payonce, tmp_path: Path) -> None:
    """While the database is away its runs stay parked; when it is back and changed, they go on."""
    path = tmp_path / "user.db"
    away = [False]

    def connect() -> sqlite3.Connection:
        if away[0]:
            raise sqlite3.OperationalError("away")
        return sqlite3.connect(path, isolation_level=None)

    connect().execute("CREATE TABLE courses (id)")
    app.watch(connect)
    sent = []

    @app.job(key="k")
    def job() -> str:
        sent.append(1)
        connect().execute("SELECT outline FROM courses")
        return "done"

    for gone in (False, True, False):
        away[0] = gone
        with pytest.raises(Parked):
            job()
    assert len(sent) == 1
    connect().execute("ALTER TABLE courses ADD COLUMN outline")
    assert job() == "done"


def test_rows_are_no_schema(app: Payonce, tmp_path: Path) -> None:
    """New rows, and payonce's own tables, change no world."""
    path = tmp_path / "user.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("CREATE TABLE courses (id)")
    app.watch(f"sqlite:///{path}")

    @app.job(key="k")
    def job() -> None:
        raise KeyError("no such thing")

    with pytest.raises(Parked):
        job()
    db.execute("INSERT INTO courses VALUES (1)")
    with pytest.raises(Parked):
        job()
    assert only_run(app).attempt == 1
    db.close()


def test_a_new_version_wakes_a_parked_run(tmp_path: Path) -> None:
    """The next deploy's first delivery goes on under the same key, and pays nothing again."""
    sent = []

    def deployed(version: str) -> Any:
        app = Payonce(f"sqlite:///{tmp_path}/journal.db", version=version)

        @app.step(name="pay")
        def pay() -> int:
            sent.append(version)
            return 1

        @app.job(key="k", name="job")
        def job() -> int:
            pay()
            if version == "1":
                raise KeyError("a bug")
            return 2

        return app, job

    one, job = deployed("1")
    for _ in range(2):
        with pytest.raises(Parked):
            job()
    two, job = deployed("2")
    assert job() == 2
    assert sent == ["1"]
    one.close()
    two.close()
