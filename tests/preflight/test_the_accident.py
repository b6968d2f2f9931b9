"""The accident, under three frameworks on three databases, and its end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.databases.mariadb import MariadbServer
from tests.databases.postgres import PostgresServer
from tests.preflight.shop import GUNICORN, UVICORN, Made, Shop

from payonce.testing import MeteredProvider

pytestmark = pytest.mark.slow

ALEMBIC = """
import os
from alembic import context
from sqlalchemy import create_engine, pool

with create_engine(os.environ["DATABASE"], poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{}", {!r}


def upgrade():
    {}
"""
MODELS = """
from django.db import models


class Course(models.Model):
    outline = models.TextField()

    class Meta:
        db_table = "courses"
"""
DJANGO = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [{}]
    operations = [{}]
"""


@pytest.fixture
def provider() -> Iterator[MeteredProvider]:
    """The witness."""
    with MeteredProvider() as provider:
        yield provider


@pytest.fixture
def fastapi(postgres_server: PostgresServer) -> Iterator[Made]:
    """FastAPI, SQLAlchemy and PostgreSQL; Alembic is one revision behind."""
    url = postgres_server.database()
    database = url.replace("postgresql:", "postgresql+psycopg:")

    def first(shop: Shop) -> None:
        versions = shop.folder / "migrations" / "versions"
        versions.mkdir(parents=True)
        (shop.folder / "alembic.ini").write_text(
            "[alembic]\nscript_location = %(here)s/migrations\n"
        )
        (shop.folder / "migrations" / "env.py").write_text(ALEMBIC)
        make = 'op.create_table("courses", sa.Column("id", sa.Integer, primary_key=True))'
        add = 'op.add_column("courses", sa.Column("outline", sa.Text))'
        (versions / "1.py").write_text(REVISION.format("0036", None, make))
        (versions / "2.py").write_text(REVISION.format("0037", "0036", add))
        shop.run("-m", "alembic", "upgrade", "0036")

    yield Made(
        "fastapi_batch",
        UVICORN,
        database,
        first,
        lambda shop: print(shop.run("-m", "alembic", "upgrade", "head")),
        lambda: int(postgres_server.execute("SELECT count(*) FROM courses", url)[0][0]),
    )
    postgres_server.drop(url)


@pytest.fixture
def django(tmp_path: Path) -> Made:
    """Django and SQLite, one migration behind."""

    def first(shop: Shop) -> None:
        school = shop.folder / "school"
        (school / "migrations").mkdir(parents=True)
        for package in (school, school / "migrations"):
            (package / "__init__.py").touch()
        (school / "models.py").write_text(MODELS)
        make = (
            'migrations.CreateModel("Course", [("id", models.BigAutoField(primary_key=True))],'
            ' options={"db_table": "courses"})'
        )
        add = 'migrations.AddField("course", "outline", models.TextField(default=""))'
        for name, depends, operation in (
            ("0001_course", "", make),
            ("0002_outline", '("school", "0001_course")', add),
        ):
            text = DJANGO.format(depends, operation)
            (school / "migrations" / f"{name}.py").write_text(text)
        shop.run("django_batch.py", "migrate", "school", "0001")

    def rows() -> int:
        with closing(sqlite3.connect(tmp_path / "school.db")) as db:
            return int(db.execute("SELECT count(*) FROM courses").fetchone()[0])

    return Made(
        "django_batch",
        GUNICORN,
        "",
        first,
        lambda shop: print(shop.run("django_batch.py", "migrate", "school")),
        rows,
    )


@pytest.fixture
def flask(mariadb_server: MariadbServer) -> Iterator[Made]:
    """Flask, pymysql and MariaDB, before a migration in SQL."""
    url = mariadb_server.database()
    mariadb_server.execute("CREATE TABLE courses (id INT PRIMARY KEY)", url)
    add = "ALTER TABLE courses ADD COLUMN outline TEXT"
    yield Made(
        "flask_batch",
        GUNICORN,
        url,
        lambda shop: None,
        lambda shop: print(mariadb_server.execute(add, url)),
        lambda: int(mariadb_server.execute("SELECT count(*) FROM courses", url)[0][0]),
    )
    mariadb_server.drop(url)


@pytest.fixture(params=["fastapi", "django", "flask"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, provider: MeteredProvider
) -> Iterator[Shop]:
    """Each of the three in turn."""
    shop = Shop(tmp_path, provider, request.getfixturevalue(request.param))
    yield shop
    shop.stop()


def have_the_accident(shop: Shop, provider: MeteredProvider, **settings: str) -> None:
    """21 deliveries before the migration: three paid calls, one failing write, parked."""
    shop.deploy(**settings)
    assert {shop.deliver() for _ in range(21)} == {204}
    assert [provider.billed(part) for part in ("one", "two", "three")] == [1, 1, 1]
    parked = shop.state()
    assert (parked.state, parked.attempt, parked.kind) == ("parked", 1, "deterministic")
    assert "outline" in str(parked.reason)


def is_healed(shop: Shop, provider: MeteredProvider) -> None:
    """Done under the same key, with one row, and nothing was paid again."""
    run = shop.state()
    assert (run.key, run.state, run.attempt) == ("course:42", "done", 2)
    assert shop.rows() == 1
    assert provider.billed() == 3
    assert shop.deliver() == 200
    assert (shop.rows(), provider.billed(), shop.state().attempt) == (1, 3, 2)


def test_a_delivery_heals_it(shop: Shop, provider: MeteredProvider) -> None:
    """Given the accident with a watched database, when it is migrated, then the next delivery
    finishes the run."""
    have_the_accident(shop, provider, WATCH="1")
    shop.migrate()
    assert shop.deliver() == 200
    is_healed(shop, provider)


def test_a_new_version_heals_it(shop: Shop, provider: MeteredProvider) -> None:
    """Given the accident with a database that nobody watches, when it is migrated, then the run
    stays parked; the first delivery under a new version finishes it."""
    have_the_accident(shop, provider)
    shop.migrate()
    assert shop.deliver() == 204
    assert shop.state().attempt == 1
    shop.deploy(PAYONCE_VERSION="2")
    assert shop.deliver() == 200
    is_healed(shop, provider)


def test_wake_heals_it(shop: Shop, provider: MeteredProvider) -> None:
    """Given the accident whose message the queue has dropped, when the deploy script migrates and
    then runs `payonce wake`, then it is done without a delivery."""
    have_the_accident(shop, provider, WATCH="1")
    shop.migrate()
    assert "done" in shop.wake()
    is_healed(shop, provider)


HINTS = {
    "fastapi": "Migration 0037 adds it; behind by one: 0037: alembic upgrade head",
    "django": "Migration school.0002_outline adds it; behind by one: school.0002_outline",
    "flask": "column courses.outline is missing",
}


def _delivered(shop: Shop) -> int:
    """As a queue does: again after a 503, which is told when a look at the schema took long."""
    told = (shop.deliver() for _ in range(5))
    return next((status for status in told if status != 503), 503)


def test_with_needs_it_costs_nothing(
    shop: Shop, provider: MeteredProvider, request: pytest.FixtureRequest
) -> None:
    """Given the same with `needs=`, then 21 deliveries pay nothing, and say what is missing and
    which migration adds it; after it the next one pays once for all three, and is done."""
    shop.deploy(NEEDS="1")
    assert {_delivered(shop) for _ in range(21)} == {204}
    assert provider.billed() == 0
    assert "column courses.outline is missing" in str(shop.state().reason)
    assert HINTS[request.node.callspec.params["shop"]] in str(shop.state().reason)
    shop.migrate()
    assert shop.deliver() == 200
    is_healed(shop, provider)
