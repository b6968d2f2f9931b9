"""21 ways to break a SQLite schema."""

from __future__ import annotations

from tests.preflight.defects import REHEARSED, Broken

HEALTHY = """
CREATE TABLE tenants (id INTEGER PRIMARY KEY);
INSERT INTO tenants VALUES (1);
CREATE TABLE seen (id INTEGER, outline TEXT);
CREATE TABLE courses (
    id INTEGER PRIMARY KEY, tenant INTEGER, slug TEXT UNIQUE, outline TEXT, words INTEGER
);
CREATE VIEW shown AS SELECT id, outline FROM courses;
CREATE TRIGGER keep AFTER INSERT ON courses BEGIN
    INSERT INTO seen (id, outline) VALUES (new.id, new.outline);
END;
"""

INSERT = "INSERT INTO courses (tenant, slug, outline) VALUES (?, ?, ?)"
ROW = (1, "a", "An outline")


def rebuilt(columns: str) -> str:
    """The courses, with these columns in place of the healthy ones."""
    return f"DROP VIEW shown; DROP TABLE courses; CREATE TABLE courses {columns}"


DEFECTS = [
    Broken("table", "DROP VIEW shown; DROP TABLE courses", INSERT, ROW),
    Broken("column inserted", rebuilt("(tenant, slug)"), INSERT, ROW),
    Broken("column set", rebuilt("(id)"), "UPDATE courses SET outline = ?", ("x",)),
    Broken("column compared", rebuilt("(id)"), "DELETE FROM courses WHERE slug = ?", ("x",)),
    Broken(
        "column returned",
        rebuilt("(tenant)"),
        "INSERT INTO courses (tenant) VALUES (?) RETURNING words",
        (1,),
    ),
    Broken(
        "column of a view",
        "DROP VIEW shown; CREATE VIEW shown AS SELECT id FROM courses",
        "SELECT outline FROM shown WHERE id = ?",
        (1,),
    ),
    Broken("function", "SELECT 1", "UPDATE courses SET outline = plain(?)", ("x",), by_itself=True),
    Broken(
        "index of a conflict",
        rebuilt("(tenant, slug, outline)"),
        f"{INSERT} ON CONFLICT (slug) DO NOTHING",
        ROW,
    ),
    Broken(
        "generated column",
        rebuilt("(tenant, slug, outline AS (slug || 'x'))"),
        INSERT,
        ROW,
    ),
    Broken("table of a trigger", "DROP TABLE seen", INSERT, ROW),
    Broken("column of a trigger", "DROP TABLE seen; CREATE TABLE seen (id)", INSERT, ROW),
    Broken("syntax", "SELECT 1", "INSERT INTO courses (tenant VALUES (?)", (1,), by_itself=True),
    Broken("not null", rebuilt("(tenant, slug, outline, owner NOT NULL)"), INSERT, ROW),
    Broken(
        "null", rebuilt("(tenant NOT NULL, slug, outline)"), INSERT, (None, "a", "b"), REHEARSED
    ),
    Broken(
        "unique",
        "INSERT INTO courses (tenant) VALUES (1); CREATE UNIQUE INDEX one ON courses (tenant)",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "check",
        rebuilt("(tenant, slug, outline CHECK (length(outline) > 99))"),
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "strict type",
        rebuilt("(tenant INT, slug INT, outline TEXT) STRICT"),
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "row id", rebuilt("(tenant, slug INTEGER PRIMARY KEY, outline)"), INSERT, ROW, REHEARSED
    ),
    Broken(
        "raised by a trigger",
        "CREATE TRIGGER no BEFORE INSERT ON courses BEGIN SELECT RAISE(ABORT, 'closed'); END",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "index on an expression",
        "CREATE INDEX parsed ON courses (json_extract(outline, '$.a'))",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "foreign key",
        "DELETE FROM tenants;" + rebuilt("(tenant REFERENCES tenants, slug, outline)"),
        INSERT,
        ROW,
        REHEARSED,
    ),
]
