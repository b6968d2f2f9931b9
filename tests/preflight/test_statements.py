"""Statements in the many forms that people write them in: no false alarm, no table overlooked."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from tests.preflight.conftest import Place, looked
from tests.preflight.test_models import sqlalchemy_url

from payonce import Payonce
from payonce.preflight.database import Dialect
from payonce.preflight.statements import statement
from payonce.ready import State

READ: list[tuple[Dialect, str, str, int, list[str]]] = [
    ("postgresql", "SELECT 1 FROM a WHERE x = %s AND y = %(y)s", "x = $1 AND y = $2", 2, ["a"]),
    ("postgresql", "SELECT x::text FROM a WHERE b = :b", "x::text FROM a WHERE b = $1", 1, ["a"]),
    ("postgresql", "SELECT 1 FROM a WHERE b ? 'k' AND c = $2", "b ? 'k' AND c = $2", 2, ["a"]),
    ("postgresql", "SELECT v[1:2] FROM a -- :no %s", "v[1:2]", 0, ["a"]),
    ("postgresql", "SELECT ':no' || $$ :no $$ || E'it\\':no' FROM a", "E'it\\':no'", 0, ["a"]),
    ("postgresql", "SELECT 1 FROM a WHERE b LIKE '%%x' AND c = %s", "LIKE '%x'", 1, ["a"]),
    ("postgresql", "SELECT 5 % 2 FROM a WHERE b = :b", "5 % 2", 1, ["a"]),
    ("postgresql", 'UPDATE "My T" SET x = :x FROM s.b', "SET x = $1", 1, ["My T", "s.b"]),
    ("postgresql", "DELETE FROM A USING b WHERE a.x = b.x", "DELETE", 0, ["a", "b"]),
    ("postgresql", "SELECT 1 FROM f(1), a JOIN LATERAL (SELECT 1 FROM b) c ON true", "", 0, ["b"]),
    ("sqlite", "SELECT 1 FROM a WHERE x = ?1 AND y = :y AND z = ?", "x = ? AND y = ?", 3, ["a"]),
    ("mysql", "INSERT IGNORE INTO `a` (x) VALUES ('it\\'s %%', %s)", "'it\\'s %', ?", 1, ["a"]),
    ("mysql", "REPLACE INTO a.b (x) SELECT y FROM c", "REPLACE", 0, ["a.b", "c"]),
]


@pytest.mark.parametrize(("dialect", "text", "part", "parameters", "tables"), READ)
def test_placeholders_and_tables_are_read(
    dialect: Dialect, text: str, part: str, parameters: int, tables: list[str]
) -> None:
    """Whatever the paramstyle; strings, comments, casts, slices and operators are left alone."""
    found = statement(text, dialect)
    assert part in found.sql
    assert found.parameters == parameters
    assert [str(name) for name in found.names] == tables


POSTGRES = [
    "INSERT INTO courses (tenant, slug) VALUES (%s, %s) ON CONFLICT (slug) DO UPDATE SET slug = %s",
    "INSERT INTO courses (tenant, slug) SELECT id, %s FROM tenants WHERE id = ANY(%s)",
    "INSERT INTO courses AS c (tenant) VALUES (DEFAULT), (%s) RETURNING c.id, c.*",
    "INSERT INTO courses (id, tenant) OVERRIDING SYSTEM VALUE VALUES (1, 2)",
    "WITH t AS (SELECT id FROM tenants) INSERT INTO courses (tenant) SELECT id FROM t",
    "WITH gone AS (DELETE FROM courses WHERE id = :id RETURNING *) SELECT count(*) FROM gone",
    "UPDATE courses SET meta = jsonb_set(meta, '{a}', :value), outline = coalesce(:o, outline)",
    "UPDATE courses SET meta = meta || %s WHERE meta ? 'a' AND meta->>'b' = %s",
    "SELECT id FROM courses WHERE id = ANY(%s) LIMIT %s OFFSET %s FOR UPDATE SKIP LOCKED",
    "SELECT * FROM courses WHERE id IN (%s, %s) AND outline ILIKE '%%x' || %s",
    "SELECT now() - %s::interval, make_interval(days => %s), %s + 1 FROM courses",
    "SELECT %s, concat(%s, 'x'), jsonb_build_object('a', %s) FROM courses",
    "SELECT count(*) FILTER (WHERE mood = %s), array_agg(slug) FROM courses GROUP BY tenant",
    "SELECT 1 FROM courses c WHERE NOT EXISTS (SELECT FROM tenants t WHERE t.id = c.tenant)",
    "SELECT 1 FROM courses WHERE (id, tenant) > (%s, %s) AND mood = 'calm' AND score > %s",
    "MERGE INTO courses c USING tenants t ON c.tenant = t.id WHEN MATCHED THEN DELETE",
    "/* why */ SELECT generate_series(1, %s) FROM courses;",
]


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
@pytest.mark.parametrize("text", POSTGRES)
def test_what_runs_is_ready(app: Payonce, place: Place, text: str) -> None:
    """Given a schema in good health, then none of these is called a defect."""
    found = looked(app.schema(place.url, text))
    assert found.state is State.READY, found


COURSES = sa.Table(
    "courses",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.Integer),
    sa.Column("slug", sa.String(50)),
    sa.Column("outline", sa.Text),
)
C = COURSES.c
BUILT = [
    sa.insert(COURSES).values(tenant=1, slug="x"),
    sa.insert(COURSES).values([{"tenant": 1, "slug": "x"}, {"tenant": 2, "slug": "y"}]),
    sa.insert(COURSES).from_select(["tenant"], sa.select(C.tenant)),
    sa.update(COURSES).values(outline=C.outline + "x").where(C.id == sa.bindparam("which")),
    sa.delete(COURSES).where(C.id.in_(sa.bindparam("ids", expanding=True))),
    sa.select(C.id, sa.func.count()).where(C.slug.like("%x")).group_by(C.id).limit(3),
    sa.select(sa.exists(sa.select(C.id).where(C.slug == "x"))),
    sa.select(COURSES).where(C.id.in_([])).order_by(C.id.desc()).with_for_update(),
]


@pytest.mark.parametrize("place", ["postgres", "sqlite", "mariadb"], indirect=True)
def test_what_sqlalchemy_builds_is_ready(app: Payonce, place: Place) -> None:
    """Bound, expanded, multi-row, upserted: each is planned as it would be sent."""
    engine = sa.create_engine(sqlalchemy_url(place))
    upserts = {
        "postgresql": lambda: (
            postgresql.insert(COURSES)
            .values(tenant=1, slug="x")
            .on_conflict_do_update(index_elements=["slug"], set_={"outline": "x"})
            .returning(C.id)
        ),
        "sqlite": lambda: (
            sqlite.insert(COURSES)
            .values(tenant=1, slug="x")
            .on_conflict_do_nothing(index_elements=["slug"])
        ),
        "mysql": lambda: (
            mysql.insert(COURSES).values(tenant=1, slug="x").on_duplicate_key_update(outline="x")
        ),
    }
    for built in (*BUILT, upserts[engine.dialect.name]()):
        found = looked(app.schema(engine, built))
        assert found.state is State.READY, (str(built), found)
    engine.dispose()


def test_what_no_database_could_be_asked_parks(app: Payonce, on_sqlite: Place) -> None:
    """Given a statement of another dialect, then it isn't asked for again and again: only other
    code mends it."""
    engine = sa.create_engine(sqlalchemy_url(on_sqlite))
    foreign = mysql.insert(COURSES).values(tenant=1).on_duplicate_key_update(tenant=2)
    found = looked(app.schema(engine, foreign))
    assert found.state is State.NOT_READY
    assert "can't be put in the database's words" in found.defects[0]
    engine.dispose()
