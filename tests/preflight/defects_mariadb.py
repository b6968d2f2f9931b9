"""26 ways to break a MariaDB schema."""

from __future__ import annotations

from tests.preflight.defects import REHEARSED, Broken

HEALTHY = """
CREATE TABLE tenants (id INT PRIMARY KEY);
INSERT INTO tenants VALUES (1);
CREATE TABLE courses (
    id INT AUTO_INCREMENT PRIMARY KEY, tenant INT, slug VARCHAR(50) UNIQUE, outline TEXT,
    mood ENUM('calm', 'cross'), meta LONGTEXT, score INT, code VARCHAR(8), words INT
);
CREATE VIEW shown AS SELECT id, outline FROM courses;
CREATE FUNCTION plain(x TEXT) RETURNS TEXT DETERMINISTIC RETURN x;
CREATE FUNCTION counted() RETURNS INT READS SQL DATA RETURN (SELECT count(outline) FROM courses)
"""

INSERT = "INSERT INTO courses (tenant, slug, outline) VALUES (%s, %s, %s)"
ROW = (1, "a", "An outline")
TRIGGER = "CREATE TRIGGER keep BEFORE INSERT ON courses FOR EACH ROW "

DEFECTS = [
    Broken("table", "DROP TABLE courses", INSERT, ROW),
    Broken("column inserted", "ALTER TABLE courses DROP outline", INSERT, ROW),
    Broken(
        "column set", "ALTER TABLE courses DROP outline", "UPDATE courses SET outline = %s", ("x",)
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
        "ALTER VIEW shown AS SELECT id FROM courses",
        "SELECT outline FROM shown WHERE id = %s",
        (1,),
    ),
    Broken(
        "database", "SELECT 1", "INSERT INTO gone.lessons (id) VALUES (%s)", (1,), by_itself=True
    ),
    Broken("function", "DROP FUNCTION plain", "UPDATE courses SET outline = plain(%s)", ("x",)),
    Broken("right to insert", "REVOKE INSERT ON {database}.* FROM app@'127.0.0.1'", INSERT, ROW),
    Broken(
        "right to update",
        "REVOKE UPDATE ON {database}.* FROM app@'127.0.0.1'",
        "UPDATE courses SET outline = %s",
        ("x",),
    ),
    Broken("read-only", "SET GLOBAL read_only = 1", INSERT, ROW),
    Broken("syntax", "SELECT 1", "INSERT INTO courses (tenant VALUES (%s)", (1,), by_itself=True),
    Broken("not null", "ALTER TABLE courses ADD owner INT NOT NULL", INSERT, ROW),
    Broken(
        "generated column",
        "ALTER TABLE courses DROP words, ADD words INT AS (score + 1) STORED",
        "INSERT INTO courses (tenant, words) VALUES (%s, %s)",
        (1, 2),
    ),
    Broken(
        "enum value",
        "ALTER TABLE courses MODIFY mood ENUM('calm')",
        "INSERT INTO courses (tenant, mood) VALUES (%s, %s)",
        (1, "cross"),
        REHEARSED,
    ),
    Broken("int value", "ALTER TABLE courses MODIFY outline INT", INSERT, ROW, REHEARSED),
    Broken(
        "json value",
        "ALTER TABLE courses MODIFY outline JSON",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "too long",
        "ALTER TABLE courses MODIFY code VARCHAR(2)",
        "INSERT INTO courses (tenant, code) VALUES (%s, %s)",
        (1, "abcdef"),
        REHEARSED,
    ),
    Broken(
        "overflow",
        "ALTER TABLE courses MODIFY score SMALLINT",
        "INSERT INTO courses (tenant, score) VALUES (%s, %s)",
        (1, 70_000),
        REHEARSED,
    ),
    Broken(
        "null",
        "ALTER TABLE courses MODIFY tenant INT NOT NULL",
        INSERT,
        (None, "a", "b"),
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
        "DELETE FROM tenants;ALTER TABLE courses ADD FOREIGN KEY (tenant) REFERENCES tenants (id)",
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
        "DROP TABLE courses; CREATE TABLE courses (tenant INT, slug TEXT, outline TEXT)"
        " PARTITION BY LIST (tenant) (PARTITION nine VALUES IN (9))",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "body of a trigger",
        TRIGGER + "INSERT INTO tenants (gone) VALUES (1)",
        INSERT,
        ROW,
        REHEARSED,
    ),
    Broken(
        "body of a function",
        "ALTER TABLE courses DROP outline",
        "INSERT INTO courses (tenant) VALUES (counted())",
        (),
        REHEARSED,
    ),
]
