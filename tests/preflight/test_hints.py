"""The migration that would mend it: found in files, named, and told with its command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from tests.preflight.conftest import looked

from payonce import Payonce

INI = "[alembic]\nscript_location = %(here)s/versions\n"
ENV = """
from alembic import context
from sqlalchemy import create_engine, pool

with create_engine("sqlite:///school.db", poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
MIGRATION = '''"""{about}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}


def upgrade():
    {upgrade}


def downgrade():
    pass
'''
STEPS = [
    ("0036", None, "courses", 'op.create_table("courses", sa.Column("id", sa.Integer))'),
    ("0037", "0036", "add outline", 'op.add_column("courses", sa.Column("outline", sa.Text))'),
    ("0038", "0037", "others", 'op.execute("CREATE TABLE others (id INTEGER)")'),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with Alembic's migrations, at 0036."""
    versions = tmp_path / "versions" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "alembic.ini").write_text(INI)
    (tmp_path / "versions" / "env.py").write_text(ENV)
    for revision, down, about, upgrade in STEPS:
        text = MIGRATION.format(about=about, revision=revision, down=repr(down), upgrade=upgrade)
        (versions / f"{revision}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    command.upgrade(Config("alembic.ini"), "0036")
    return tmp_path


def told(app: Payonce, sql: str = "INSERT INTO courses (outline) VALUES (:o)") -> str:
    """What is to be done, as the preflight has it."""
    return looked(app.schema("sqlite:///school.db", sql)).todo


def test_alembic_s_migration_is_named(app: Payonce, folder: Path) -> None:
    """Not applied: its number and name, how far the database is behind, the command; applied:
    nothing is to be done."""
    assert told(app) == (
        "Migration 0037 (add outline) adds it; behind by 2: 0037, 0038: alembic upgrade head"
    )
    assert told(app, "INSERT INTO nobody (x) VALUES (1)") == (
        "The database is behind by 2: 0037, 0038: alembic upgrade head"
    )
    command.upgrade(Config("alembic.ini"), "head")
    assert told(app) == ""


def test_heads_prove_nothing(app: Payonce, folder: Path) -> None:
    """Given heads that are right, when a column is missing all the same, then it is not ready;
    and a column that no migration adds is told so."""
    command.stamp(Config("alembic.ini"), "head")
    assert "0037 (add outline) is recorded as applied, and courses.outline isn't" in told(app)
    assert told(app, "INSERT INTO courses (title) VALUES (1)") == (
        "No migration adds it: alembic revision --autogenerate"
    )


def test_a_database_that_is_ahead_gets_no_hint(app: Payonce, folder: Path) -> None:
    """Its revision is one that this code doesn't know."""
    with sa.create_engine("sqlite:///school.db").begin() as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = '0099'"))
    assert told(app) == ""


def test_a_plain_file_is_found(
    app: Payonce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration in SQL that names table and column; what is applied isn't known."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "migrations").mkdir()
    with sa.create_engine("sqlite:///school.db").begin() as db:
        db.execute(sa.text("CREATE TABLE courses (id)"))
    assert told(app) == ""
    (tmp_path / "migrations" / "7_outline.sql").write_text("ALTER TABLE courses ADD outline text;")
    assert told(app) == "Migration 7_outline.sql adds it: apply it with your migration tool"


DJANGO = """
import sys, django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["school"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "school.db"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from payonce import Payonce
from school.models import Course

app = Payonce("sqlite:///journal.db")
needs = [
    app.schema(connection, Course, rehearse=[Course(title="x", outline="y")]),
    app.schema(connection, apps.get_app_config("school")),
    app.schema(connection, reads=[Course, Course.objects.filter(outline="x")]),
]
for target in sys.argv[1:]:
    if target == "drop":
        connection.cursor().execute("ALTER TABLE school_course DROP COLUMN outline")
    else:
        call_command("migrate", "school", target, verbosity=0)
    app.watch(connection)
    print([(str(found.state), found.defects, found.todo) for found in (n.check() for n in needs)])
"""
MODELS = """
from django.db import models
class Course(models.Model):
    title = models.CharField(max_length=9)
    outline = models.TextField()
"""
DJANGO_MIGRATION = """
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [{depends}]
    operations = [{operation}]
"""


def test_django_s_models_and_migrations_are_read(tmp_path: Path) -> None:
    """Given a model whose column is not migrated, or dropped by hand, then it is not ready and its
    migration is named; migrated, it is ready, and its sample row is rehearsed."""
    school = tmp_path / "school"
    (school / "migrations").mkdir(parents=True)
    for package in (school, school / "migrations"):
        (package / "__init__.py").touch()
    (school / "models.py").write_text(MODELS)
    create = (
        'migrations.CreateModel("Course", [("id", models.BigAutoField(primary_key=True)),'
        ' ("title", models.CharField(max_length=9))])'
    )
    add = 'migrations.AddField("course", "outline", models.TextField(default=""))'
    for name, depends, operation in (
        ("0001_course", "", create),
        ("0002_outline", '("school", "0001_course")', add),
    ):
        text = DJANGO_MIGRATION.format(depends=depends, operation=operation)
        (school / "migrations" / f"{name}.py").write_text(text)
    (tmp_path / "main.py").write_text(DJANGO)
    done = subprocess.run(
        [sys.executable, "-W", "error", "main.py", "0001", "0002", "drop"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    behind, ready, dropped = [eval(line) for line in done.stdout.splitlines()]
    missing = "column school_course.outline is missing"
    assert {(state, defects) for state, defects, _ in behind[:2]} == {("not ready", (missing,))}
    assert behind[0][2] == (
        "Migration school.0002_outline adds it; behind by one: school.0002_outline: "
        "python manage.py migrate"
    )
    assert ready == [("ready", (), "")] * 3
    assert {state for state, _, _ in dropped} == {"not ready"}
    assert "school.0002_outline is recorded as applied" in dropped[0][2]
