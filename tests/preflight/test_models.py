"""What models expect, of each database, and in which cases nothing is amiss."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlmodel import Field, SQLModel
from tests.preflight.conftest import ANYWHERE, Place, looked

from payonce import ConfigError, Payonce
from payonce.ready import State


class Mood(enum.Enum):
    """How a course is."""

    calm = "calm"
    cross = "cross"


class Base(DeclarativeBase):
    """The app's models."""


class Plan(Base):
    """A table with a column of most types."""

    __tablename__ = "plans"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(50))
    mood: Mapped[Mood] = mapped_column(sa.Enum(Mood, name="plan_mood"))
    meta: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    price: Mapped[float] = mapped_column(sa.Numeric(10, 2))
    shown: Mapped[bool]
    token: Mapped[uuid.UUID]
    raw: Mapped[bytes | None]
    day: Mapped[datetime.date | None]
    made: Mapped[datetime.datetime] = mapped_column(server_default=sa.func.now())
    double: Mapped[int | None] = mapped_column(sa.Computed("price * 2", persisted=True))


class Other(Base):
    """A table that the job below has nothing to do with."""

    __tablename__ = "others"
    id: Mapped[int] = mapped_column(primary_key=True)
    gone: Mapped[int]


class Lesson(SQLModel, table=True):
    """The same in SQLModel."""

    __tablename__ = "lessons"
    id: int | None = Field(default=None, primary_key=True)
    title: str = Field(max_length=50)


DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "sqlite": "sqlite"}
ASYNC = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}


def sqlalchemy_url(place: Place, drivers: dict[str, str] = DRIVERS) -> str:
    """The app's URL with a driver's name."""
    scheme, _, rest = place.url.partition(":")
    return f"{drivers[scheme]}:{rest}"


@pytest.fixture
def engine(place: Place) -> Iterator[sa.Engine]:
    """An engine of the app's, and its models' tables made by whoever runs migrations."""
    engine = sa.create_engine(sqlalchemy_url(place))
    engine.connect().close()  # so that it knows MySQL from MariaDB
    made = sa.create_mock_engine(engine.url, lambda sql, *_: place.do(str(sql.compile(engine))))
    Base.metadata.create_all(made, checkfirst=False)
    SQLModel.metadata.create_all(made, checkfirst=False)
    if engine.dialect.name == "postgresql":
        place.do("GRANT ALL ON ALL TABLES IN SCHEMA public TO app")
        place.do("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app")
    yield engine
    engine.dispose()


@ANYWHERE
def test_models_in_step_are_ready(app: Payonce, engine: sa.Engine) -> None:
    """Whatever form they are given in: metadata, base, class, table, statement, SQLModel."""
    for given in (
        Base.metadata,
        Base,
        Plan,
        Plan.__table__,
        Lesson,
        sa.insert(Plan),
        sa.select(Plan).where(Plan.title == "x", Plan.id.in_([1, 2])).limit(5),
        sa.update(Plan).values(title="x").where(Plan.token == uuid.uuid4()),
        sa.text("DELETE FROM plans WHERE title = :title"),
    ):
        assert looked(app.schema(engine, given)).state is State.READY, given
    assert looked(app.schema(engine, reads=[Plan])).state is State.READY


@ANYWHERE
def test_a_database_that_is_ahead_is_ready(app: Payonce, engine: sa.Engine, place: Place) -> None:
    """Columns, indexes and tables that the code doesn't know are no business of its."""
    place.do("ALTER TABLE plans ADD COLUMN later VARCHAR(9)")
    place.do("ALTER TABLE plans ADD COLUMN counted INT NOT NULL DEFAULT 0")
    place.do("CREATE INDEX later ON plans (later)")
    place.do("CREATE TABLE newer (id INT NOT NULL)")
    assert looked(app.schema(engine, Plan, sa.insert(Plan), Base.metadata)).state is State.READY


@ANYWHERE
def test_tables_of_others_do_not_matter(app: Payonce, engine: sa.Engine, place: Place) -> None:
    """What happens to a table that the job doesn't name changes neither verdict nor fingerprint."""
    need = app.schema(engine, Plan)
    before = need.check()
    place.do("DROP TABLE others")
    place.do("CREATE TABLE theirs (id INT NOT NULL)")
    assert looked(need) == before
    assert before.state is State.READY


BREAKS = [
    ("DROP TABLE plans", "table plans is missing"),
    ("ALTER TABLE plans DROP COLUMN title", "column plans.title is missing"),
    (
        "ALTER TABLE plans ADD COLUMN owner INT NOT NULL",
        "column plans.owner is NOT NULL without a default, and the code leaves it out",
    ),
]


@ANYWHERE
@pytest.mark.parametrize(("sql", "told"), BREAKS)
def test_what_is_missing_is_named(
    app: Payonce, engine: sa.Engine, place: Place, sql: str, told: str
) -> None:
    """A table, a column, and one that the code would leave out; the fingerprint moves with it."""
    if "owner" in sql and engine.dialect.name == "sqlite":
        place.do("DROP TABLE plans")
        sql = str(sa.schema.CreateTable(Plan.__table__).compile(engine))
        sql = sql.replace("\n\tid", "\n\towner INT NOT NULL, id")
    need = app.schema(engine, Plan)
    before = need.fingerprint()
    place.do(sql)
    found = looked(need)
    assert (found.state, found.defects) == (State.NOT_READY, (told,))
    assert found.fingerprint != before


@pytest.mark.parametrize("place", ["postgres", "mariadb"], indirect=True)
@pytest.mark.parametrize("name", ["type", "label", "generated"])
def test_what_does_not_fit_is_named(
    app: Payonce, engine: sa.Engine, place: Place, name: str
) -> None:
    """A column of another type, an enum without a label, a column that turned into a made one."""
    postgres = {
        "type": "ALTER TABLE plans ALTER title TYPE int USING NULL",
        "label": "ALTER TYPE plan_mood RENAME VALUE 'cross' TO 'angry'",
        "generated": "ALTER TABLE plans DROP title,"
        " ADD title varchar GENERATED ALWAYS AS ('x') STORED",
    }
    mariadb = {
        "type": "ALTER TABLE plans MODIFY title INT NOT NULL",
        "label": "ALTER TABLE plans MODIFY mood ENUM('calm') NOT NULL",
        "generated": "ALTER TABLE plans DROP title, ADD title VARCHAR(50) AS ('x') STORED",
    }
    place.do((postgres if engine.dialect.name == "postgresql" else mariadb)[name])
    found = looked(app.schema(engine, Plan))
    expected = {
        "type": "plans.title is int",
        "label": "the enum of column plans.mood has no label 'cross'",
        "generated": "column plans.title is generated by the database, and the code writes it",
    }
    assert found.state is State.NOT_READY
    assert [expected[name] in defect for defect in found.defects] == [True]


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_a_right_is_asked_for_only_where_it_is_used(
    app: Payonce, engine: sa.Engine, place: Place
) -> None:
    """INSERT on a model that is written, SELECT on one that is read, any right on metadata's; and
    a table without any grant is told from one that is missing."""
    place.do("REVOKE ALL ON plans FROM app; GRANT SELECT ON plans TO app")
    assert looked(app.schema(engine, Plan)).defects == ("this role may not INSERT on table plans",)
    assert looked(app.schema(engine, reads=[Plan])).state is State.READY
    assert looked(app.schema(engine, Base.metadata)).state is State.READY
    place.do("REVOKE ALL ON plans FROM app")
    assert looked(app.schema(engine, reads=[Plan])).defects == (
        "this role may not SELECT on table plans",
    )
    assert looked(app.schema(engine, Base.metadata)).defects == (
        "this role has no right on table plans",
    )
    place.do("GRANT INSERT (title) ON plans TO app")
    told = looked(app.schema(engine, Plan)).defects
    assert "this role may not INSERT column plans.mood" in told
    assert not any("title" in defect for defect in told)


@pytest.mark.parametrize("place", ["postgres", "sqlite"], indirect=True)
def test_an_async_engine_is_read_like_any_other(
    app: Payonce, engine: sa.Engine, place: Place
) -> None:
    """Over the async driver, on a loop of payonce's own, with the same verdict and fingerprint."""
    asynchronous = create_async_engine(sqlalchemy_url(place, ASYNC))
    for broken in (False, True):
        if broken:
            place.do("ALTER TABLE plans DROP COLUMN title")
        one = looked(app.schema(engine, Plan, sa.insert(Plan)))
        other = looked(app.schema(asynchronous, Plan, sa.insert(Plan)))
        assert one == other
        assert (one.state is State.READY) is not broken


@ANYWHERE
def test_instances_and_statements_are_rehearsed(
    app: Payonce, engine: sa.Engine, place: Place
) -> None:
    """A row of a mapped class or a statement with values is written and taken back: what only
    the write shows is found, as often as it is looked."""
    row = Plan(title="x", mood=Mood.calm, meta={}, price=1, shown=True, token=uuid.uuid4())
    insert = (
        sa.insert(Plan),
        {
            "title": "x",
            "mood": Mood.calm,
            "meta": {},
            "price": 1,
            "shown": True,
            "token": uuid.uuid4(),
        },
    )
    needs = [app.schema(engine, Plan, rehearse=[each]) for each in (row, insert)]
    for need in needs:
        assert need.check().state is need.check().state is State.READY
    with engine.connect() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(Plan)) == 0
    if engine.dialect.name == "sqlite":
        place.do("CREATE TRIGGER no BEFORE INSERT ON plans BEGIN SELECT RAISE(ABORT, 'no'); END")
    else:
        place.do("ALTER TABLE plans ADD CHECK (length(title) > 9)")
    for need in needs:
        assert looked(need).state is State.NOT_READY


def test_a_quoted_name_that_sqlite_takes_for_text_is_found(app: Payonce, on_sqlite: Place) -> None:
    """SQLite would run it, and change every row or none."""
    table = sa.table("courses", sa.column("id"), sa.column(sa.sql.quoted_name("Run", True)))
    engine = sa.create_engine(sqlalchemy_url(on_sqlite))
    found = looked(app.schema(engine, sa.update(table).values(id=1).where(table.c.Run == "x")))
    assert found.state is State.NOT_READY
    engine.dispose()


def test_what_is_no_expectation_is_refused(app: Payonce, on_sqlite: Place) -> None:
    """At once, with a word on what would be one."""
    for given in (object(), 7, "courses", "CALL refresh()", None):
        with pytest.raises(ConfigError):
            app.schema(on_sqlite.url, given)
    with pytest.raises(ConfigError):
        app.schema(on_sqlite.url)
    for target in (object(), "oracle://x/y", "sqlite://"):
        with pytest.raises(ConfigError):
            app.schema(target, "SELECT 1 FROM courses")
