"""34 ways to break a PostgreSQL schema."""

from __future__ import annotations

from tests.preflight.defects import REHEARSED, Broken

HEALTHY = """
DROP SCHEMA IF EXISTS school CASCADE; DROP SCHEMA public CASCADE;
CREATE SCHEMA public; CREATE SCHEMA school;
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE SEQUENCE numbers;
CREATE FUNCTION plain(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION touch(int) RETURNS void LANGUAGE plpgsql AS
    'BEGIN UPDATE courses SET outline = outline WHERE id = $1; END';
CREATE FUNCTION same(text, text) RETURNS bool LANGUAGE sql AS 'SELECT $1 = $2';
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same);
CREATE TABLE tenants (id int PRIMARY KEY);
INSERT INTO tenants VALUES (1);
CREATE TABLE courses (
    id serial PRIMARY KEY, tenant int NOT NULL, slug text UNIQUE, outline text, mood mood,
    meta jsonb, score int, code varchar(8), words int, note text
);
CREATE TABLE school.lessons (id int);
CREATE VIEW shown AS SELECT id, outline FROM courses;
GRANT USAGE ON SCHEMA public, school TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, school TO app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app;
"""

INSERT = "INSERT INTO courses (tenant, slug, outline) VALUES (%s, %s, %s)"
ROW = (1, "a", "An outline")
RETYPED = "ALTER TABLE courses ALTER note TYPE int USING NULL"
RENAMED = "ALTER TYPE mood RENAME VALUE 'cross' TO 'angry'"
TRIGGER = """
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {} RETURN NEW; END';
CREATE TRIGGER keep BEFORE INSERT ON courses FOR EACH ROW EXECUTE FUNCTION keep()
"""

DEFECTS = [
    Broken("table", "DROP TABLE courses CASCADE", INSERT, ROW),
    Broken("column inserted", "ALTER TABLE courses DROP outline CASCADE", INSERT, ROW),
    Broken(
        "column set",
        "ALTER TABLE courses DROP outline CASCADE",
        "UPDATE courses SET outline = %s WHERE id = %s",
        ("x", 1),
    ),
    Broken(
        "column compared",
        "ALTER TABLE courses DROP slug",
        "DELETE FROM courses WHERE slug = %s",
        ("a",),
    ),
    Broken(
        "column returned",
        "ALTER TABLE courses DROP meta",
        "INSERT INTO courses (tenant) VALUES (%s) RETURNING meta",
        (1,),
    ),
    Broken(
        "column of a view",
        "DROP VIEW shown; CREATE VIEW shown AS SELECT id FROM courses;GRANT SELECT ON shown TO app",
        "SELECT outline FROM shown WHERE id = %s",
        (1,),
    ),
    Broken(
        "schema", "DROP SCHEMA school CASCADE", "INSERT INTO school.lessons (id) VALUES (%s)", (1,)
    ),
    Broken("function", "DROP FUNCTION plain", "UPDATE courses SET outline = plain(%s)", ("x",)),
    Broken(
        "cast type",
        "ALTER TYPE mood RENAME TO humour",
        "UPDATE courses SET mood = %s::mood",
        ("calm",),
    ),
    Broken(
        "operator",
        "DROP OPERATOR === (text, text)",
        "SELECT id FROM courses WHERE outline === %s",
        ("x",),
    ),
    Broken(
        "sequence",
        "DROP SEQUENCE numbers",
        "INSERT INTO courses (tenant, words) VALUES (%s, nextval('numbers'))",
        (1,),
    ),
    Broken("literal", RETYPED, "UPDATE courses SET note = 'five'"),
    Broken("expression", RETYPED, "UPDATE courses SET note = lower(%s)", ("Five",)),
    Broken("enum literal", RENAMED, "UPDATE courses SET mood = 'cross'"),
    Broken(
        "generated column",
        "ALTER TABLE courses DROP words, ADD words int GENERATED ALWAYS AS (length(note)) STORED",
        "INSERT INTO courses (tenant, words) VALUES (%s, %s)",
        (1, 2),
    ),
    Broken("syntax", "SELECT 1", "INSERT INTO courses (tenant VALUES (%s)", (1,), by_itself=True),
    Broken("right to insert", "REVOKE INSERT ON courses FROM app", INSERT, ROW),
    Broken(
        "right to update",
        "REVOKE UPDATE ON courses FROM app",
        "UPDATE courses SET outline = %s",
        ("x",),
    ),
    Broken(
        "index of a conflict",
        "ALTER TABLE courses DROP CONSTRAINT courses_slug_key",
        f"{INSERT} ON CONFLICT (slug) DO NOTHING",
        ROW,
    ),
    Broken("not null", "ALTER TABLE courses ADD owner int NOT NULL", INSERT, ROW),
    Broken(
        "read-only",
        "ALTER ROLE app SET default_transaction_read_only = on",
        INSERT,
        ROW,
    ),
    Broken("enum value", RENAMED, "UPDATE courses SET mood = %s", ("cross",), REHEARSED),
    Broken("int value", RETYPED, "UPDATE courses SET note = %s", ("five",), REHEARSED),
    Broken(
        "json value",
        "DROP VIEW shown; ALTER TABLE courses ALTER outline TYPE jsonb USING NULL",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "too long",
        "ALTER TABLE courses ALTER code TYPE varchar(2)",
        "INSERT INTO courses (tenant, code) VALUES (%s, %s)",
        (1, "abcdef"),
        REHEARSED,
    ),
    Broken(
        "overflow",
        "ALTER TABLE courses ALTER score TYPE smallint",
        "INSERT INTO courses (tenant, score) VALUES (%s, %s)",
        (1, 70_000),
        REHEARSED,
    ),
    Broken(
        "unique",
        "INSERT INTO courses (tenant) VALUES (1); CREATE UNIQUE INDEX one ON courses (tenant)",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "foreign key",
        "DELETE FROM tenants; ALTER TABLE courses ADD FOREIGN KEY (tenant) REFERENCES tenants",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "check",
        "ALTER TABLE courses ADD CHECK (length(outline) > 99)",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "partition",
        "DROP TABLE courses CASCADE; CREATE TABLE courses (tenant int, slug text, outline text)"
        " PARTITION BY LIST (tenant); GRANT ALL ON courses TO app",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "row security",
        "ALTER TABLE courses ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY none ON courses FOR INSERT WITH CHECK (tenant > 9)",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "body of a trigger",
        TRIGGER.format("NEW.gone := 1;"),
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "body of a function",
        "INSERT INTO courses (tenant) VALUES (1); ALTER TABLE courses DROP outline CASCADE",
        "SELECT touch(%s)",
        (1,),
        REHEARSED,
    ),
    Broken(
        "put off",
        "DELETE FROM tenants; ALTER TABLE courses ADD FOREIGN KEY (tenant) REFERENCES tenants"
        " DEFERRABLE INITIALLY DEFERRED",
        INSERT,
        ROW,
        REHEARSED,
    ),
]
